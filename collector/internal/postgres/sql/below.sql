-- The type of column a, of a domain the type below.
with recursive below(oid, modifier) as (
  select a.atttypid, a.atttypmod
  union all
  select t.typbasetype, t.typtypmod from below join pg_type t using (oid) where t.typtype = 'd'
)
select below.oid, format_type(below.oid, below.modifier) as type from below join pg_type t using (oid) where t.typtype <> 'd'
