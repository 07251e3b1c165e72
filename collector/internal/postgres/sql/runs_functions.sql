exists (
  select from (
    select 'pg_class'::regclass as classid, i.indexrelid as objid, true as typed from pg_index i where i.indrelid = relation and (i.indexprs is not null or i.indpred is not null)
    union all select 'pg_constraint'::regclass, k.oid, true from pg_constraint k where k.conrelid = relation and k.contype = 'c'
    union all select 'pg_statistic_ext'::regclass, s.oid, true from pg_statistic_ext s where s.stxrelid = relation
    union all select 'pg_class'::regclass, a.relid, false from pg_partition_ancestors(relation) a
  ) written
  join pg_depend d on d.classid = written.classid and d.objid = written.objid and d.objsubid = 0
  left join pg_proc p on d.refclassid = 'pg_proc'::regclass and p.oid = d.refobjid
  left join pg_operator o on d.refclassid = 'pg_operator'::regclass and o.oid = d.refobjid
  left join pg_opclass c on d.refclassid = 'pg_opclass'::regclass and c.oid = d.refobjid
  left join pg_type t on d.refclassid = 'pg_type'::regclass and t.oid = d.refobjid and written.typed
  where coalesce(p.proowner, o.oprowner, c.opcowner, t.typowner) not in (select r.oid from pg_roles r where r.rolsuper or r.rolname = current_user))
