-- Tables that could be captured and don't have our triggers, or have those of another table, with a dump of which they came, under the name of
-- their partition tree's root; and captured ones whose statements are to be announced and aren't. To look at a function takes time: those that
-- are younger than their tables are as the collector left them.
select c.oid, coalesce(rn.nspname, n.nspname), coalesce(r.relname, c.relname), i.captured and not restored.was
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_class r on r.oid = pg_partition_root(c.oid)
left join pg_namespace rn on rn.oid = r.relnamespace
cross join lateral (
  select count(*) = 4 as captured from pg_trigger t
  where t.tgrelid = c.oid and t.tgname in ('_datawatch_insert', '_datawatch_update', '_datawatch_delete', '_datawatch_truncate')
    and t.tgfoid in (select p.oid from pg_proc p where p.pronamespace = to_regnamespace('datawatch'))
) i
cross join lateral (
  select exists (
    select from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_attribute a on a.attrelid = t.tgrelid and a.attnum = -1
    where i.captured and t.tgrelid = c.oid and t.tgname = '_datawatch_insert' and case when age(a.xmin) < age(p.xmin) then {{table.of p}} <> c.oid end) as was
) restored
where c.relkind in ('r', 'p') and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema', 'datawatch') and n.nspname not like 'pg\_%'
  and (not i.captured or restored.was or coalesce(r.oid, c.oid) in ({{tracked}})
    and not exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgname = '_datawatch_open'))
