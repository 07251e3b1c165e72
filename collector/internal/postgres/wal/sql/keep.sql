-- Takes a table that has lost its replica identity out of the publication of updates, in the transaction that takes the identity
-- away: PostgreSQL refuses its updates and deletes else, until the collector does so. It never fails that transaction.
create schema if not exists datawatch_wal;
create or replace function datawatch_wal.{{all}}() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $body${{body}}$body$;
revoke all on function datawatch_wal.{{all}}() from public;
drop event trigger if exists {{all}};
create event trigger {{all}} on ddl_command_end when tag in ('ALTER TABLE') execute function datawatch_wal.{{all}}();
drop event trigger if exists {{all}}_drop;
create event trigger {{all}}_drop on sql_drop execute function datawatch_wal.{{all}}();
