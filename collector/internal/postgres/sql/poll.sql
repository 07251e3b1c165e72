-- Where the database is. With $1, the session takes a transaction id, which becomes a mark together with the
-- number of the poll before: what is written later has a higher one. All may look as before where the schema was made anew, but for the oid
-- of a table, 0 while there is none. The last is the end of a WAL that has all of this, where the server's disk hasn't got it yet.
select polled.*, case when pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn() then pg_current_wal_insert_lsn()::text else '' end
from (select case when $1 then pg_current_xact_id()::text else '0' end,
             pg_current_snapshot()::text, clock_timestamp(),
             {{drawn}},
             (select case when is_called then last_value else last_value - 1 end from {{unnoted}}),
             (select case when is_called then last_value else last_value - 1 end from datawatch.skipped),
             coalesce(to_regclass('datawatch.meta')::oid, 0)
      offset 0) polled
