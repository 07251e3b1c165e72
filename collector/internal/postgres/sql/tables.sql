-- Tables that could be captured: ordinary and partitioned ones, with the triggers that call a function of ours, and the function.
-- A trigger's name says nothing: anybody may give it to one of his.
with recursive over_foreign(oid) as (
  select i.inhparent from pg_foreign_table f join pg_inherits i on i.inhrelid = f.ftrelid
  union select i.inhparent from over_foreign o join pg_inherits i on i.inhrelid = o.oid
)
select c.oid, n.nspname, c.relname, coalesce(rn.nspname, n.nspname), coalesce(r.relname, c.relname),
       c.relkind = 'p' as parted, coalesce(r.oid = c.oid, false) as root, coalesce(r.oid <> c.oid, false) as leaf,
       coalesce(r.oid <> c.oid, false) and c.relkind = 'r' and current_setting('server_version_num')::integer >= 150000 as merged,
       coalesce(r.oid, c.oid) in ({{tracked}}) as tracked, pg_has_role(c.relowner, 'usage') as owned,
       coalesce(r.oid, c.oid) in (select o.oid from over_foreign o) as over_foreign,
       array(select t.tgname::text from pg_trigger t join pg_proc p on p.oid = t.tgfoid where t.tgrelid = c.oid and p.pronamespace = to_regnamespace('datawatch')
         and (t.tgtype & 34 = 32) = (t.tgname = '_datawatch_truncated') and t.tgenabled in ('O', 'A') order by 1),
       array(select t.tgname::text from pg_trigger t where t.tgrelid = c.oid and t.tgparentid <> 0),
       exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgfoid in (select p.oid from pg_proc p where p.pronamespace = to_regnamespace('datawatch')) and t.tgenabled in ('D', 'R')),
       coalesce(f.function, ''), coalesce(left(f.prosrc, 1000), ''), coalesce(encode(sha256(textsend(f.prosrc)), 'hex'), ''), coalesce(strpos(f.prosrc, '{{number}}') > 0, false), coalesce(f.relation, 0)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_class r on r.oid = pg_partition_root(c.oid)
left join pg_namespace rn on rn.oid = r.relnamespace
left join lateral (
  select p.pronamespace::regnamespace::text || '.' || p.proname as function, p.prosrc, {{table.of p}} as relation
  from pg_trigger t join pg_proc p on p.oid = t.tgfoid
  where t.tgrelid = c.oid and t.tgtype & 1 = 0 and p.pronamespace = to_regnamespace('datawatch') and left(p.proname, 8) = 'capture_'
  order by t.tgname = '_datawatch_insert' desc, t.oid limit 1
) f on true
where c.relkind in ('r', 'p') and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema', 'datawatch') and n.nspname not like 'pg\_%'
order by n.nspname, c.relname
