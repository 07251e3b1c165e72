-- Which installation this is, in which table, which run of the server's history, what the database was last told, and which transactions are
-- in the WAL that nobody sees yet, as far as the role is shown what others wait for.
select m.version, m.install::text, m.tableoid, m.installed_at, m.server,
       -- What the control file says of it is of the last checkpoint.
       case when has_function_privilege('pg_catalog.pg_walfile_name(pg_lsn)', 'execute')
            then ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint else 0 end,
       current_database(), p.epoch, p.tick, p.snapshot::text, p.told_at,
       array(select backend_xid from pg_stat_activity where wait_event = 'SyncRep' and backend_xid is not null)
from datawatch.meta m, datawatch.progress p
