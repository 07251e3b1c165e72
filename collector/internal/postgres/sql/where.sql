-- Which installation this is, which run of the server's history, and what the database was last told.
select m.version, m.install::text, m.server,
       case when has_function_privilege('pg_catalog.pg_control_checkpoint()', 'execute')
            then (select timeline_id from pg_control_checkpoint()) else 0 end,
       current_database(), p.epoch, p.tick, p.snapshot::text, p.told_at
from datawatch.meta m, datawatch.progress p
