select 'pg_class'::regclass as classid, i.indexrelid as objid, true as typed from pg_index i where i.indrelid = relation and (i.indexprs is not null or i.indpred is not null)
union all select 'pg_constraint'::regclass, k.oid, true from pg_constraint k where k.conrelid = relation and k.contype = 'c'
union all select 'pg_statistic_ext'::regclass, s.oid, true from pg_statistic_ext s where s.stxrelid = relation
union all select 'pg_class'::regclass, a.relid, false from pg_partition_ancestors(relation) a
