-- A failed capture, told from inside the application's transaction: a gap at its very place in the stream. Where not even
-- this can be written, a sequence counts.
create function datawatch.capture_failed(shape bigint, reason text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
begin
  insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, after)
  select current, nextval('datawatch.seq'), 0, 'g', shape, clock_timestamp(), 0, 0, 0, reason from datawatch.queue;
exception when others then
  perform nextval('datawatch.failed');
end
$body$;

-- TRUNCATE of a table, or of the root of a partition tree, is one pack 't'. PostgreSQL calls the root's BEFORE trigger
-- before those of its partitions: they see its mark and say nothing. Of a partition alone, it is a delete of its rows.
create function datawatch.capture_truncate(slot smallint, number bigint, shape bigint, moment timestamptz, started bigint, relation oid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  root oid := coalesce(pg_partition_root(relation)::oid, relation);
  mark text := 'datawatch.truncating_' || root;
  dropped text[];
  found bigint;
begin
  if root = relation then
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total)
    values (slot, number, 0, 't', shape, moment, started, 1, 1);
    perform set_config('datawatch.written', (started + 1)::text, true);
    if (select relkind from pg_class where oid = root) = 'p' then
      perform set_config(mark, 'on', true);
    end if;
  elsif coalesce(current_setting(mark, true), '') <> 'on'
    and (select relkind from pg_class where oid = relation) = 'r' then
    select array(select jsonb_array_elements_text(s.shape -> 'drop')) into dropped from datawatch.shapes s where s.id = capture_truncate.shape;
    execute format($query$
      insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, before)
      select $1, $2, pack, 'd', $3, $4, $5 + min(i) - 1, count(*), max(count) , '[' || string_agg(j, ',' order by i) || ']'
      from (select i, j, count, (i - 1) / 200 + sum(octet_length(j)) over (order by i) / 1048576 as pack
            from (select row_number() over () as i, count(*) over () as count,
                         %s as j from only %s as datawatch_row) r) p
      group by pack $query$,
      case when cardinality(dropped) = 0 then 'to_json(datawatch_row.*)::text' else '(to_jsonb(datawatch_row.*) - $6)::text' end,
      relation::regclass)
    using slot, number, shape, moment, started, dropped;
    select coalesce(sum(o.rows), 0) into found from datawatch.outbox o where o.seq = number;
    perform set_config('datawatch.written', (started + found)::text, true);
  end if;
end
$body$;

-- After TRUNCATE of a partition tree: its mark goes, so that a partition truncated later is seen.
create function datawatch.truncated() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
begin
  perform set_config('datawatch.truncating_' || tg_relid, '', true);
  return null;
end
$body$;

create function datawatch.describe(relation oid, dropped text[], out id bigint, out shape jsonb)
language sql stable set search_path = pg_catalog, pg_temp as $body$
{{describe}}
$body$;

-- Makes the function of a table anew where the table's shape is no longer the one that it names.
create function datawatch.refresh(relation oid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  capture oid;
  old_id bigint;
  dropped text[];
  described record;
begin
  select t.tgfoid, substring(p.prosrc from 'shape constant bigint := (-?\d+);')::bigint into capture, old_id
  from pg_trigger t join pg_proc p on p.oid = t.tgfoid
  where t.tgrelid = relation and t.tgname = '_datawatch_insert';
  if old_id is null then
    return false;
  end if;
  select array(select jsonb_array_elements_text(s.shape -> 'drop')) into dropped from datawatch.shapes s where s.id = old_id;
  select * into described from datawatch.describe(relation, dropped);
  if described.id is null or described.id = old_id then
    return false;
  end if;
  insert into datawatch.shapes (id, shape) values (described.id, described.shape) on conflict (id) do nothing;
  execute regexp_replace(pg_get_functiondef(capture), 'shape constant bigint := -?\d+;', 'shape constant bigint := ' || described.id || ';');
  return true;
end
$body$;

revoke all on all functions in schema datawatch from public;
