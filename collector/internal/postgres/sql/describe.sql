-- The shape of table $1, without the columns $2: its stream's name, its columns with their types, its key. The id is a
-- hash of the text, so that the same table gives the same id.
with recursive
relation as (
  select c.oid, c.relnamespace::regnamespace::text as quoted, s.nspname, c.relname,
         coalesce(pg_partition_root(c.oid)::oid, c.oid) as root
  from pg_class c join pg_namespace s on s.oid = c.relnamespace where c.oid = $1
),
attributes as (
  select a.attnum, a.attname, a.atttypid, format_type(a.atttypid, a.atttypmod) as type, a.attgenerated = 'v' as virtual, row_number() over (order by a.attnum) as place
  from pg_attribute a join relation r on a.attrelid = r.oid
  where a.attnum > 0 and not a.attisdropped
),
fields as (select * from attributes a where not a.virtual and a.attname <> all ($2::text[])),
-- Columns that are computed when they are read: triggers get nothing of them.
virtual as (
  select coalesce(array_agg(a.attname::text order by a.place), '{}') as names,
    coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'oid', a.atttypid::text, 'type', a.type, 'place', a.place) order by a.place), '[]') as columns
  from attributes a where a.virtual
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
    'fields', case when t.typtype = 'c' then (
      select jsonb_agg(jsonb_build_object('name', a.attname, 'oid', a.atttypid::text, 'type', format_type(a.atttypid, a.atttypmod)) order by a.attnum)
      from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) end
  ))) as types
  from reached join pg_type t using (oid)
),
-- The primary key, else the replica identity, else a unique index over columns that are never null.
unique_index as (
  select i.indexrelid, i.indrelid, i.indkey, i.indnkeyatts
  from pg_index i join relation r on i.indrelid = r.root join pg_class c on c.oid = i.indexrelid
  where i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
    and (i.indisprimary or i.indimmediate)
    and not exists (select from pg_attribute a where a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1]) and not a.attnotnull)
    and not exists (select from pg_constraint n where n.conrelid = i.indrelid and n.contype = 'n' and not n.convalidated and n.conkey[1] = any (i.indkey[0:i.indnkeyatts - 1])) -- from 18 on
  order by i.indisprimary desc, i.indisreplident desc, i.indnkeyatts, c.relname
  limit 1
),
shape as (
  select jsonb_build_object(
    'schema', r.nspname, 'table', r.relname,
    'root_schema', root_schema.nspname, 'root_table', root.relname,
    'partition', r.root <> r.oid,
    'drop', to_jsonb(array(select d from unnest($2::text[]) with ordinality n(d, place) where d <> all (v.names) order by place) || v.names),
    'columns', coalesce((select jsonb_agg(jsonb_build_object('name', f.attname, 'oid', f.atttypid::text, 'type', f.type) order by f.attnum) from fields f), '[]'),
    'types', coalesce((select t.types from types t), '{}'),
    'key', coalesce((
      select jsonb_agg(a.attname order by k.place)
      from unique_index u cross join lateral unnest(u.indkey[0:u.indnkeyatts - 1]) with ordinality k(attnum, place)
      join pg_attribute a on a.attrelid = u.indrelid and a.attnum = k.attnum), '[]')
  ) || case when v.columns = '[]' then '{}' else jsonb_build_object('virtual', v.columns) end as shape
  from virtual v, relation r join pg_class root on root.oid = r.root join pg_namespace root_schema on root_schema.oid = root.relnamespace
)
select ('x' || encode(substr(sha256(convert_to(shape::text, getdatabaseencoding())), 1, 8), 'hex'))::bit(64)::bigint as id, shape from shape
