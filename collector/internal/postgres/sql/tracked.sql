-- The tables, by their partition tree's root, whose statements are announced when they begin: their own triggers, or those
-- of a statement that cascades to them, may change their rows again before the statement ends. Of triggers that fire
-- before a row is changed, those count whose source has a word that changes something, or that of a function which it calls, by
-- the name.
with recursive
calls(trigger, function) as (
  select t.tgfoid, t.tgfoid from pg_trigger t join pg_proc p on p.oid = t.tgfoid
  where not t.tgisinternal and t.tgtype & 3 = 3 and p.pronamespace is distinct from to_regnamespace('datawatch')
  union
  select c.trigger, g.oid
  from calls c join pg_proc p on p.oid = c.function join pg_language l on l.oid = p.prolang and l.lanname in ('plpgsql', 'sql')
  cross join lateral (
    select distinct name from regexp_matches({{words}}, '([[:alnum:]_]+)"?[[:space:]]*[(]', 'g') said cross join unnest(array[said[1], lower(said[1])]) name) said
  join pg_proc g on g.proname = said.name and g.pronamespace <> 'pg_catalog'::regnamespace
),
writing as (
  select c.trigger from calls c join pg_proc p on p.oid = c.function join pg_language l on l.oid = p.prolang
  where case
    when l.lanname in ('c', 'internal') then false
    when p.prosrc = '' then to_jsonb(p) ->> 'prosqlbody' ~ ':commandType [2-5]' -- written as BEGIN ATOMIC
    when l.lanname in ('plpgsql', 'sql') then ({{words}}) ~* '[[:<:]](insert|update|delete|merge|truncate|copy|execute|perform|call|do)[[:>:]]'
    else true end
),
acting as (
  select coalesce(pg_partition_root(t.tgrelid)::oid, t.tgrelid) as root
  from pg_trigger t join pg_proc p on p.oid = t.tgfoid
  where not t.tgisinternal and p.pronamespace is distinct from to_regnamespace('datawatch') and t.tgenabled in ('O', 'A')
    and t.tgtype & 28 <> 0 and t.tgtype & 64 = 0 -- insert, delete, update; not instead of
    and case t.tgtype & 3
        when 0 then t.tgname < '_datawatch_' -- after a statement, and before ours
        when 1 then true                     -- after each row
        when 3 then t.tgfoid in (select trigger from writing) -- before each row
        else false end
),
cascades as (
  select coalesce(pg_partition_root(confrelid)::oid, confrelid) as parent, coalesce(pg_partition_root(conrelid)::oid, conrelid) as child
  from pg_constraint where contype = 'f' and (confupdtype in ('c', 'n', 'd') or confdeltype in ('c', 'n', 'd'))
),
tracked(root) as (
  select root from acting
  union select child from cascades where parent = child
  union select c.child from tracked t join cascades c on c.parent = t.root
)
select root from tracked
