-- Follows ALTER TABLE (which takes other words for a column's name too), ALTER SCHEMA, ALTER TYPE, and triggers that are made, in the transaction that does it. It never fails that transaction: what
-- it can't do, the collector's reconcile does within seconds.
create or replace function datawatch.follow() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  command record;
  heir oid;
begin
  for command in
    with altered as materialized (
      select distinct coalesce(i.indrelid, t.tgrelid, c.objid) as relation
      from pg_event_trigger_ddl_commands() c
      left join pg_index i on c.classid = 'pg_class'::regclass and i.indexrelid = c.objid
      left join pg_trigger t on c.classid = 'pg_trigger'::regclass and t.oid = c.objid
      where c.classid = 'pg_class'::regclass or t.tgfoid not in (select p.oid from pg_proc p where p.pronamespace = 'datawatch'::regnamespace)
    ),
    retyped as materialized (
      select distinct s.id from pg_event_trigger_ddl_commands() c
      join pg_type y on c.classid = 'pg_type'::regclass and y.oid = c.objid or c.classid = 'pg_class'::regclass and y.typrelid = c.objid
      join datawatch.shapes s on jsonb_exists(s.shape -> 'types', y.oid::text)
    )
    select relation from altered
    union
    -- Tables of a schema that has another name.
    select t.tgrelid from pg_event_trigger_ddl_commands() c
    join pg_class k on c.classid = 'pg_namespace'::regclass and k.relnamespace = c.objid
    join pg_trigger t on t.tgrelid = k.oid and t.tgname = '_datawatch_insert'
    union
    -- Tables of a type.
    select k.oid from pg_event_trigger_ddl_commands() c
    join pg_type y on c.classid = 'pg_type'::regclass and y.oid = c.objid or c.classid = 'pg_class'::regclass and y.typrelid = c.objid
    join pg_class k on k.reloftype = y.oid where c.command_tag = 'ALTER TYPE'
    union
    -- ATTACH and DETACH are commands of the tree's root: partitions that have another root than they had.
    select t.tgrelid from pg_trigger t
    join pg_proc p on p.oid = t.tgfoid
    join datawatch.shapes s on s.id = {{shape.of p}}
    where t.tgname = '_datawatch_insert' and p.pronamespace = 'datawatch'::regnamespace and left(p.proname, 8) = 'capture_' and exists (select from altered a join pg_class c on c.oid = a.relation where c.relkind = 'p')
      and to_regclass(format('%I.%I', s.shape ->> 'root_schema', s.shape ->> 'root_table')) is distinct from coalesce(pg_partition_root(t.tgrelid)::oid, t.tgrelid)::regclass
    union
    -- Tables with values of a composite type, or of one with it inside.
    select t.tgrelid from pg_proc p
    join pg_trigger t on t.tgfoid = p.oid and t.tgname = '_datawatch_insert'
    where exists (select from retyped) and p.pronamespace = 'datawatch'::regnamespace and left(p.proname, 8) = 'capture_' and {{shape.of p}} in (select id from retyped)
  loop
    if datawatch.refresh(command.relation) is not false then
      -- Partitions, and tables that inherit, have got what it has.
      for heir in
        with recursive heirs(oid) as (
          select i.inhrelid from pg_inherits i where i.inhparent = command.relation
          union select i.inhrelid from heirs h join pg_inherits i on i.inhparent = h.oid)
        select h.oid from heirs h where exists (select from pg_trigger t where t.tgrelid = h.oid and t.tgname = '_datawatch_insert')
      loop
        perform datawatch.refresh(heir);
      end loop;
    end if;
    perform datawatch.release_over_foreign(command.relation);
    perform datawatch.track(command.relation);
  end loop;
exception when others then
  null;
end
$body$;
revoke all on function datawatch.follow() from public;
drop event trigger if exists datawatch_follow;
create event trigger datawatch_follow on ddl_command_end
  when tag in ('ALTER TABLE', 'ALTER SCHEMA', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'CREATE FOREIGN TABLE', 'ALTER FOREIGN TABLE', 'ALTER TYPE', 'CREATE INDEX', 'ALTER INDEX', 'CREATE TRIGGER') execute function datawatch.follow();
