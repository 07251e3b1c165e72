-- What the tables $1 would have put into the outbox an hour, since the statistics began: of each row its names and values
-- as JSON, an update's twice. A row's width is what the table has on disk for each, or 100 bytes where that isn't known.
with since as (
  select coalesce(d.stats_reset, pg_postmaster_start_time()) as at from pg_stat_database d where d.datname = current_database()
),
written as (
  select s.n_tup_ins + 2 * s.n_tup_upd + s.n_tup_del as images, s.n_tup_ins + s.n_tup_upd + s.n_tup_del as rows,
    case when c.reltuples > 0 then pg_table_size(c.oid) / c.reltuples else 100 end
      + (select coalesce(sum(length(a.attname) + 4), 0) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as width
  from pg_stat_all_tables s join pg_class c on c.oid = s.relid where s.relid = any ($1)
)
select coalesce(sum(images * width) / hours, 0)::bigint, coalesce(sum(rows) / hours, 0)::bigint, at
from (select at, greatest(extract(epoch from clock_timestamp() - at) / 3600, 1.0 / 60)::float8 as hours from since) t left join written on true
group by at, hours
