-- The partitions with rows of the tree of relation $1, without those that transactions after $2 made or attached: those
-- weren't there when it wrote. xmin has 32 bits.
select t.relid::oid
from pg_partition_tree(pg_partition_root($1::oid::regclass)) t
join pg_class c on c.oid = t.relid
join pg_inherits i on i.inhrelid = t.relid
where t.isleaf and c.relkind = 'r' and ((i.xmin::text::bigint - $2::bigint) & 4294967295) not between 1 and 2147483647
