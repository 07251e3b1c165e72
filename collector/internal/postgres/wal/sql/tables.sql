-- Tables that could be captured, partitions too: whose partition tree each belongs to, whether an UPDATE of it could be
-- published (its replica identity is there, and can be sent), and in which of the publications $1 and $2 it is. $3: the
-- server publishes stored generated columns.
select c.oid, n.nspname, c.relname, c.relkind = 'p', coalesce(r.oid, c.oid), coalesce(rn.nspname, n.nspname), coalesce(r.relname, c.relname),
       c.relpersistence = 'p', c.relreplident::text,
       {{updates}},
       exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary and i.indisvalid and i.indimmediate),
       exists (select from pg_publication_rel pr join pg_publication p on p.oid = pr.prpubid where pr.prrelid = c.oid and p.pubname = $1),
       exists (select from pg_publication_rel pr join pg_publication p on p.oid = pr.prpubid where pr.prrelid = c.oid and p.pubname = $2)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_class r on r.oid = pg_partition_root(c.oid)
left join pg_namespace rn on rn.oid = r.relnamespace
where c.relkind in ('r', 'p') and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema', 'datawatch') and n.nspname not like 'pg\_%'
order by n.nspname, c.relname
