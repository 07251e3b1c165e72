-- The partitions with rows of the tree that partition $1 is of, without those that transactions after $2 made or attached:
-- those weren't there when it wrote, unless they are among $3: of one that is older than 2^31 transactions xmin, which has 32 bits, says so
-- too. pg_partition_tree would wait for whoever locks one.
with recursive tree(oid, made) as (
  select pg_partition_root(p.oid)::oid, null::bigint from pg_class p where p.oid = $1 and p.relispartition
  union all
  select i.inhrelid, i.xmin::text::bigint from tree join pg_inherits i on i.inhparent = tree.oid
  where to_jsonb(i) ->> 'inhdetachpending' is distinct from 'true'
    and exists (select from pg_class l where l.oid = i.inhrelid and l.relpersistence = 'p') -- an unlogged one isn't in the WAL
)
select tree.oid from tree join pg_class c on c.oid = tree.oid
where c.relkind = 'r' and (tree.oid = any ($3) or ((tree.made - $2::bigint) & 4294967295) not between 1 and 2147483647)
