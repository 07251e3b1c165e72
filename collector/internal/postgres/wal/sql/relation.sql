-- What the catalog knows of relation $1: the root of its partition tree, its oid and name, by which rows it is in that tree, the columns that could be
-- its key, the best first, and the columns that are computed.
select coalesce(r.oid, 0), coalesce(rn.nspname, ''), coalesce(r.relname, ''),
       {{place}},
       coalesce((
         select jsonb_agg(k.names order by k.place)
         from (
           select row_number() over (order by i.indisprimary desc, i.indisreplident desc, i.indnkeyatts, ic.relname) as place,
                  (select jsonb_agg(a.attname order by u.place)
                   from unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality u(attnum, place)
                   join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.attnum) as names
           from pg_index i join pg_class ic on ic.oid = i.indexrelid
           where i.indrelid = coalesce(r.oid, c.oid) and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
             and not exists (select from pg_attribute a where a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1]) and not a.attnotnull)
             and not exists (select from pg_constraint n where n.conrelid = i.indrelid and n.contype = 'n' and not n.convalidated and n.conkey[1] = any (i.indkey[0:i.indnkeyatts - 1])) -- from 18 on
         ) k), '[]')::text,
       coalesce((select array_agg(a.attname::text order by a.attnum) from pg_attribute a where a.attrelid = c.oid and a.attgenerated <> '' and not a.attisdropped), '{}')
from pg_class c
left join pg_class r on c.relispartition and r.oid = pg_partition_root(c.oid) and r.oid <> c.oid -- itself while it is being detached
left join pg_namespace rn on rn.oid = r.relnamespace
where c.oid = $1
