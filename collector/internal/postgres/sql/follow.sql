-- Follows ALTER TABLE in the transaction that does it. It never fails that transaction: what it can't do, the
-- collector's reconcile does within seconds.
create or replace function datawatch.follow() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  command record;
begin
  for command in
    select distinct coalesce(i.indrelid, c.objid) as relation
    from pg_event_trigger_ddl_commands() c left join pg_index i on i.indexrelid = c.objid
    where c.classid = 'pg_class'::regclass
  loop
    perform datawatch.refresh(command.relation);
  end loop;
exception when others then
  null;
end
$body$;
revoke all on function datawatch.follow() from public;
