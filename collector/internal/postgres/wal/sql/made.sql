-- The ancestors of partition $1, itself the first, without the root: their oids, and whether each was made as a partition. Then a column
-- of it is as the command that made the table wrote it, which nobody changes of a system column, and inherited all the same: ATTACH writes
-- each anew, also in the same transaction.
select a.relid::oid, exists (
  select from pg_attribute y join pg_attribute o on o.attrelid = y.attrelid
  where y.attrelid = a.relid and y.attnum = -1 and o.attnum > 0 and o.attinhcount > 0 and o.xmin = y.xmin and o.cmin = y.cmin)
from pg_partition_ancestors($1::oid) with ordinality a(relid, place) join pg_class m on m.oid = a.relid
where m.relispartition
order by a.place
