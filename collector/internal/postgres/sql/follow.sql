-- Event triggers, in the transaction that does it. They never fail that transaction: what they can't do, the collector's reconcile does within
-- seconds.

-- Follows ALTER TABLE (which takes other words for a column's name too), ALTER SCHEMA, ALTER TYPE, and triggers that are made.
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

-- Partitions of captured trees that have no triggers yet: what comes to them through the root is told, so that their going has to be told, too.
create table if not exists datawatch.coming (relation oid primary key, root oid not null, shape bigint not null);

-- Notes partitions that come, and tells of those that are detached before they have triggers.
create or replace function datawatch.follow_partitions() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $body$
declare
  changed oid[];
  part record;
begin
  changed := array(
    select distinct k.oid from pg_event_trigger_ddl_commands() c join pg_class k on c.classid = 'pg_class'::regclass and k.oid = c.objid
    where k.relispartition or k.relkind = 'p');
  if changed = '{}' and not exists (select from datawatch.coming) then
    return;
  end if;
  delete from datawatch.coming c where exists (
    select from pg_trigger t join pg_proc p on p.oid = t.tgfoid
    where t.tgrelid = c.relation and t.tgname = '_datawatch_insert' and p.pronamespace = 'datawatch'::regnamespace and left(p.proname, 8) = 'capture_');
  for part in
    delete from datawatch.coming c where c.root is distinct from pg_partition_root(c.relation)::oid returning c.relation, c.shape
  loop
    perform datawatch.tell_moved(part.shape, null, part.relation);
  end loop;
  for part in
    with parts as materialized (
      select distinct t.relid::oid as oid, pg_partition_root(c)::oid as root from unnest(changed) c cross join pg_partition_tree(c) t
      where t.isleaf and t.relid <> pg_partition_root(c)
    ),
    captured as materialized (
      select t.tgrelid as oid from pg_trigger t join pg_proc p on p.oid = t.tgfoid
      where t.tgrelid in (select oid from parts union select root from parts)
        and t.tgname = '_datawatch_insert' and p.pronamespace = 'datawatch'::regnamespace and left(p.proname, 8) = 'capture_'
    ),
    bare as materialized (select p.* from parts p where p.oid not in (select oid from captured) and p.root in (select oid from captured))
    select b.oid as relation, b.root, d.id, d.shape from bare b cross join datawatch.shape_now(b.oid) d
  loop
    insert into datawatch.shapes (id, shape) values (part.id, part.shape) on conflict (id) do nothing;
    insert into datawatch.coming (relation, root, shape) values (part.relation, part.root, part.id)
    on conflict (relation) do update set root = excluded.root, shape = excluded.shape;
  end loop;
exception when others then
  null;
end
$body$;
revoke all on function datawatch.follow_partitions() from public;
drop event trigger if exists datawatch_follow_partitions;
create event trigger datawatch_follow_partitions on ddl_command_end when tag in ('CREATE TABLE', 'ALTER TABLE') execute function datawatch.follow_partitions();

-- Tells of tables that are dropped. Of a whole tree its root tells.
create or replace function datawatch.follow_drops() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $body$
declare
  gone record;
begin
  if not exists (
      select from pg_event_trigger_dropped_objects() d
      where d.object_type = 'trigger' and d.address_names[3] = '_datawatch_insert' or d.object_type = 'table' and d.objid in (select relation from datawatch.coming)) then
    return;
  end if;
  for gone in
    with dropped as materialized (
      select d.objid as oid, d.schema_name as schema, d.object_name as name from pg_event_trigger_dropped_objects() d where d.object_type = 'table'
    ),
    functions as materialized (
      select p.oid, {{shape.of p}} as shape from pg_proc p
      where p.pronamespace = 'datawatch'::regnamespace and left(p.proname, 8) = 'capture_' and p.prorettype = 'trigger'::regtype
        and p.oid not in (select t.tgfoid from pg_trigger t)
    ),
    tables as (
      select f.shape, f.oid as function from functions f
      union all
      select c.shape, null from datawatch.coming c where c.relation in (select oid from dropped)
    )
    select distinct on (d.oid) t.shape, t.function::regprocedure as function,
      not (s.shape -> 'partition')::boolean or not exists (select from dropped d where d.schema = s.shape ->> 'root_schema' and d.name = s.shape ->> 'root_table') as tells
    from tables t join datawatch.shapes s on s.id = t.shape join dropped d on d.schema = s.shape ->> 'schema' and d.name = s.shape ->> 'table'
    order by d.oid, t.function is null
  loop
    if gone.tells then
      perform datawatch.tell_moved(gone.shape, null, null);
    end if;
    if gone.function is not null then
      execute 'drop function ' || gone.function;
    end if;
  end loop;
  delete from datawatch.coming c where not exists (select from pg_class k where k.oid = c.relation);
exception when others then
  null;
end
$body$;
revoke all on function datawatch.follow_drops() from public;
drop event trigger if exists datawatch_follow_drops;
create event trigger datawatch_follow_drops on sql_drop when tag in ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED', 'DROP EXTENSION', 'DROP TYPE') execute function datawatch.follow_drops();
