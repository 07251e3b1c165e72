select 'pg_class'::regclass as classid, m.relid as objid, false as typed from pg_partition_tree(relation) m
