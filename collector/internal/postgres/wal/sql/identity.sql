-- Relation $1 as pgoutput tells of it: its name, its replica identity, its columns, which may be none, and which of them that identity has.
select n.nspname, c.relname, c.relreplident::text, coalesce(array_agg(a.attname::text order by a.attnum) filter (where a.attnum > 0), '{}'),
       coalesce(array_agg(a.atttypid order by a.attnum) filter (where a.attnum > 0), '{}'),
       coalesce(array_agg(a.atttypmod order by a.attnum) filter (where a.attnum > 0), '{}'),
       coalesce(array_agg(coalesce(c.relreplident = 'f' or a.attnum = any (i.indkey[0:i.indnkeyatts - 1]), false) order by a.attnum) filter (where a.attnum > 0), '{}')
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  and (a.attgenerated = '' or a.attgenerated = 's' and current_setting('server_version_num')::int >= 180000)
left join pg_index i on i.indrelid = c.oid and i.indisvalid and i.indimmediate
  and (c.relreplident = 'd' and i.indisprimary or c.relreplident = 'i' and i.indisreplident)
where c.oid = $1
group by n.nspname, c.relname, c.relreplident
