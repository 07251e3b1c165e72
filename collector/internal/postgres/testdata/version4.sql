-- source shop-db

begin;
-- lock: none on your tables
create schema datawatch;
comment on schema datawatch is 'Change capture by datawatch: an outbox that triggers write and the collector reads. Removed by: collector triggers remove';

-- One row: what is installed, and where. A dump that is restored on another server carries the first server's name, and
-- so is told from a server's own outbox.
create table datawatch.meta (
  one          boolean primary key default true check (one),
  version      integer not null,
  install      uuid not null default gen_random_uuid(),
  installed_at timestamptz not null default clock_timestamp(),
  server       text not null,
  code         text not null default '' -- a hash of the functions that are installed
);

-- Shapes: what a table's rows look like. A pack names the shape that its function was made for, so that a pack written
-- before an ALTER TABLE is still understood after it. The id is a hash of the content.
create table datawatch.shapes (
  id       bigint primary key,
  shape    jsonb not null,
  added_at timestamptz not null default clock_timestamp()
);

-- CACHE 1: a statement that waited for another's commit has the higher number.
create sequence datawatch.seq cache 1;
-- Statements whose capture failed without a trace, and those left out for want of room. Sequences, since they are cheap
-- and survive a rollback.
create sequence datawatch.failures cache 1;
create sequence datawatch.skipped cache 1;

-- One row: where triggers write now, and how long and how much they may.
create table datawatch.queue (
  one     boolean primary key default true check (one),
  current smallint not null default 0,
  main    oid not null,                 -- of the current table, and of its TOAST table
  toast   oid not null,
  room    bigint not null,              -- bytes that these two may reach; beyond, nothing is captured
  expires timestamptz not null,         -- capture stops when the collector has been away this long
  off     timestamptz,                  -- since when somebody has switched capture off: datawatch.off()
  looked  timestamptz not null default clock_timestamp() -- when every table that is selected was last seen to be captured
) with (fillfactor = 50);

-- When each outbox table was last switched away from: what the truncation of it waits for.
create table datawatch.slots (
  slot          smallint primary key,
  switched_xid  xid8,
  switched_seq  bigint
) with (fillfactor = 50);

-- One row: how far the collector has committed what it read. What this snapshot sees may be reclaimed.
create table datawatch.progress (
  one      boolean primary key default true check (one),
  epoch    text not null default '',
  tick     bigint not null default 0,
  snapshot pg_snapshot not null default '1:1:',
  told_at  timestamptz not null default clock_timestamp()
) with (fillfactor = 50);

-- The outbox. A row is a pack: up to 200 rows of one statement, as JSON arrays or as record_send gives them. It is
-- partitioned so that old packs go by TRUNCATE of a table that nobody writes to.
create table datawatch.outbox (
  slot        smallint not null,
  seq         bigint not null,          -- one number a statement, in the order in which statements end
  part        bigint not null,          -- rows of the statement before this pack
  txid        xid8 not null default pg_current_xact_id(),
  op          "char" not null,          -- i, u, d, t(runcate), g(ap: capture failed), n(ew table: not captured before),
                                        -- o(ff: not captured meanwhile), m(ark: nothing changed, but others are behind it),
                                        -- p(artition: its rows left the stream),
                                        -- a(ttached: rows that are to be read)
  shape       bigint not null,
  at          timestamptz not null,
  first       bigint not null,          -- rows of the transaction before this pack, those of statements behind others not counted
  rows        integer not null,
  total       bigint not null,          -- rows of the whole statement
  start       bigint,                   -- the number under which others are behind this statement; negative: behind all of it
  behind      bigint,                   -- the statement, still at work, that this one is behind, and behind how many of
  place       bigint,                   -- its rows
  application text default nullif(current_setting('application_name'), ''),
  login       text default session_user,
  client      inet default inet_client_addr(),
  tag         text default nullif(current_setting('datawatch.tag', true), ''),
  before      text,                     -- a JSON array of rows
  after       text,
  bytes       integer,                  -- in the place of these two: the rows in PostgreSQL's binary form, which depends on
  olds        bytea[],                  -- no setting and costs a third of JSON, and how many bytes they are
  news        bytea[]
) partition by list (slot);
create table datawatch.outbox_0 partition of datawatch.outbox for values in (0);
create table datawatch.outbox_1 partition of datawatch.outbox for values in (1);
create table datawatch.outbox_2 partition of datawatch.outbox for values in (2);
create index outbox_order on datawatch.outbox (seq, part) where behind is null;
create index outbox_nested on datawatch.outbox (seq) where behind is not null;
create index outbox_behind on datawatch.outbox (behind, place, seq, part) where behind is not null;
create index outbox_start on datawatch.outbox (abs(start)) where start is not null;

-- Where a statement belongs in the order of its transaction: see the columns of the outbox.
create type datawatch.spot as (start bigint, behind bigint, place bigint);
-- lock: none on your tables
-- Statements that change a single row, which most do, write a row here, in the table of the slot: these have one index and are no
-- partitions, since each index and each partition constraint costs a microsecond or two. A row's form is as in the outbox:
-- was and became are as record_send gives them, or JSON.
create table datawatch.single_0 (
  seq         bigint not null,
  part        bigint not null default 0, -- always 0: the order is that of the outbox
  txid        xid8 not null,
  op          "char" not null,           -- i, u, d
  json        boolean not null,
  shape       bigint not null,
  at          timestamptz not null,
  counted     bigint not null,           -- of the transaction, with this row: see datawatch.count_rows
  application text,
  login       text not null,
  client      inet,
  tag         text,
  was         bytea,
  became      bytea
);
create index single_0_order on datawatch.single_0 (seq, part);
create table datawatch.single_1 (like datawatch.single_0 including all);
create table datawatch.single_2 (like datawatch.single_0 including all);

-- 0 to 2: the slot that these statements write to, without another look at the queue. 3: each looks. No value, with is_called
-- false: capture is off. The queue's trigger sets it, and whoever finds the outbox full. A sequence, since it costs little, and
-- is seen at once.
create sequence datawatch.gate minvalue 0 maxvalue 3 cache 1;

-- All packs that are behind no statement at work, and the others: what the collector reads.
create view datawatch.packs as
select seq, part, txid, op, shape, at, first, rows, total, start, behind, place, application, login, client, tag, before, after, bytes, olds, news
from datawatch.outbox
union all
select seq, part, txid, op, shape, at, counted % 100000000000000 - 1, 1, 1::bigint, null::bigint, null::bigint, null::bigint,
       nullif(application, ''), login, client, nullif(tag, ''),
       case when json and was is not null then '[' || convert_from(was, 'UTF8') || ']' end,
       case when json and became is not null then '[' || convert_from(became, 'UTF8') || ']' end,
       case when not json then coalesce(octet_length(was), 0) + coalesce(octet_length(became), 0) end,
       case when not json and was is not null then array[was] end,
       case when not json and became is not null then array[became] end
from datawatch.single_0
union all
select seq, part, txid, op, shape, at, counted % 100000000000000 - 1, 1, 1::bigint, null::bigint, null::bigint, null::bigint,
       nullif(application, ''), login, client, nullif(tag, ''),
       case when json and was is not null then '[' || convert_from(was, 'UTF8') || ']' end,
       case when json and became is not null then '[' || convert_from(became, 'UTF8') || ']' end,
       case when not json then coalesce(octet_length(was), 0) + coalesce(octet_length(became), 0) end,
       case when not json and was is not null then array[was] end,
       case when not json and became is not null then array[became] end
from datawatch.single_1
union all
select seq, part, txid, op, shape, at, counted % 100000000000000 - 1, 1, 1::bigint, null::bigint, null::bigint, null::bigint,
       nullif(application, ''), login, client, nullif(tag, ''),
       case when json and was is not null then '[' || convert_from(was, 'UTF8') || ']' end,
       case when json and became is not null then '[' || convert_from(became, 'UTF8') || ']' end,
       case when not json then coalesce(octet_length(was), 0) + coalesce(octet_length(became), 0) end,
       case when not json and was is not null then array[was] end,
       case when not json and became is not null then array[became] end
from datawatch.single_2;
-- lock: none on your tables
-- lock: none on your tables
-- Order within a transaction.
--
-- A statement is captured when it ends, behind what its own triggers did. Where a table has triggers, each statement is
-- therefore announced when it begins: it gets a number, which goes to a list in the setting datawatch.open, local to the
-- transaction, and triggers count its rows in a setting as they are changed. What is captured meanwhile notes the number
-- and the count: "behind the first 3 rows of statement 17", and is read there. An entry of the list is
--   number,depth,what,counter,saved,noted,several
-- number: empty for a further target of the same statement (upsert, MERGE, WITH), which goes with the first; depth: of
-- triggers; what: table and operation; saved: the counter's value of the statement around it, - where the target before
-- it counts in the same; noted: whether anything is behind it; several: it took over the number of another target.

-- The list, unless a session gave the setting a value of its own: it names settings, which are read and set with the rights of
-- the schema's owner.
create or replace function datawatch.statements_open() returns text[]
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare
  listed text := current_setting('datawatch.open', true);
begin
  if listed !~ '^(\d*,\d+,\d+[A-Z],datawatch\.(rows|gone)_\d+,(-|\d+),n?,s?( (?!$)|$))*$' then
    raise exception 'the setting datawatch.open has a value that datawatch did not give it';
  end if;
  return string_to_array(nullif(listed, ''), ' ');
end
$body$;

create or replace function datawatch.statement_begins(relation oid, op text, depth integer) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  listed text[] := datawatch.statements_open();
  counter text := 'datawatch.' || case op when 'DELETE' then 'gone_' else 'rows_' end || coalesce(pg_partition_root(relation)::oid, relation);
  last text[] := string_to_array(listed[cardinality(listed)], ',');
  level integer := depth;
  number text := '';
  saved text := '-';
  context text;
begin
  if depth > 1 then
    -- A foreign key's cascade is run by a trigger, but its triggers belong to the statement that set it off.
    get diagnostics context = pg_context;
    context := substring(context from 'datawatch\.capture_[^\n]*\n([^\n]*)');
    if context ~ '(DELETE FROM|UPDATE) (ONLY )?".* WHERE \$\d+[^ ]* OPERATOR\(' then
      level := depth - 1;
    end if;
  end if;
  if level <> depth or last[2] is distinct from level::text then
    number := nextval('datawatch.seq');
  end if;
  if number <> '' or last[4] <> counter then
    saved := coalesce(nullif(current_setting(counter, true), ''), '0');
    perform set_config(counter, '0', true);
  end if;
  perform set_config('datawatch.open',
    array_to_string(listed || concat_ws(',', number, level, relation || left(op, 1), counter, saved, '', ''), ' '), true);
end
$body$;

-- Where what a statement did belongs, now that it ends: behind which one, and whether others are behind it. writes: it
-- is going to be written.
create or replace function datawatch.statement_ends(relation oid, op text, depth integer, writes boolean) returns datawatch.spot
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  listed text[] := datawatch.statements_open();
  level integer := depth;
  spot datawatch.spot;
  own integer;
  me text[];
  entry text[];
begin
  for i in reverse cardinality(listed)..1 loop
    me := string_to_array(listed[i], ',');
    if me[3] = relation || left(op, 1) then
      own := i;
      level := me[2];
      listed := datawatch.statement_leaves(listed, i);
      if me[1] <> '' and me[6] <> '' and split_part(listed[i], ',', 1) is distinct from me[1] then
        spot.start := case when me[7] = '' then me[1]::bigint else -me[1]::bigint end;
      end if;
      exit;
    end if;
  end loop;
  for i in reverse coalesce(own - 1, cardinality(listed))..1 loop
    entry := string_to_array(listed[i], ',');
    if entry[1] <> '' and entry[2]::integer < level then
      spot.behind := entry[1];
      spot.place := coalesce(nullif(current_setting(entry[4], true), ''), '0');
      for j in i + 1..cardinality(listed) loop
        me := string_to_array(listed[j], ',');
        if me[4] = entry[4] and me[5] <> '-' then
          spot.place := me[5]; -- a statement inside it counts there now
          exit;
        end if;
      end loop;
      if writes and entry[6] = '' then
        entry[6] := 'n';
        listed[i] := array_to_string(entry, ',');
      end if;
      exit;
    end if;
  end loop;
  perform set_config('datawatch.open', coalesce(array_to_string(listed, ' '), ''), true);
  return spot;
end
$body$;

-- Takes an entry off the list. A further target of the same statement that is still at work takes its place.
create or replace function datawatch.statement_leaves(listed text[], own integer) returns text[]
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare
  me text[] := string_to_array(listed[own], ',');
  heir text[] := string_to_array(listed[own + 1], ',');
begin
  if me[1] <> '' and heir[1] = '' and heir[2] = me[2] then
    heir[1] := me[1];
    heir[6] := me[6];
    heir[7] := 's';
    if heir[4] = me[4] then
      heir[5] := me[5];
      me[5] := '-';
    end if;
    listed[own + 1] := array_to_string(heir, ',');
  end if;
  if me[5] <> '-' then
    perform set_config(me[4], me[5], true);
  end if;
  return listed[:own - 1] || listed[own + 1:];
end
$body$;

-- Counts rows of the transaction that were captured, and tells how many there are then. The setting datawatch.written has them in
-- its last 14 digits; before these are a 1 and, in two digits, how many statements of the transaction had a guard, so that one
-- setting does for both.
create or replace function datawatch.count_rows(more bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  return set_config('datawatch.written',
    (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + more)::text, true)::bigint % 100000000000000;
end
$body$;

-- A failed capture, told from inside the application's transaction: a gap at its very place in the stream. Where not even
-- this can be written, a sequence counts.
create or replace function datawatch.capture_failed(shape bigint, reason text, relation oid, op text, depth integer) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  spot datawatch.spot;
  started bigint := datawatch.count_rows(100000000000000); -- the guard that caught it
begin
  if current_setting('datawatch.open', true) <> '' and op is not null then
    begin
      spot := datawatch.statement_ends(relation, op, depth, true);
    exception when others then
      spot := null; -- the session made the list up: the gap is behind no statement
    end;
  end if;
  insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, after)
  select queue.current, nextval('datawatch.seq'), 0, 'g', shape, clock_timestamp(), started, 0, 0,
    spot.start, spot.behind, spot.place, reason from datawatch.queue;
exception when others then
  perform nextval('datawatch.failures');
end
$body$;

-- Writes some of a statement's rows.
create or replace function datawatch.write_pack(slot smallint, number bigint, part bigint, op text, shape bigint, moment timestamptz, first bigint, rows integer, total bigint,
  spot datawatch.spot, olds text[], news text[]) returns void
language sql set search_path = pg_catalog, pg_temp as $body$
  insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, before, after)
  values (slot, number, part, lower(left(op, 1))::"char", shape, moment, first, rows, total, (spot).start, (spot).behind, (spot).place,
    '[' || array_to_string(olds, ',') || ']', '[' || array_to_string(news, ',') || ']')
$body$;

-- Pins what the text of values depends on, and tells what it was. A function whose table has a type that is told by its text
-- pins it for each statement, by its own clauses; the others do so only where they write JSON, since each setting costs a
-- statement a microsecond or two.
create or replace function datawatch.pin_settings() returns text[]
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare
  were text[] := array[current_setting('timezone'), current_setting('datestyle'), current_setting('intervalstyle'), current_setting('bytea_output'), current_setting('extra_float_digits'), current_setting('lc_monetary'), current_setting('xmlbinary'), current_setting('quote_all_identifiers')];
begin
  perform set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO, YMD', true), set_config('intervalstyle', 'postgres', true), set_config('bytea_output', 'hex', true), set_config('extra_float_digits', '1', true), set_config('lc_monetary', 'C', true), set_config('xmlbinary', 'base64', true), set_config('quote_all_identifiers', 'off', true);
  return were;
end
$body$;

create or replace function datawatch.restore_settings(were text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  perform set_config('timezone', were[1], true), set_config('datestyle', were[2], true), set_config('intervalstyle', were[3], true), set_config('bytea_output', were[4], true), set_config('extra_float_digits', were[5], true), set_config('lc_monetary', were[6], true), set_config('xmlbinary', were[7], true), set_config('quote_all_identifiers', were[8], true);
end
$body$;

-- Whether rows of a table may be large: without values outside of the table itself a row has 8 kB, as it is stored. A table
-- with partitions or children isn't looked at any closer: to ask for a relation's size is to lock it, and the statement that
-- is captured has no lock on those that it didn't touch.
create or replace function datawatch.has_large_values(relation oid) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp as $body$
begin
  return (select c.relhassubclass or coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)) > 0, false) from pg_class c where c.oid = relation);
end
$body$;

-- Whether the JSON of a type's values is made by a function of somebody who owns a type in it: to_json calls the cast to json
-- that an enum, a range or a multirange was given, and would call it with the rights of this schema's owner. Base types are a
-- superuser's; of arrays, composites and domains it asks what is in them. What a transaction that keeps its snapshot doesn't see
-- of the catalog, a type or an attribute of a composite, may be any.
create or replace function datawatch.brings_casts(type oid) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare
  kind "char";
  base oid;
  element oid;
  relation oid;
begin
  if type < 16384 then
    return false;
  end if;
  select t.typtype, t.typbasetype, t.typelem, t.typrelid into kind, base, element, relation from pg_type t where t.oid = type;
  return case kind
    when 'b' then element <> 0 and datawatch.brings_casts(element)
    when 'd' then datawatch.brings_casts(base)
    when 'c' then current_setting('transaction_isolation') <> 'read committed' or exists (
      select from pg_attribute a where a.attrelid = relation and a.attnum > 0 and not a.attisdropped and datawatch.brings_casts(a.atttypid))
    else true end;
end
$body$;

-- Whether rows of a table have to be printed by row_sql in place of to_json. The statement's lock keeps the columns as they are.
-- A transaction that keeps its snapshot may not see them.
create or replace function datawatch.brings_casts_in(relation oid) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  return current_setting('transaction_isolation') <> 'read committed' or exists (
    select from pg_attribute a where a.attrelid = relation and a.attnum > 0 and not a.attisdropped and a.atttypid >= 16384 and datawatch.brings_casts(a.atttypid));
end
$body$;

-- Whether a table has these columns, as transactions see it: each has its type's oid, and its name behind the name's length.
create or replace function datawatch.has_columns(relation oid, columns text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  return columns = (select coalesce(string_agg(a.atttypid || ' ' || length(a.attname::text) || ' ' || a.attname, ',' order by a.attnum), '') from pg_attribute a
    where a.attrelid = relation and a.attnum > 0 and not a.attisdropped);
end
$body$;

-- Whether composite types have these attributes: each has the type's oid, its own type's, and its name as there.
create or replace function datawatch.has_attributes(types oid[], attributes text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan as $body$
begin
  -- By subqueries, which look at nothing but these types; a plan for each list would take most of the time.
  return attributes = (select string_agg((
      select string_agg(found.oid || ' ' || a.atttypid || ' ' || length(a.attname::text) || ' ' || a.attname, ',' order by a.attnum) from pg_attribute a
      where a.attrelid = (select t.typrelid from pg_type t where t.oid = found.oid) and a.attnum > 0 and not a.attisdropped), ',' order by found.oid)
    from unnest(types) found(oid));
end
$body$;

-- SQL for what to_json takes in place of a value, so that it calls no cast: the text that the type's own output function gives,
-- in an array or a composite at its place.
create or replace function datawatch.value_sql(type oid, value text) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare
  found pg_type;
  element oid;
  i text := format('datawatch_%s', length(value));
begin
  if not datawatch.brings_casts(type) then
    return value;
  end if;
  select * into found from pg_type t where t.oid = type;
  if found.typtype = 'd' then
    return datawatch.value_sql(found.typbasetype, value);
  elsif found.typtype = 'c' then
    return format('case when num_nulls(%s) = 0 then (select to_json(datawatch_safe.*) from (select %s) datawatch_safe) end', value, (
      select string_agg(format('%s as %I', datawatch.value_sql(a.atttypid, format('(%s).%I', value, a.attname)), a.attname), ', ' order by a.attnum)
      from pg_attribute a where a.attrelid = found.typrelid and a.attnum > 0 and not a.attisdropped));
  elsif found.typelem = 0 or found.typelem is null then
    return format('case when num_nulls(%1$s) = 0 then format(''%%s'', %1$s) end', value);
  end if;
  element := found.typelem;
  while (select t.typtype = 'd' from pg_type t where t.oid = element) loop
    element := (select t.typbasetype from pg_type t where t.oid = element);
  end loop;
  if (select t.typtype = 'c' from pg_type t where t.oid = element) then
    return format('case when num_nulls(%1$s) = 0 then case coalesce(array_ndims(%1$s), 0) when 0 then ''[]'' when 1 then '
      '(select json_agg(%2$s order by %3$s) from generate_subscripts(%1$s, 1) %3$s) else to_json(format(''%%s'', %1$s)) end end',
      value, datawatch.value_sql(element, format('(%s)[%s]', value, i)), i);
  end if;
  return format('textin(array_out(%s))::text[]', value);
end
$body$;

-- SQL for a row of a table as JSON, without columns that are dropped: what to_json gives, but that it calls no cast. Where the
-- columns may be others than this transaction sees, it fails rather than leave one out.
create or replace function datawatch.row_sql(relation oid, name text, dropped text[]) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare
  printed text;
  seen text;
begin
  select coalesce(string_agg(format('%s as %I', datawatch.value_sql(a.atttypid, format('%I.%I', name, a.attname)), a.attname), ', ' order by a.attnum)
      filter (where a.attname <> all (dropped)), ''), string_agg(format('%I.%I', name, a.attname), ', ' order by a.attnum)
  into printed, seen from pg_attribute a where a.attrelid = relation and a.attnum > 0 and not a.attisdropped;
  printed := format('(select to_json(datawatch_safe.*)::text from (select %s) datawatch_safe)', printed);
  if current_setting('transaction_isolation') = 'read committed' then
    return printed;
  end if;
  return format('case when record_image_eq(%I.*, row(%s)) then %s else datawatch.altered_meanwhile() end', name, seen, printed);
end
$body$;

create or replace function datawatch.altered_meanwhile() returns text
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  raise exception 'the table was altered after this transaction''s snapshot was taken';
end
$body$;

-- Whether the outbox has reached its cap.
create or replace function datawatch.is_full() returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
begin
  return (select (coalesce(pg_relation_size(main), 0) + coalesce(pg_relation_size(nullif(toast, 0)), 0)
    + pg_table_size(('datawatch.single_' || current)::regclass) > room) from datawatch.queue);
end
$body$;

-- Whether nothing is captured: true where there is no room or no collector came, null where somebody switched capture off.
-- To look costs more than to write a row. So of the statements that write a single row, 100 kB at most, every 256th looks, and
-- every one where there is little room or none was found: the gate says so, which needs no lock that others would wait for.
-- Off is what the queue and the gate say is off: whoever sees a queue of before datawatch.on() sees what the gate is since then,
-- and so what on() doesn't tell to be missing is captured.
create or replace function datawatch.is_closed() returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  gate bigint := pg_sequence_last_value('datawatch.gate');
  closed boolean;
begin
  select case when off is null or gate is not null then clock_timestamp() > expires or (coalesce(pg_relation_size(main), 0) + coalesce(pg_relation_size(nullif(toast, 0)), 0)
    + pg_table_size(('datawatch.single_' || current)::regclass) > room) end into closed from datawatch.queue;
  if closed and gate <> 3 then
    perform setval('datawatch.gate', 3);
  end if;
  return closed;
end
$body$;

-- Sets the gate to what the queue says, whoever changed it: no value is that capture is off. It is seen at once, also where that is
-- undone: then some write to a slot that is no longer the current one, or not yet, where they are read as well; or, until the
-- collector next says that it lives, all go the longer way (off), or are captured though capture is off (on).
create or replace function datawatch.queue_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
begin
  perform setval('datawatch.gate', case when off is null and clock_timestamp() < expires and room >= 134217728 and not (coalesce(pg_relation_size(main), 0) + coalesce(pg_relation_size(nullif(toast, 0)), 0)
    + pg_table_size(('datawatch.single_' || current)::regclass) > room) then current else 3 end, off is null)
  from datawatch.queue;
  return null;
end
$body$;

-- Whether the collector reads all of a shape's types in PostgreSQL's binary form.
create or replace function datawatch.sendable(shape jsonb) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $body$
  select shape -> 'drop' = '[]' and not exists (
    select from jsonb_array_elements(shape -> 'columns') c
    where (c ->> 'oid')::bigint <> all ('{16,17,19,20,21,23,25,114,1000,1005,1007,1009,1015,1016,1042,1043,1082,1083,1114,1115,1182,1184,1185,1231,1700,2950,2951,3802,3807}'::bigint[]) and shape -> 'types' -> (c ->> 'oid') ->> 'kind' is distinct from 'e')
$body$;

-- TRUNCATE of a table, or of the root of a partition tree, is one pack 't'. PostgreSQL calls the root's BEFORE trigger
-- before those of its partitions: they see its mark and say nothing. Of a partition alone, it is a delete of its rows; where a
-- policy would hide some, or run its owner's functions, it fails.
create or replace function datawatch.capture_truncate(slot smallint, number bigint, shape bigint, moment timestamptz, started bigint, relation oid, spot datawatch.spot)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set row_security = off as $body$
declare
  root oid := coalesce(pg_partition_root(relation)::oid, relation);
  mark text := 'datawatch.truncating_' || root;
  dropped text[];
  found bigint;
begin
  if root = relation then
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, behind, place)
    values (slot, number, 0, 't', shape, moment, started, 1, 1, spot.behind, spot.place);
    if (select relkind from pg_class where oid = root) = 'p' then
      perform set_config(mark, 'on', true);
    end if;
    return;
  end if;
  if spot.behind is null then
    perform datawatch.count_rows(-1);
  end if;
  if coalesce(current_setting(mark, true), '') <> 'on' and (select relkind from pg_class where oid = relation) = 'r' then
    select array(select jsonb_array_elements_text(s.shape -> 'drop')) into dropped from datawatch.shapes s where s.id = capture_truncate.shape;
    execute format($query$
      insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, behind, place, before)
      select $1, $2, min(i) - 1, 'd', $3, $4, $5 + min(i) - 1, count(*), max(count), $7, $8, '[' || string_agg(j, ',' order by i) || ']'
      from (select i, j, count, (i - 1) / 200 + sum(octet_length(j)) over w / 1048576 + (sum(octet_length(j)) over w - octet_length(j)) / 1048576 as pack
            from (select row_number() over () as i, count(*) over () as count,
                         %s as j from only %s as datawatch_row) r window w as (order by i)) p
      group by pack $query$,
      case when datawatch.brings_casts_in(relation) then datawatch.row_sql(relation, 'datawatch_row', dropped)
        when cardinality(dropped) = 0 then 'to_json(datawatch_row.*)::text' else '(to_jsonb(datawatch_row.*) - $6)::text' end,
      relation::regclass)
    using slot, number, shape, moment, started, dropped, spot.behind, spot.place;
    if spot.behind is null then
      select coalesce(sum(o.rows), 0) into found from datawatch.outbox o where o.seq = number and o.behind is null;
      perform datawatch.count_rows(found);
    end if;
  end if;
end
$body$;

-- After TRUNCATE of a partition tree: its mark goes, so that a partition truncated later is seen.
create or replace function datawatch.truncated() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
begin
  perform set_config('datawatch.truncating_' || tg_relid, '', true);
  return null;
end
$body$;

create or replace function datawatch.describe(relation oid, dropped text[], out id bigint, out shape jsonb)
language sql stable set search_path = pg_catalog, pg_temp as $body$
-- The shape of table describe.relation, without the columns describe.dropped: its stream's name, its columns with their types, its key. The id is a
-- hash of the text, so that the same table gives the same id.
with recursive
relation as (
  select c.oid, c.relnamespace::regnamespace::text as quoted, s.nspname, c.relname,
         coalesce(pg_partition_root(c.oid)::oid, c.oid) as root
  from pg_class c join pg_namespace s on s.oid = c.relnamespace where c.oid = describe.relation
),
fields as (
  select a.attnum, a.attname, a.atttypid, format_type(a.atttypid, a.atttypmod) as type
  from pg_attribute a join relation r on a.attrelid = r.oid
  where a.attnum > 0 and not a.attisdropped and a.attname <> all (describe.dropped)
),
reached(oid) as (
  select atttypid from fields
  union
  select n.oid from reached join pg_type t on t.oid = reached.oid
  cross join lateral (
    select t.typbasetype where t.typtype = 'd'
    union all select t.typelem where t.typcategory = 'A' and t.typelem <> 0
    union all select a.atttypid from pg_attribute a where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
  ) n(oid)
),
types as (
  select jsonb_object_agg(t.oid::text, jsonb_strip_nulls(jsonb_build_object(
    'name', t.typname,
    'kind', t.typtype::text,
    'base', case when t.typtype = 'd' then t.typbasetype::text end,
    'element', case when t.typcategory = 'A' and t.typelem <> 0 then t.typelem::text end,
    'type', format_type(t.oid, null),
    'fields', case when t.typtype = 'c' then (
      select jsonb_agg(jsonb_build_object('name', a.attname, 'oid', a.atttypid::text, 'type', format_type(a.atttypid, a.atttypmod)) order by a.attnum)
      from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) end
  ))) as types
  from reached join pg_type t using (oid)
),
-- The primary key, else the replica identity, else a unique index over columns that are never null.
unique_index as (
  select i.indexrelid, i.indrelid, i.indkey, i.indnkeyatts
  from pg_index i join relation r on i.indrelid = r.root join pg_class c on c.oid = i.indexrelid
  where i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
    and (i.indisprimary or i.indimmediate)
    and not exists (select from pg_attribute a where a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1]) and not a.attnotnull)
  order by i.indisprimary desc, i.indisreplident desc, i.indnkeyatts, c.relname
  limit 1
),
shape as (
  select jsonb_build_object(
    'schema', r.nspname, 'table', r.relname,
    'root_schema', root_schema.nspname, 'root_table', root.relname,
    'partition', r.root <> r.oid,
    'drop', to_jsonb(describe.dropped),
    'columns', coalesce((select jsonb_agg(jsonb_build_object('name', f.attname, 'oid', f.atttypid::text, 'type', f.type) order by f.attnum) from fields f), '[]'),
    'types', coalesce((select t.types from types t), '{}'),
    'key', coalesce((
      select jsonb_agg(a.attname order by k.place)
      from unique_index u cross join lateral unnest(u.indkey[0:u.indnkeyatts - 1]) with ordinality k(attnum, place)
      join pg_attribute a on a.attrelid = u.indrelid and a.attnum = k.attnum), '[]')
  ) as shape
  from relation r join pg_class root on root.oid = r.root join pg_namespace root_schema on root_schema.oid = root.relnamespace
)
select ('x' || substr(md5(shape::text), 1, 16))::bit(64)::bigint as id, shape from shape
$body$;

-- Tells that a partition came with rows that its stream has to be told of: the collector reads them. Where the table isn't
-- locked by this transaction, others may be writing to it still that don't know of it, and so it waits for them.
create or replace function datawatch.tell_attached(shape bigint, relation oid) returns void
language sql set search_path = pg_catalog, pg_temp as $body$
  insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, after)
  select current, nextval('datawatch.seq'), 0, 'a', shape, clock_timestamp(), 0, 0, 0, json_build_object('table', relation::bigint, 'locked', exists (
    select from pg_locks l where l.pid = pg_backend_pid() and l.locktype = 'relation' and l.relation = tell_attached.relation
      and l.database = (select d.oid from pg_database d where d.datname = current_database())
      and l.mode in ('ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')))
  from datawatch.queue
$body$;

-- Whether a partition, or a part of the tree that it is in, was a table of its own before: its row type is older than
-- what ties it to the tree, or, of one transaction, than all its columns as they are now.
create or replace function datawatch.was_attached(relation oid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $body$
  select exists (
    select from pg_class c join pg_type y on y.oid = c.reltype
    where c.oid = relation and (
      exists (select from pg_partition_ancestors(relation) a join pg_inherits i on i.inhrelid = a.relid where age(i.xmin) < age(y.xmin))
      or exists (select from pg_inherits i where i.inhrelid = relation) and not exists (
        select from pg_attribute a where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
          and not (a.xmin = y.xmin and a.cmin::text::bigint > y.cmin::text::bigint))))
$body$;

-- Tells, behind a table's new triggers and in their transaction, what wasn't captured of it before it had them. A table
-- without a page never held a row, and has no gap; a row that was rolled back gives one too many.
create or replace function datawatch.tell_new(shape bigint, relation regclass, since timestamptz) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  if pg_relation_size(relation) = 0 then
    return;
  end if;
  insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, after)
  select current, nextval('datawatch.seq'), 0, 'n', shape, clock_timestamp(), 0, 0, 0,
    to_char(coalesce(since, looked) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') from datawatch.queue;
  if datawatch.was_attached(relation) then
    perform datawatch.tell_attached(shape, relation);
  end if;
end
$body$;

-- Tells that a table is no longer what its stream was: it was dropped (now is null), renamed, attached or detached. A whole
-- table's rows are gone from its stream, as by TRUNCATE, with the reason; of a partition nobody knows any more which rows
-- it had, and so the root's stream has a gap. What a stream begins with that has the rows now is a gap as well, but of a
-- partition that was attached they are read.
create or replace function datawatch.tell_moved(was bigint, now bigint, relation oid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  before jsonb := (select shape from datawatch.shapes where id = was);
  after jsonb := (select shape from datawatch.shapes where id = now);
  reason text;
begin
  if before is null or before -> 'root_schema' = after -> 'root_schema' and before -> 'root_table' = after -> 'root_table' then
    return;
  end if;
  reason := case when now is null then 'drop' when (before -> 'partition')::boolean then 'detach' when (after -> 'partition')::boolean then 'attach' else 'rename' end;
  insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, after)
  select current, nextval('datawatch.seq'), 0, case when (before -> 'partition')::boolean then 'p' else 't' end::"char", was, clock_timestamp(),
    datawatch.count_rows(n) - n, n, n, reason
  from datawatch.queue, (select case when (before -> 'partition')::boolean then 0 else 1 end) counted(n);
  if now is null then
    return;
  elsif (after -> 'partition')::boolean and (not (before -> 'partition')::boolean
      or to_regclass(format('%I.%I', before ->> 'root_schema', before ->> 'root_table')) is not null) then
    if pg_relation_size(relation) > 0 then
      perform datawatch.tell_attached(now, relation);
    end if;
  else
    perform datawatch.tell_new(now, relation, clock_timestamp());
  end if;
end
$body$;

-- Makes the function of a table anew where the table's shape is no longer the one that it names.
create or replace function datawatch.refresh(relation oid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  capture oid;
  old_id bigint;
  dropped text[];
  described record;
begin
  select t.tgfoid, substring(p.prosrc from 'shape constant bigint := (-?\d+);')::bigint into capture, old_id
  from pg_trigger t join pg_proc p on p.oid = t.tgfoid
  where t.tgrelid = relation and t.tgname = '_datawatch_insert' and p.pronamespace = 'datawatch'::regnamespace; -- anybody's may have the name
  if old_id is null then
    return false;
  end if;
  select array(select jsonb_array_elements_text(s.shape -> 'drop')) into dropped from datawatch.shapes s where s.id = old_id;
  select * into described from datawatch.describe(relation, dropped);
  if described.id is null or described.id = old_id then
    return false;
  end if;
  insert into datawatch.shapes (id, shape) values (described.id, described.shape) on conflict (id) do nothing;
  perform datawatch.tell_moved(old_id, described.id, relation);
  execute regexp_replace(replace(pg_get_functiondef(capture), old_id::text, described.id::text),
    '/\* sent \*/ \w+', '/* sent */ ' || datawatch.sendable(described.shape), 'g');
  -- What the new columns' text depends on is known to whoever installs; here all of it is pinned.
  if not datawatch.sendable(described.shape) then
    execute format('alter function %s', capture::regprocedure) || $settings$
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set bytea_output = 'hex'
set extra_float_digits = '1'
set lc_monetary = 'C'
set xmlbinary = 'base64'
set quote_all_identifiers = 'off'$settings$;
  end if;
  return true;
end
$body$;

-- Whether the statements of a table are announced, and their rows counted: see "Order within a transaction".
create or replace function datawatch.tracked(relation oid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $body$
  select exists (select from (-- The tables, by their partition tree's root, whose statements are announced when they begin: their own triggers, or those
-- of a statement that cascades to them, may change their rows again before the statement ends. Of triggers that fire
-- before a row is changed, those count whose source has a word that changes something.
with recursive
acting as (
  select coalesce(pg_partition_root(t.tgrelid)::oid, t.tgrelid) as root
  from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_language l on l.oid = p.prolang
  where not t.tgisinternal and p.pronamespace is distinct from to_regnamespace('datawatch') and t.tgenabled in ('O', 'A')
    and t.tgtype & 28 <> 0 and t.tgtype & 64 = 0 -- insert, delete, update; not instead of
    and case t.tgtype & 3
        when 0 then t.tgname < '_datawatch_' -- after a statement, and before ours
        when 1 then true                     -- after each row
        when 3 then case                     -- before each row
          when l.lanname in ('c', 'internal') then false
          when l.lanname in ('plpgsql', 'sql') then regexp_replace(p.prosrc, '''[^'']*''', '', 'g') ~* '\m(insert|update|delete|merge|truncate|copy|execute|perform|call)\M'
          else true end
        else false end
),
cascades as (
  select coalesce(pg_partition_root(confrelid)::oid, confrelid) as parent, coalesce(pg_partition_root(conrelid)::oid, conrelid) as child
  from pg_constraint where contype = 'f' and (confupdtype in ('c', 'n', 'd') or confdeltype in ('c', 'n', 'd'))
),
tracked(root) as (
  select root from acting
  union select child from cascades where parent = child
  union select c.child from tracked t join cascades c on c.parent = t.root
)
select root from tracked) t where t.root = coalesce(pg_partition_root(relation)::oid, relation))
$body$;

-- Makes the triggers that announce the statements of a table, or of a whole partition tree, where they are needed and
-- missing.
create or replace function datawatch.track(relation oid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $body$
declare
  root oid := coalesce(pg_partition_root(relation)::oid, relation);
  member record;
  made record;
begin
  if not datawatch.tracked(relation) then
    return;
  end if;
  for member in
    select t.tgrelid as oid, t.tgfoid::regprocedure as capture from pg_trigger t
    join pg_proc p on p.oid = t.tgfoid and p.pronamespace = 'datawatch'::regnamespace
    where t.tgname = '_datawatch_insert' and (t.tgrelid = root or t.tgrelid in (select relid from pg_partition_tree(root)))
  loop
    for made in
      select n.name, n.fires from (values
        ('_datawatch_open', $sql$before insert or update or delete on {{table}}
  for each statement$sql$, true),
        ('_datawatch_rows_' || member.oid, $sql$after insert or update on {{table}}
  for each row when (pg_catalog.set_config('datawatch.rows_{{oid}}',
    (coalesce(nullif(pg_catalog.current_setting('datawatch.rows_{{oid}}', true), ''), '0')::pg_catalog.int8 + 1)::pg_catalog.text, true) is null)$sql$, member.oid = root),
        ('_datawatch_gone_' || member.oid, $sql$after delete on {{table}}
  for each row when (pg_catalog.set_config('datawatch.gone_{{oid}}',
    (coalesce(nullif(pg_catalog.current_setting('datawatch.gone_{{oid}}', true), ''), '0')::pg_catalog.int8 + 1)::pg_catalog.text, true) is null)$sql$, member.oid = root)) n(name, fires, wanted)
      where n.wanted and not exists (select from pg_trigger t where t.tgrelid = member.oid and t.tgname = n.name)
    loop
      execute format('create trigger %I ', made.name)
        || replace(replace(made.fires, '{{oid}}', member.oid::text), '{{table}}', member.oid::regclass::text)
        || ' execute function ' || member.capture;
    end loop;
  end loop;
end
$body$;

-- Switches capture off, for a database administrator in need: no trigger writes any more. What changes until it is
-- switched on again is a gap, which both tell.
create or replace function datawatch.off() returns timestamptz
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  since timestamptz;
begin
  update datawatch.queue set off = coalesce(off, clock_timestamp()) returning off into since;
  perform datawatch.tell_off(since);
  return since;
end
$body$;

create or replace function datawatch.on() returns timestamptz
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  since timestamptz;
begin
  select off into since from datawatch.queue for update;
  if since is not null then
    update datawatch.queue set off = null;
    perform datawatch.tell_off(since);
  end if;
  return since;
end
$body$;

-- A gap from then until now, in every stream.
create or replace function datawatch.tell_off(since timestamptz) returns void
language sql set search_path = pg_catalog, pg_temp as $body$
  insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, after)
  select q.current, nextval('datawatch.seq'), 0, 'o', substring(p.prosrc from 'shape constant bigint := (-?\d+);')::bigint, clock_timestamp(), 0, 0, 0,
    to_char(since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
  from datawatch.queue q, pg_trigger t join pg_proc p on p.oid = t.tgfoid
  where t.tgname = '_datawatch_insert' and p.pronamespace = 'datawatch'::regnamespace and coalesce(pg_partition_root(t.tgrelid)::oid, t.tgrelid) = t.tgrelid
$body$;

revoke all on all functions in schema datawatch from public;
-- lock: none on your tables
create trigger queue_changed after insert or update on datawatch.queue for each statement execute function datawatch.queue_changed();
-- lock: none on your tables
insert into datawatch.meta (version, server, code) values (4, '{{server}}', '81ee08939a4120a1c50ffae2cc61b3fc');
insert into datawatch.queue (main, toast, room, expires)
select oid, reltoastrelid, 2147483648, now() + interval '86400 seconds' from pg_class where oid = 'datawatch.outbox_0'::regclass;
insert into datawatch.slots (slot) values (0), (1), (2);
insert into datawatch.progress default values;
commit;

begin;
-- optional: needs a superuser; without it the collector sees within seconds what ALTER TABLE did
-- lock: none on your tables
-- Follows ALTER TABLE, and triggers that are made, in the transaction that does it. It never fails that transaction: what
-- it can't do, the collector's reconcile does within seconds.
create or replace function datawatch.follow() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  command record;
begin
  for command in
    with altered as (
      select distinct coalesce(i.indrelid, t.tgrelid, c.objid) as relation
      from pg_event_trigger_ddl_commands() c
      left join pg_index i on c.classid = 'pg_class'::regclass and i.indexrelid = c.objid
      left join pg_trigger t on c.classid = 'pg_trigger'::regclass and t.oid = c.objid
      where c.classid = 'pg_class'::regclass or t.tgfoid not in (select p.oid from pg_proc p where p.pronamespace = 'datawatch'::regnamespace)
    )
    select relation from altered
    union
    -- ATTACH and DETACH are commands of the tree's root: partitions that have another root than they had.
    select t.tgrelid from pg_trigger t
    join pg_proc p on p.oid = t.tgfoid
    join datawatch.shapes s on s.id = substring(p.prosrc from 'shape constant bigint := (-?\d+);')::bigint
    where t.tgname = '_datawatch_insert' and p.pronamespace = 'datawatch'::regnamespace and exists (select from altered a join pg_class c on c.oid = a.relation where c.relkind = 'p')
      and to_regclass(format('%I.%I', s.shape ->> 'root_schema', s.shape ->> 'root_table')) is distinct from coalesce(pg_partition_root(t.tgrelid)::oid, t.tgrelid)::regclass
  loop
    perform datawatch.refresh(command.relation);
    perform datawatch.track(command.relation);
  end loop;
exception when others then
  null;
end
$body$;
revoke all on function datawatch.follow() from public;
drop event trigger if exists datawatch_follow;
create event trigger datawatch_follow on ddl_command_end
  when tag in ('ALTER TABLE', 'CREATE INDEX', 'ALTER INDEX', 'CREATE TRIGGER') execute function datawatch.follow();
commit;

-- "public"."t"
begin;
set local lock_timeout = '100ms';
-- lock: none on your tables
insert into datawatch.shapes (id, shape) values (-6816606189796812180, '{"key": ["id"], "drop": [], "table": "t", "types": {"23": {"kind": "b", "name": "int4", "type": "integer"}, "25": {"kind": "b", "name": "text", "type": "text"}, "1184": {"kind": "b", "name": "timestamptz", "type": "timestamp with time zone"}, "1700": {"kind": "b", "name": "numeric", "type": "numeric"}}, "schema": "public", "columns": [{"oid": "23", "name": "id", "type": "integer"}, {"oid": "25", "name": "v", "type": "text"}, {"oid": "1700", "name": "n", "type": "numeric(12,2)"}, {"oid": "1184", "name": "at", "type": "timestamp with time zone"}], "partition": false, "root_table": "t", "root_schema": "public"}') on conflict (id) do nothing;
-- lock: none on your tables
create or replace function datawatch.capture_t_0c0bf76b() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $capture$
#variable_conflict use_variable
-- Names below may be those of the table's columns too; they mean the variables. Rows are taken whole.
-- Captures what a statement did to "public"."t". Written by datawatch; replaced when the table changes.
-- shape constant bigint := -6816606189796812180;
declare
  nothing record;
  moment timestamptz;
  op "char";
  total bigint;
  gate bigint;
  slot smallint;
  closed boolean;
  large boolean;
  json boolean;
  casts boolean;
  settings text[];
  started bigint;
  number bigint;
  done bigint;
  rows integer;
  bytes bigint;
  size bigint;
  spot datawatch.spot;
  olds refcursor;
  news refcursor;
  old_row text;
  new_row text;
  old_rows text[];
  new_rows text[];
  old_sent bytea;
  new_sent bytea;
  olds_sent bytea[];
  news_sent bytea[];
  ignored text;
  reason text;
begin
  -- A guard is a subtransaction, and where it writes, has an id of its own: the first 50 statements that write get one. The
  -- setting begins with 1 and how many had one: see datawatch.count_rows.
  if current_setting('datawatch.written', true) >= '150' collate "C" then
    -- What is evaluated here is set up anew in each transaction, and costs up to a microsecond: so little is said before the row
    -- of a statement that changed one is written, and that by one query, which does nothing where it is otherwise. Every
    -- 256th such statement goes the longer way, which looks at the size of the outbox.
    gate := case when tg_when = 'AFTER' and pg_client_encoding() = 'UTF8' and coalesce(current_setting('datawatch.open', true), '') = ''
      and (/* sent */ true or not datawatch.brings_casts_in(tg_relid)) then pg_sequence_last_value('datawatch.gate') end;
    if gate = 0 then
      if tg_op = 'UPDATE' then
        insert into datawatch.single_0 (seq, txid, op, json, shape, at, counted, application, login, client, tag, was, became)
        select drawn, pg_current_xact_id(), 'u', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
            (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 0))::text, true)::bigint,
          current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), o, n
        from (
          select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_old.*) else textsend(to_json(datawatch_old.*)::text) end as o, case when /* sent */ true then record_send(datawatch_new.*) else textsend(to_json(datawatch_new.*)::text) end as n
          from datawatch_old, datawatch_new where not exists (select from datawatch_new offset 1) offset 0) one
        where drawn & 255 > 0 and octet_length(o) + octet_length(n) <= 102400;
      elsif tg_op = 'INSERT' then
        insert into datawatch.single_0 (seq, txid, op, json, shape, at, counted, application, login, client, tag, became)
        select drawn, pg_current_xact_id(), 'i', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
            (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 0))::text, true)::bigint,
          current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), n
        from (
          select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_new.*) else textsend(to_json(datawatch_new.*)::text) end as n
          from datawatch_new where not exists (select from datawatch_new offset 1) offset 0) one
        where drawn & 255 > 0 and octet_length(n) <= 102400;
      else
        insert into datawatch.single_0 (seq, txid, op, json, shape, at, counted, application, login, client, tag, was)
        select drawn, pg_current_xact_id(), 'd', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
            (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 0))::text, true)::bigint,
          current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), o
        from (
          select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_old.*) else textsend(to_json(datawatch_old.*)::text) end as o
          from datawatch_old where not exists (select from datawatch_old offset 1) offset 0) one
        where drawn & 255 > 0 and octet_length(o) <= 102400;
      end if;
    elsif gate = 1 then
      if tg_op = 'UPDATE' then
        insert into datawatch.single_1 (seq, txid, op, json, shape, at, counted, application, login, client, tag, was, became)
        select drawn, pg_current_xact_id(), 'u', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
            (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 0))::text, true)::bigint,
          current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), o, n
        from (
          select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_old.*) else textsend(to_json(datawatch_old.*)::text) end as o, case when /* sent */ true then record_send(datawatch_new.*) else textsend(to_json(datawatch_new.*)::text) end as n
          from datawatch_old, datawatch_new where not exists (select from datawatch_new offset 1) offset 0) one
        where drawn & 255 > 0 and octet_length(o) + octet_length(n) <= 102400;
      elsif tg_op = 'INSERT' then
        insert into datawatch.single_1 (seq, txid, op, json, shape, at, counted, application, login, client, tag, became)
        select drawn, pg_current_xact_id(), 'i', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
            (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 0))::text, true)::bigint,
          current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), n
        from (
          select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_new.*) else textsend(to_json(datawatch_new.*)::text) end as n
          from datawatch_new where not exists (select from datawatch_new offset 1) offset 0) one
        where drawn & 255 > 0 and octet_length(n) <= 102400;
      else
        insert into datawatch.single_1 (seq, txid, op, json, shape, at, counted, application, login, client, tag, was)
        select drawn, pg_current_xact_id(), 'd', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
            (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 0))::text, true)::bigint,
          current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), o
        from (
          select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_old.*) else textsend(to_json(datawatch_old.*)::text) end as o
          from datawatch_old where not exists (select from datawatch_old offset 1) offset 0) one
        where drawn & 255 > 0 and octet_length(o) <= 102400;
      end if;
    elsif gate = 2 then
      if tg_op = 'UPDATE' then
        insert into datawatch.single_2 (seq, txid, op, json, shape, at, counted, application, login, client, tag, was, became)
        select drawn, pg_current_xact_id(), 'u', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
            (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 0))::text, true)::bigint,
          current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), o, n
        from (
          select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_old.*) else textsend(to_json(datawatch_old.*)::text) end as o, case when /* sent */ true then record_send(datawatch_new.*) else textsend(to_json(datawatch_new.*)::text) end as n
          from datawatch_old, datawatch_new where not exists (select from datawatch_new offset 1) offset 0) one
        where drawn & 255 > 0 and octet_length(o) + octet_length(n) <= 102400;
      elsif tg_op = 'INSERT' then
        insert into datawatch.single_2 (seq, txid, op, json, shape, at, counted, application, login, client, tag, became)
        select drawn, pg_current_xact_id(), 'i', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
            (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 0))::text, true)::bigint,
          current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), n
        from (
          select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_new.*) else textsend(to_json(datawatch_new.*)::text) end as n
          from datawatch_new where not exists (select from datawatch_new offset 1) offset 0) one
        where drawn & 255 > 0 and octet_length(n) <= 102400;
      else
        insert into datawatch.single_2 (seq, txid, op, json, shape, at, counted, application, login, client, tag, was)
        select drawn, pg_current_xact_id(), 'd', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
            (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 0))::text, true)::bigint,
          current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), o
        from (
          select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_old.*) else textsend(to_json(datawatch_old.*)::text) end as o
          from datawatch_old where not exists (select from datawatch_old offset 1) offset 0) one
        where drawn & 255 > 0 and octet_length(o) <= 102400;
      end if;
    end if;
    if found then
      return nothing;
    elsif tg_when = 'BEFORE' and tg_op <> 'TRUNCATE' then
      ignored := datawatch.statement_begins(tg_relid, tg_op, pg_trigger_depth());
      return nothing;
    end if;
    moment := clock_timestamp();
    op := lower(left(tg_op, 1));
    done := 0;
    rows := 0;
    bytes := 0;
    if tg_op = 'INSERT' then
      select (select count(*) from datawatch_new), queue.current, datawatch.is_closed() into total, slot, closed from datawatch.queue;
    elsif tg_op <> 'TRUNCATE' then
      select (select count(*) from datawatch_old), queue.current, datawatch.is_closed() into total, slot, closed from datawatch.queue;
    else
      select 1, queue.current, datawatch.is_closed() into total, slot, closed from datawatch.queue;
    end if;
    if current_setting('datawatch.open', true) <> '' then
      spot := datawatch.statement_ends(tg_relid, tg_op, pg_trigger_depth(), total > 0 and closed is false);
    end if;
    if closed is not false then
      if closed and total > 0 then
        ignored := nextval('datawatch.skipped');
      end if;
      return nothing;
    end if;
    if total = 0 then
      if spot.start is not null then
        -- It changed nothing; what its triggers did is behind it all the same.
        insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place)
        values (slot, nextval('datawatch.seq'), 0, 'm', -6816606189796812180, moment, datawatch.count_rows(0), 0, 0, spot.start, spot.behind, spot.place);
      end if;
      return nothing;
    end if;
    -- Rows of a statement that is behind another aren't counted.
    started := datawatch.count_rows(case when spot.behind is null then total else 0 end + 0);
    if spot.behind is null then
      started := started - total;
    end if;
    number := nextval('datawatch.seq');
    large := datawatch.has_large_values(tg_relid);
    json := tg_op = 'TRUNCATE' or large or not /* sent */ true or pg_client_encoding() <> 'UTF8';
    casts := json and tg_op <> 'TRUNCATE' and not not datawatch.brings_casts_in(tg_relid);
    if json and /* sent */ true then
      settings := datawatch.pin_settings();
    end if;
    if tg_op = 'TRUNCATE' then
      perform datawatch.capture_truncate(slot, number, -6816606189796812180, moment, started, tg_relid, spot);
    elsif total = 1 and json and not casts then
      if tg_op = 'INSERT' then
        insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, after)
        select slot, number, 0, 'i', -6816606189796812180, moment, started, 1, 1, spot.start, spot.behind, spot.place, '[' || to_json(datawatch_new.*)::text || ']' from datawatch_new;
      elsif tg_op = 'DELETE' then
        insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, before)
        select slot, number, 0, 'd', -6816606189796812180, moment, started, 1, 1, spot.start, spot.behind, spot.place, '[' || to_json(datawatch_old.*)::text || ']' from datawatch_old;
      else
        insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, before, after)
        select slot, number, 0, 'u', -6816606189796812180, moment, started, 1, 1, spot.start, spot.behind, spot.place,
               '[' || to_json(datawatch_old.*)::text || ']', '[' || to_json(datawatch_new.*)::text || ']'
        from datawatch_old, datawatch_new;
      end if;
    elsif large or casts then
      -- One row at a time, and a pack has at most 1 MiB, or a single row. Transition tables hold old and new rows in the same
      -- order.
      if tg_op <> 'INSERT' and casts then
        open olds for execute 'select ' || datawatch.row_sql(tg_relid, 'datawatch_old', array[]::text[]) || ' from datawatch_old';
      elsif tg_op <> 'INSERT' then
        open olds for select to_json(datawatch_old.*)::text from datawatch_old;
      end if;
      if tg_op <> 'DELETE' and casts then
        open news for execute 'select ' || datawatch.row_sql(tg_relid, 'datawatch_new', array[]::text[]) || ' from datawatch_new';
      elsif tg_op <> 'DELETE' then
        open news for select to_json(datawatch_new.*)::text from datawatch_new;
      end if;
      while done + rows < total loop
        if tg_op <> 'INSERT' then
          fetch olds into old_row;
        end if;
        if tg_op <> 'DELETE' then
          fetch news into new_row;
        end if;
        size := coalesce(octet_length(old_row), 0) + coalesce(octet_length(new_row), 0);
        if rows = 200 or rows > 0 and bytes + size > 1048576 then
          perform datawatch.write_pack(slot, number, done, tg_op, -6816606189796812180, moment, started + done, rows, total, spot, old_rows, new_rows);
          done := done + rows;
          rows := 0;
          bytes := 0;
          old_rows := null;
          new_rows := null;
        end if;
        rows := rows + 1;
        bytes := bytes + size;
        if tg_op <> 'INSERT' then
          old_rows := array_append(old_rows, old_row);
        end if;
        if tg_op <> 'DELETE' then
          new_rows := array_append(new_rows, new_row);
        end if;
      end loop;
    elsif not json then
      if op = 'i' then
        for new_sent in select record_send(datawatch_new.*) from datawatch_new loop
          news_sent := array_append(news_sent, new_sent);
          bytes := bytes + octet_length(new_sent);
          if bytes > 1048576 or cardinality(news_sent) = 200 then
            insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, bytes, olds, news)
            values (slot, number, done, op, -6816606189796812180, moment, started + done, cardinality(coalesce(news_sent, olds_sent)), total, spot.start, spot.behind, spot.place,
              bytes, olds_sent, news_sent);
            done := done + cardinality(coalesce(news_sent, olds_sent));
            bytes := 0;
            olds_sent := null;
            news_sent := null;
          end if;
        end loop;
      elsif op = 'd' then
        for old_sent in select record_send(datawatch_old.*) from datawatch_old loop
          olds_sent := array_append(olds_sent, old_sent);
          bytes := bytes + octet_length(old_sent);
          if bytes > 1048576 or cardinality(olds_sent) = 200 then
            insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, bytes, olds, news)
            values (slot, number, done, op, -6816606189796812180, moment, started + done, cardinality(coalesce(news_sent, olds_sent)), total, spot.start, spot.behind, spot.place,
              bytes, olds_sent, news_sent);
            done := done + cardinality(coalesce(news_sent, olds_sent));
            bytes := 0;
            olds_sent := null;
            news_sent := null;
          end if;
        end loop;
      else
        open news for select record_send(datawatch_new.*) from datawatch_new;
        for old_sent in select record_send(datawatch_old.*) from datawatch_old loop
          fetch news into new_sent;
          olds_sent := array_append(olds_sent, old_sent);
          news_sent := array_append(news_sent, new_sent);
          bytes := bytes + octet_length(old_sent) + octet_length(new_sent);
          if bytes > 1048576 or cardinality(olds_sent) = 200 then
            insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, bytes, olds, news)
            values (slot, number, done, op, -6816606189796812180, moment, started + done, cardinality(coalesce(news_sent, olds_sent)), total, spot.start, spot.behind, spot.place,
              bytes, olds_sent, news_sent);
            done := done + cardinality(coalesce(news_sent, olds_sent));
            bytes := 0;
            olds_sent := null;
            news_sent := null;
          end if;
        end loop;
      end if;
      if bytes > 0 then
        insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, bytes, olds, news)
        values (slot, number, done, op, -6816606189796812180, moment, started + done, cardinality(coalesce(news_sent, olds_sent)), total, spot.start, spot.behind, spot.place,
          bytes, olds_sent, news_sent);
        done := done + cardinality(coalesce(news_sent, olds_sent));
        bytes := 0;
        olds_sent := null;
        news_sent := null;
      end if;
    elsif tg_op = 'INSERT' then
      for new_row in select to_json(datawatch_new.*)::text from datawatch_new loop
        size := octet_length(new_row);
        if rows = 200 or rows > 0 and bytes + size > 1048576 then
          perform datawatch.write_pack(slot, number, done, tg_op, -6816606189796812180, moment, started + done, rows, total, spot, old_rows, new_rows);
          done := done + rows;
          rows := 0;
          bytes := 0;
          old_rows := null;
          new_rows := null;
        end if;
        rows := rows + 1;
        bytes := bytes + size;
        new_rows := array_append(new_rows, new_row);
      end loop;
    elsif tg_op = 'DELETE' then
      for old_row in select to_json(datawatch_old.*)::text from datawatch_old loop
        size := octet_length(old_row);
        if rows = 200 or rows > 0 and bytes + size > 1048576 then
          perform datawatch.write_pack(slot, number, done, tg_op, -6816606189796812180, moment, started + done, rows, total, spot, old_rows, new_rows);
          done := done + rows;
          rows := 0;
          bytes := 0;
          old_rows := null;
          new_rows := null;
        end if;
        rows := rows + 1;
        bytes := bytes + size;
        old_rows := array_append(old_rows, old_row);
      end loop;
    else
      open news for select to_json(datawatch_new.*)::text from datawatch_new;
      for old_row in select to_json(datawatch_old.*)::text from datawatch_old loop
        fetch news into new_row;
        size := octet_length(old_row) + octet_length(new_row);
        if rows = 200 or rows > 0 and bytes + size > 1048576 then
          perform datawatch.write_pack(slot, number, done, tg_op, -6816606189796812180, moment, started + done, rows, total, spot, old_rows, new_rows);
          done := done + rows;
          rows := 0;
          bytes := 0;
          old_rows := null;
          new_rows := null;
        end if;
        rows := rows + 1;
        bytes := bytes + size;
        old_rows := array_append(old_rows, old_row);
        new_rows := array_append(new_rows, new_row);
      end loop;
    end if;
    if rows > 0 then
      perform datawatch.write_pack(slot, number, done, tg_op, -6816606189796812180, moment, started + done, rows, total, spot, old_rows, new_rows);
    end if;
    if settings is not null then
      perform datawatch.restore_settings(settings);
    end if;
    return nothing;
  else
    begin
      -- What is evaluated here is set up anew in each transaction, and costs up to a microsecond: so little is said before the row
      -- of a statement that changed one is written, and that by one query, which does nothing where it is otherwise. Every
      -- 256th such statement goes the longer way, which looks at the size of the outbox.
      gate := case when tg_when = 'AFTER' and pg_client_encoding() = 'UTF8' and coalesce(current_setting('datawatch.open', true), '') = ''
        and (/* sent */ true or not datawatch.brings_casts_in(tg_relid)) then pg_sequence_last_value('datawatch.gate') end;
      if gate = 0 then
        if tg_op = 'UPDATE' then
          insert into datawatch.single_0 (seq, txid, op, json, shape, at, counted, application, login, client, tag, was, became)
          select drawn, pg_current_xact_id(), 'u', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
              (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 100000000000000))::text, true)::bigint,
            current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), o, n
          from (
            select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_old.*) else textsend(to_json(datawatch_old.*)::text) end as o, case when /* sent */ true then record_send(datawatch_new.*) else textsend(to_json(datawatch_new.*)::text) end as n
            from datawatch_old, datawatch_new where not exists (select from datawatch_new offset 1) offset 0) one
          where drawn & 255 > 0 and octet_length(o) + octet_length(n) <= 102400;
        elsif tg_op = 'INSERT' then
          insert into datawatch.single_0 (seq, txid, op, json, shape, at, counted, application, login, client, tag, became)
          select drawn, pg_current_xact_id(), 'i', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
              (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 100000000000000))::text, true)::bigint,
            current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), n
          from (
            select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_new.*) else textsend(to_json(datawatch_new.*)::text) end as n
            from datawatch_new where not exists (select from datawatch_new offset 1) offset 0) one
          where drawn & 255 > 0 and octet_length(n) <= 102400;
        else
          insert into datawatch.single_0 (seq, txid, op, json, shape, at, counted, application, login, client, tag, was)
          select drawn, pg_current_xact_id(), 'd', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
              (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 100000000000000))::text, true)::bigint,
            current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), o
          from (
            select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_old.*) else textsend(to_json(datawatch_old.*)::text) end as o
            from datawatch_old where not exists (select from datawatch_old offset 1) offset 0) one
          where drawn & 255 > 0 and octet_length(o) <= 102400;
        end if;
      elsif gate = 1 then
        if tg_op = 'UPDATE' then
          insert into datawatch.single_1 (seq, txid, op, json, shape, at, counted, application, login, client, tag, was, became)
          select drawn, pg_current_xact_id(), 'u', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
              (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 100000000000000))::text, true)::bigint,
            current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), o, n
          from (
            select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_old.*) else textsend(to_json(datawatch_old.*)::text) end as o, case when /* sent */ true then record_send(datawatch_new.*) else textsend(to_json(datawatch_new.*)::text) end as n
            from datawatch_old, datawatch_new where not exists (select from datawatch_new offset 1) offset 0) one
          where drawn & 255 > 0 and octet_length(o) + octet_length(n) <= 102400;
        elsif tg_op = 'INSERT' then
          insert into datawatch.single_1 (seq, txid, op, json, shape, at, counted, application, login, client, tag, became)
          select drawn, pg_current_xact_id(), 'i', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
              (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 100000000000000))::text, true)::bigint,
            current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), n
          from (
            select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_new.*) else textsend(to_json(datawatch_new.*)::text) end as n
            from datawatch_new where not exists (select from datawatch_new offset 1) offset 0) one
          where drawn & 255 > 0 and octet_length(n) <= 102400;
        else
          insert into datawatch.single_1 (seq, txid, op, json, shape, at, counted, application, login, client, tag, was)
          select drawn, pg_current_xact_id(), 'd', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
              (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 100000000000000))::text, true)::bigint,
            current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), o
          from (
            select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_old.*) else textsend(to_json(datawatch_old.*)::text) end as o
            from datawatch_old where not exists (select from datawatch_old offset 1) offset 0) one
          where drawn & 255 > 0 and octet_length(o) <= 102400;
        end if;
      elsif gate = 2 then
        if tg_op = 'UPDATE' then
          insert into datawatch.single_2 (seq, txid, op, json, shape, at, counted, application, login, client, tag, was, became)
          select drawn, pg_current_xact_id(), 'u', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
              (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 100000000000000))::text, true)::bigint,
            current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), o, n
          from (
            select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_old.*) else textsend(to_json(datawatch_old.*)::text) end as o, case when /* sent */ true then record_send(datawatch_new.*) else textsend(to_json(datawatch_new.*)::text) end as n
            from datawatch_old, datawatch_new where not exists (select from datawatch_new offset 1) offset 0) one
          where drawn & 255 > 0 and octet_length(o) + octet_length(n) <= 102400;
        elsif tg_op = 'INSERT' then
          insert into datawatch.single_2 (seq, txid, op, json, shape, at, counted, application, login, client, tag, became)
          select drawn, pg_current_xact_id(), 'i', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
              (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 100000000000000))::text, true)::bigint,
            current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), n
          from (
            select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_new.*) else textsend(to_json(datawatch_new.*)::text) end as n
            from datawatch_new where not exists (select from datawatch_new offset 1) offset 0) one
          where drawn & 255 > 0 and octet_length(n) <= 102400;
        else
          insert into datawatch.single_2 (seq, txid, op, json, shape, at, counted, application, login, client, tag, was)
          select drawn, pg_current_xact_id(), 'd', not /* sent */ true, -6816606189796812180, clock_timestamp(), set_config('datawatch.written',
              (coalesce(nullif(current_setting('datawatch.written', true), ''), '10000000000000000')::bigint + (1 + 100000000000000))::text, true)::bigint,
            current_setting('application_name'), session_user, inet_client_addr(), current_setting('datawatch.tag', true), o
          from (
            select nextval('datawatch.seq') as drawn, case when /* sent */ true then record_send(datawatch_old.*) else textsend(to_json(datawatch_old.*)::text) end as o
            from datawatch_old where not exists (select from datawatch_old offset 1) offset 0) one
          where drawn & 255 > 0 and octet_length(o) <= 102400;
        end if;
      end if;
      if found then
        return nothing;
      elsif tg_when = 'BEFORE' and tg_op <> 'TRUNCATE' then
        ignored := datawatch.statement_begins(tg_relid, tg_op, pg_trigger_depth());
        return nothing;
      end if;
      moment := clock_timestamp();
      op := lower(left(tg_op, 1));
      done := 0;
      rows := 0;
      bytes := 0;
      if tg_op = 'INSERT' then
        select (select count(*) from datawatch_new), queue.current, datawatch.is_closed() into total, slot, closed from datawatch.queue;
      elsif tg_op <> 'TRUNCATE' then
        select (select count(*) from datawatch_old), queue.current, datawatch.is_closed() into total, slot, closed from datawatch.queue;
      else
        select 1, queue.current, datawatch.is_closed() into total, slot, closed from datawatch.queue;
      end if;
      if current_setting('datawatch.open', true) <> '' then
        spot := datawatch.statement_ends(tg_relid, tg_op, pg_trigger_depth(), total > 0 and closed is false);
      end if;
      if closed is not false then
        if closed and total > 0 then
          ignored := nextval('datawatch.skipped');
        end if;
        return nothing;
      end if;
      if total = 0 then
        if spot.start is not null then
          -- It changed nothing; what its triggers did is behind it all the same.
          insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place)
          values (slot, nextval('datawatch.seq'), 0, 'm', -6816606189796812180, moment, datawatch.count_rows(100000000000000), 0, 0, spot.start, spot.behind, spot.place);
        end if;
        return nothing;
      end if;
      -- Rows of a statement that is behind another aren't counted.
      started := datawatch.count_rows(case when spot.behind is null then total else 0 end + 100000000000000);
      if spot.behind is null then
        started := started - total;
      end if;
      number := nextval('datawatch.seq');
      large := datawatch.has_large_values(tg_relid);
      json := tg_op = 'TRUNCATE' or large or not /* sent */ true or pg_client_encoding() <> 'UTF8';
      casts := json and tg_op <> 'TRUNCATE' and not not datawatch.brings_casts_in(tg_relid);
      if json and /* sent */ true then
        settings := datawatch.pin_settings();
      end if;
      if tg_op = 'TRUNCATE' then
        perform datawatch.capture_truncate(slot, number, -6816606189796812180, moment, started, tg_relid, spot);
      elsif total = 1 and json and not casts then
        if tg_op = 'INSERT' then
          insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, after)
          select slot, number, 0, 'i', -6816606189796812180, moment, started, 1, 1, spot.start, spot.behind, spot.place, '[' || to_json(datawatch_new.*)::text || ']' from datawatch_new;
        elsif tg_op = 'DELETE' then
          insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, before)
          select slot, number, 0, 'd', -6816606189796812180, moment, started, 1, 1, spot.start, spot.behind, spot.place, '[' || to_json(datawatch_old.*)::text || ']' from datawatch_old;
        else
          insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, before, after)
          select slot, number, 0, 'u', -6816606189796812180, moment, started, 1, 1, spot.start, spot.behind, spot.place,
                 '[' || to_json(datawatch_old.*)::text || ']', '[' || to_json(datawatch_new.*)::text || ']'
          from datawatch_old, datawatch_new;
        end if;
      elsif large or casts then
        -- One row at a time, and a pack has at most 1 MiB, or a single row. Transition tables hold old and new rows in the same
        -- order.
        if tg_op <> 'INSERT' and casts then
          open olds for execute 'select ' || datawatch.row_sql(tg_relid, 'datawatch_old', array[]::text[]) || ' from datawatch_old';
        elsif tg_op <> 'INSERT' then
          open olds for select to_json(datawatch_old.*)::text from datawatch_old;
        end if;
        if tg_op <> 'DELETE' and casts then
          open news for execute 'select ' || datawatch.row_sql(tg_relid, 'datawatch_new', array[]::text[]) || ' from datawatch_new';
        elsif tg_op <> 'DELETE' then
          open news for select to_json(datawatch_new.*)::text from datawatch_new;
        end if;
        while done + rows < total loop
          if tg_op <> 'INSERT' then
            fetch olds into old_row;
          end if;
          if tg_op <> 'DELETE' then
            fetch news into new_row;
          end if;
          size := coalesce(octet_length(old_row), 0) + coalesce(octet_length(new_row), 0);
          if rows = 200 or rows > 0 and bytes + size > 1048576 then
            perform datawatch.write_pack(slot, number, done, tg_op, -6816606189796812180, moment, started + done, rows, total, spot, old_rows, new_rows);
            done := done + rows;
            rows := 0;
            bytes := 0;
            old_rows := null;
            new_rows := null;
          end if;
          rows := rows + 1;
          bytes := bytes + size;
          if tg_op <> 'INSERT' then
            old_rows := array_append(old_rows, old_row);
          end if;
          if tg_op <> 'DELETE' then
            new_rows := array_append(new_rows, new_row);
          end if;
        end loop;
      elsif not json then
        if op = 'i' then
          for new_sent in select record_send(datawatch_new.*) from datawatch_new loop
            news_sent := array_append(news_sent, new_sent);
            bytes := bytes + octet_length(new_sent);
            if bytes > 1048576 or cardinality(news_sent) = 200 then
              insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, bytes, olds, news)
              values (slot, number, done, op, -6816606189796812180, moment, started + done, cardinality(coalesce(news_sent, olds_sent)), total, spot.start, spot.behind, spot.place,
                bytes, olds_sent, news_sent);
              done := done + cardinality(coalesce(news_sent, olds_sent));
              bytes := 0;
              olds_sent := null;
              news_sent := null;
            end if;
          end loop;
        elsif op = 'd' then
          for old_sent in select record_send(datawatch_old.*) from datawatch_old loop
            olds_sent := array_append(olds_sent, old_sent);
            bytes := bytes + octet_length(old_sent);
            if bytes > 1048576 or cardinality(olds_sent) = 200 then
              insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, bytes, olds, news)
              values (slot, number, done, op, -6816606189796812180, moment, started + done, cardinality(coalesce(news_sent, olds_sent)), total, spot.start, spot.behind, spot.place,
                bytes, olds_sent, news_sent);
              done := done + cardinality(coalesce(news_sent, olds_sent));
              bytes := 0;
              olds_sent := null;
              news_sent := null;
            end if;
          end loop;
        else
          open news for select record_send(datawatch_new.*) from datawatch_new;
          for old_sent in select record_send(datawatch_old.*) from datawatch_old loop
            fetch news into new_sent;
            olds_sent := array_append(olds_sent, old_sent);
            news_sent := array_append(news_sent, new_sent);
            bytes := bytes + octet_length(old_sent) + octet_length(new_sent);
            if bytes > 1048576 or cardinality(olds_sent) = 200 then
              insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, bytes, olds, news)
              values (slot, number, done, op, -6816606189796812180, moment, started + done, cardinality(coalesce(news_sent, olds_sent)), total, spot.start, spot.behind, spot.place,
                bytes, olds_sent, news_sent);
              done := done + cardinality(coalesce(news_sent, olds_sent));
              bytes := 0;
              olds_sent := null;
              news_sent := null;
            end if;
          end loop;
        end if;
        if bytes > 0 then
          insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, bytes, olds, news)
          values (slot, number, done, op, -6816606189796812180, moment, started + done, cardinality(coalesce(news_sent, olds_sent)), total, spot.start, spot.behind, spot.place,
            bytes, olds_sent, news_sent);
          done := done + cardinality(coalesce(news_sent, olds_sent));
          bytes := 0;
          olds_sent := null;
          news_sent := null;
        end if;
      elsif tg_op = 'INSERT' then
        for new_row in select to_json(datawatch_new.*)::text from datawatch_new loop
          size := octet_length(new_row);
          if rows = 200 or rows > 0 and bytes + size > 1048576 then
            perform datawatch.write_pack(slot, number, done, tg_op, -6816606189796812180, moment, started + done, rows, total, spot, old_rows, new_rows);
            done := done + rows;
            rows := 0;
            bytes := 0;
            old_rows := null;
            new_rows := null;
          end if;
          rows := rows + 1;
          bytes := bytes + size;
          new_rows := array_append(new_rows, new_row);
        end loop;
      elsif tg_op = 'DELETE' then
        for old_row in select to_json(datawatch_old.*)::text from datawatch_old loop
          size := octet_length(old_row);
          if rows = 200 or rows > 0 and bytes + size > 1048576 then
            perform datawatch.write_pack(slot, number, done, tg_op, -6816606189796812180, moment, started + done, rows, total, spot, old_rows, new_rows);
            done := done + rows;
            rows := 0;
            bytes := 0;
            old_rows := null;
            new_rows := null;
          end if;
          rows := rows + 1;
          bytes := bytes + size;
          old_rows := array_append(old_rows, old_row);
        end loop;
      else
        open news for select to_json(datawatch_new.*)::text from datawatch_new;
        for old_row in select to_json(datawatch_old.*)::text from datawatch_old loop
          fetch news into new_row;
          size := octet_length(old_row) + octet_length(new_row);
          if rows = 200 or rows > 0 and bytes + size > 1048576 then
            perform datawatch.write_pack(slot, number, done, tg_op, -6816606189796812180, moment, started + done, rows, total, spot, old_rows, new_rows);
            done := done + rows;
            rows := 0;
            bytes := 0;
            old_rows := null;
            new_rows := null;
          end if;
          rows := rows + 1;
          bytes := bytes + size;
          old_rows := array_append(old_rows, old_row);
          new_rows := array_append(new_rows, new_row);
        end loop;
      end if;
      if rows > 0 then
        perform datawatch.write_pack(slot, number, done, tg_op, -6816606189796812180, moment, started + done, rows, total, spot, old_rows, new_rows);
      end if;
      if settings is not null then
        perform datawatch.restore_settings(settings);
      end if;
      return nothing;
    exception when others then
      get stacked diagnostics reason = message_text;
      perform datawatch.capture_failed(-6816606189796812180, reason, tg_relid, case when tg_when = 'AFTER' or tg_op = 'TRUNCATE' then tg_op end, pg_trigger_depth());
      return nothing;
    end;
  end if;
end
$capture$;
revoke all on function datawatch.capture_t_0c0bf76b() from public;
-- lock: SHARE ROW EXCLUSIVE on "public"."t", for an instant: waits for its writers, and reads go on
create trigger _datawatch_insert after insert on "public"."t" referencing new table as datawatch_new
  for each statement execute function datawatch.capture_t_0c0bf76b();
-- lock: SHARE ROW EXCLUSIVE on "public"."t", for an instant: waits for its writers, and reads go on
create trigger _datawatch_update after update on "public"."t" referencing old table as datawatch_old new table as datawatch_new
  for each statement execute function datawatch.capture_t_0c0bf76b();
-- lock: SHARE ROW EXCLUSIVE on "public"."t", for an instant: waits for its writers, and reads go on
create trigger _datawatch_delete after delete on "public"."t" referencing old table as datawatch_old
  for each statement execute function datawatch.capture_t_0c0bf76b();
-- lock: SHARE ROW EXCLUSIVE on "public"."t", for an instant: waits for its writers, and reads go on
create trigger _datawatch_truncate before truncate on "public"."t"
  for each statement execute function datawatch.capture_t_0c0bf76b();
commit;
