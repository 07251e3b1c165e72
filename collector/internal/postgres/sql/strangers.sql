exists (
  select from (
    {{written}}
  ) written
  join pg_depend d on d.classid = written.classid and d.objid = written.objid and d.objsubid = 0
  left join pg_proc p on d.refclassid = 'pg_proc'::regclass and p.oid = d.refobjid
  left join pg_operator o on d.refclassid = 'pg_operator'::regclass and o.oid = d.refobjid
  left join pg_opclass c on d.refclassid = 'pg_opclass'::regclass and c.oid = d.refobjid
  left join pg_type t on d.refclassid = 'pg_type'::regclass and t.oid = d.refobjid and written.typed
  where coalesce(p.proowner, o.oprowner, c.opcowner, t.typowner) not in (select r.oid from pg_roles r where r.rolsuper or r.rolname = current_user))
