-- Columns of the names $1, types $2 and modifiers $3, with all types that they are made of.
with recursive
fields as (
  select f.attname, f.atttypid, f.place, format_type(f.atttypid, f.atttypmod) as type
  from unnest($1::text[], $2::oid[], $3::int[]) with ordinality f(attname, atttypid, atttypmod, place)
),
reached(oid) as (
  select atttypid from fields
  union
  select n.oid from reached join pg_type t on t.oid = reached.oid
  cross join lateral (
    select t.typbasetype where t.typtype = 'd'
    union all select t.typelem where t.typcategory = 'A' and t.typelem <> 0
    union all select a.atttypid from pg_attribute a where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
  ) n(oid)
),
types as (
  select jsonb_object_agg(t.oid::text, jsonb_strip_nulls(jsonb_build_object(
    'name', t.typname,
    'kind', t.typtype::text,
    'base', case when t.typtype = 'd' then t.typbasetype::text end,
    'element', case when t.typcategory = 'A' and t.typelem <> 0 then t.typelem::text end,
    'type', format_type(t.oid, null),
    'delimiter', t.typdelim::text,
    -- to_json uses the cast of a type that isn't built in: src/backend/utils/adt/json.c. Those of base types are a superuser's;
    -- whoever owns an enum or a range may give it one, which is called for nobody.
    'cast', case when t.oid >= 16384 and t.typtype = 'b' then exists (
      select from pg_cast k where k.castsource = t.oid and k.casttarget = 'json'::regtype and k.castmethod = 'f') end,
    'fields', case when t.typtype = 'c' then (
      select jsonb_agg(jsonb_build_object('name', a.attname, 'oid', a.atttypid::text, 'type', format_type(a.atttypid, a.atttypmod)) order by a.attnum)
      from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) end
  ))) as types
  from reached join pg_type t using (oid)
)
select jsonb_build_object(
  'columns', coalesce((select jsonb_agg(jsonb_build_object('name', f.attname, 'oid', f.atttypid::text, 'type', f.type) order by f.place) from fields f), '[]'),
  'types', coalesce((select t.types from types t), '{}'))
