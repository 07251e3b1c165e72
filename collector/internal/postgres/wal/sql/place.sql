case when c.relispartition then coalesce((
         select string_agg(i.inhparent || '.' || i.xmin, ' ' order by i.inhparent) from pg_partition_ancestors(c.oid) a join pg_inherits i on i.inhrelid = a.relid), '') else '' end
