-- What the tables $1 would have put into the outbox an hour, since the statistics began: $2 tells of each whether its rows are
-- captured in binary form, or as JSON. An update has two images of its row, the others have one.
--
-- How wide values are is told by ANALYZE's statistics, to whoever may read the table; else, and of what is stored outside of the
-- table, by its size on disk. A pack has about 190 bytes of its own (its index entries too), and each image 30 where it is alone, 8
-- among others. What stands before each value, the same in each row, is compressed where a pack has 2 kB; values are reckoned as
-- long as they are. How many rows a statement changes isn't known: so there are two answers, for statements of one row and for
-- packs of 200.
with since as (
  -- Where nobody has reset them, statistics are as old as the cluster, or as its last crash.
  select coalesce(d.stats_reset, (select b.stats_reset from pg_stat_bgwriter b), pg_postmaster_start_time()) as at
  from pg_stat_database d where d.datname = current_database()
),
chosen as (
  select c.oid, t.sent, c.reltoastrelid, s.n_tup_ins + s.n_tup_upd + s.n_tup_del as rows, s.n_tup_ins + 2 * s.n_tup_upd + s.n_tup_del as images,
    greatest(c.reltuples, s.n_live_tup + s.n_dead_tup, 1) as stored
  from unnest($1::oid[], $2::boolean[]) t(oid, sent) join pg_class c on c.oid = t.oid join pg_stat_all_tables s on s.relid = c.oid
),
fields as (
  select t.oid, a.attname, a.atttypid, a.attlen > 0 as fixed, coalesce(1 - p.null_frac, 1) as filled,
    case when a.attlen > 0 then a.attlen else p.avg_width - 1 end::float8 as width
  from chosen t join pg_class c on c.oid = t.oid join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
  left join pg_stats p on p.schemaname = n.nspname and p.tablename = c.relname and p.attname = a.attname and not p.inherited
),
-- Of values whose width isn't known: what the table has on disk for each row, without what is known of the others.
shared as (
  select t.oid, case when count(*) filter (where f.width is null) > 0 then
      greatest(pg_table_size(t.oid) / t.stored - 28 - coalesce(sum(f.width), 0), 0) / count(*) filter (where f.width is null) end as width,
    case when count(*) filter (where f.width is null) > 0 then 0 else coalesce(pg_relation_size(nullif(t.reltoastrelid, 0)), 0) / t.stored end as outside
  from chosen t join fields f on f.oid = t.oid group by t.oid, t.stored, t.reltoastrelid
),
images as (
  select t.oid, t.rows, t.images, sum(case when t.sent then 8 else length(f.attname) + 4 end) as heads, 3 * count(*) as compressed,
    sum(s.outside) / count(*) + sum(f.filled * case
      when t.sent then w.width + case when f.atttypid = 'numeric'::regtype then 6 else 0 end
      else case f.atttypid
        when 'bool'::regtype then 5 when 'date'::regtype then 12 when 'timestamp'::regtype then 28 when 'timestamptz'::regtype then 34
        when 'uuid'::regtype then 38 when 'bytea'::regtype then 2 * w.width + 5 when 'numeric'::regtype then 2 * w.width
        else case when f.fixed then 2 * w.width else w.width + 2 end end
      end) as body
  from chosen t join fields f on f.oid = t.oid join shared s on s.oid = t.oid
  cross join lateral (select coalesce(f.width, s.width) as width) w
  group by t.oid, t.rows, t.images
)
select coalesce(sum(190 * rows + images * (30 + body + case when heads + body > 1900 then compressed else heads end)) / hours, 0)::bigint,
       coalesce(sum(190 * ceil(rows / 200.0) + images * (8 + body + compressed)) / hours, 0)::bigint,
       coalesce(sum(rows) / hours, 0)::bigint, at
from (select at, greatest(extract(epoch from clock_timestamp() - at) / 3600, 1.0 / 60)::float8 as hours from since) t left join images on true
group by at, hours
