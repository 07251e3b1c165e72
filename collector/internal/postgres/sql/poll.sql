-- Where the database is. With $1, the session takes a transaction id, which becomes a mark together with the sequence's
-- value of the poll before.
select case when $1 then pg_current_xact_id()::text else '0' end,
       pg_current_snapshot()::text, clock_timestamp(),
       (select case when is_called then last_value else last_value - 1 end from datawatch.seq),
       (select case when is_called then last_value else last_value - 1 end from {{failures}}),
       (select case when is_called then last_value else last_value - 1 end from datawatch.skipped)
