-- The partitions with rows of the tree that partition $1 is of, without those that transactions after $2 made or attached:
-- those weren't there when it wrote. xmin has 32 bits.
select t.relid::oid
from pg_class p
cross join lateral pg_partition_tree(pg_partition_root(p.oid)) t
join pg_class c on c.oid = t.relid
join pg_inherits i on i.inhrelid = t.relid
where p.oid = $1 and p.relispartition and t.isleaf and c.relkind = 'r'
  and ((i.xmin::text::bigint - $2::bigint) & 4294967295) not between 1 and 2147483647
