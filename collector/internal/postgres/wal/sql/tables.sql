-- Tables that could be captured, partitions too: whose partition tree each belongs to, whether an UPDATE of it could be
-- published (its replica identity is there, and can be sent), the primary key where old rows come whole, and in which of the publications $1 and $2 it is: by which rows of
-- the catalog, whose oid or xmin is another one after whatever was done to them, and whether all of it is published, without a row
-- filter or a list of columns; and by which rows a partition is in its tree. $3: the server publishes stored generated columns.
with published as (
  select p.pubname, pr.prrelid, concat_ws('.', p.oid, p.xmin, pr.oid, pr.xmin) as rows,
         {{publication}} and coalesce(to_jsonb(pr) ->> 'prqual', to_jsonb(pr) ->> 'prattrs') is null as sound
  from pg_publication_rel pr join pg_publication p on p.oid = pr.prpubid
  where p.pubname in ($1, $2)
)
select c.oid, n.nspname, c.relname, c.relkind = 'p', coalesce(r.oid, c.oid), coalesce(rn.nspname, n.nspname), coalesce(r.relname, c.relname),
       c.relpersistence = 'p', c.relreplident::text,
       coalesce((select jsonb_agg(a.attname order by u.place)::text
         from pg_index i cross join unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality u(attnum, place) join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.attnum
         where i.indrelid = coalesce(r.oid, c.oid) and i.indisprimary and i.indisvalid and i.indimmediate and c.relreplident = 'f'), ''),
       {{updates}},
       coalesce(whole.rows, ''), coalesce(whole.sound, false), coalesce(inserts.rows, ''), coalesce(inserts.sound, false),
       {{place}}
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_class r on r.oid = pg_partition_root(c.oid)
left join pg_namespace rn on rn.oid = r.relnamespace
left join published whole on whole.prrelid = c.oid and whole.pubname = $1
left join published inserts on inserts.prrelid = c.oid and inserts.pubname = $2
where c.relkind in ('r', 'p') and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema', 'datawatch') and n.nspname not like 'pg\_%'
order by n.nspname, c.relname
