-- What a session's settings make of a text counts here too, so no literal has a backslash: with standard_conforming_strings off it
-- would escape.

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
  if listed !~ '^(([1-9][0-9]*)?,[0-9]+,[0-9]+[A-Z],datawatch[.](rows|gone)_[0-9]+,(-|[0-9]+),n?,s?( (?!$)|$))*$' then
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
    context := substring(context from E'datawatch[.]capture_[^\n]*\n([^\n]*)');
    if context ~ '(DELETE FROM|UPDATE) (ONLY )?".* WHERE [$][0-9]+[^ ]* OPERATOR[(]' then
      level := depth - 1;
    end if;
  end if;
  if level <> depth or last[2] is distinct from level::text then
    -- Nothing may have been written since another was announced.
    number := greatest({{place}}, (select max(nullif(split_part(o, ',', 1), '')::bigint) + 1 from unnest(listed) o));
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
      spot.place := greatest(0, coalesce(nullif(current_setting(entry[4], true), ''), '0')::bigint);
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

-- Counts rows of the transaction that were captured. The setting datawatch.written has them in its last 14 digits; before these are
-- a 1 and, in two digits, how many statements of the transaction had a guard, so that one setting does for both. It is inlined.
create or replace function datawatch.counted(more bigint) returns bigint language sql as $body$
  select pg_catalog.set_config('datawatch.written', (coalesce(nullif(pg_catalog.current_setting('datawatch.written', true), ''), '10000000000000000')::pg_catalog.int8
    operator(pg_catalog.+) more)::pg_catalog.text, true)::pg_catalog.int8
$body$;

-- Counts rows as counted does, and tells how many there are then.
create or replace function datawatch.count_rows(more bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  return datawatch.counted(more) % 100000000000000;
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
  values (coalesce((select queue.current from datawatch.queue), nullif(pg_sequence_last_value('datawatch.gate'), 3)), {{number}}, 0, 'g', shape, clock_timestamp(), started, 0, 0,
    spot.start, spot.behind, spot.place, reason);
exception when serialization_failure then
  raise;
when others then
  perform {{one more unnoted}};
end
$body$;

-- Whether the images of an UPDATE of a partitioned table can't be captured. What is lacking is told as a gap:
-- - Rows that a MERGE moves to another partition are in no transition table. What these have is right, and can be captured.
-- - A MERGE that has inserted into a partition without a trigger {{merge.name}} has false new images of what it updates behind that.
-- - A row of an UPDATE that a trigger keeps from the partition that it moves to is in one of the two tables.
-- The statement at work, or one that runs it, is known for a MERGE by its text, which says it of some that aren't, or that move no row.
-- Between SET and the next action of the MERGE, any mention of a column of the partition key, of the table or of a partition with
-- partitions, counts. What runs statements without naming them is looked for by its own name: a prepared statement, and a function
-- in the line behind our trigger's.
create or replace function datawatch.lacks_images(shape bigint, relation oid, depth integer, olds bigint, news bigint) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare
  context text collate "C";
  said text collate "C" := current_query();
  caller text collate "C";
begin
  if current_setting('server_version_num')::integer >= 150000 then
    get diagnostics context = pg_context;
    caller := left(substring(context from E'datawatch[.]capture_[^\n]*\n([^\n]*)'), 10000);
    if said ~* '[[:<:]]execute[[:>:]]' then
      said := concat_ws(' ', said, (select string_agg(statement, ' ') from pg_prepared_statements));
    end if;
    if caller is not null then
      context := concat_ws(' ', context, (
        select string_agg(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc), ' ') from pg_proc p join pg_language l on l.oid = p.prolang and l.lanname in ('sql', 'plpgsql')
        where p.proname = any (regexp_split_to_array(caller, '[^[:alnum:]_]+') || regexp_split_to_array(caller, '"'))));
    end if;
    if concat_ws(' ', said, context) ~* '[[:<:]]merge([[:space:]]|/[*]|--)' then
      said := lower(concat_ws(' ', {{words said}}, context));
      if news > 0 and said ~ '[[:<:]]insert[[:>:]]' and exists (
          select from pg_partition_tree(relation) t where t.isleaf and not exists (select from pg_trigger g where g.tgrelid = t.relid and g.tgtype & 71 = 7)) then -- before insert, for each row
        perform datawatch.capture_failed(shape, 'a partition has no trigger {{merge.name}} yet: without it, PostgreSQL gives triggers the row that a MERGE inserted last for those that it updates behind it', relation, 'UPDATE', depth);
        return true;
      elsif exists (
          select from pg_partition_tree(relation) t join pg_partitioned_table p on p.partrelid = t.relid
          cross join lateral unnest(p.partattrs::smallint[]) k(attnum) left join pg_attribute a on a.attrelid = p.partrelid and a.attnum = k.attnum
          cross join lateral regexp_matches(said, '[[:<:]]set[[:>:]](.*?)([[:<:]]when[[:space:]]+(not[[:space:]]+)?matched|[[:<:]]returning[[:>:]]|$)', 'g') action
          where k.attnum = 0 or lower(a.attname) = any (regexp_split_to_array(action[1], '[^[:alnum:]_]+'))
            or a.attname !~ '^[[:alnum:]_]+$' and position(lower(a.attname) in action[1]) > 0) then
        perform datawatch.capture_failed(shape, 'MERGE sets a column of the partition key: PostgreSQL tells no trigger which rows move to another partition', relation, null, depth);
        return false;
      end if;
    end if;
  end if;
  if olds <> news then
    perform datawatch.capture_failed(shape, 'a trigger kept rows from the partition that they moved to', relation, 'UPDATE', depth);
  end if;
  return olds <> news;
end
$body$;

{{rows}}

-- Pins what the text of values depends on, and tells what it was. A function whose table has a type that is told by its text
-- pins it for each statement, by its own clauses; the others do so only where they write JSON, since each setting costs a
-- statement a microsecond or two.
create or replace function datawatch.pin_settings() returns text[]
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare
  were text[] := array[{{settings.were}}];
begin
  perform {{settings.pin}};
  return were;
end
$body$;

create or replace function datawatch.restore_settings(were text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  perform {{settings.restore}};
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
    where a.attrelid = relation and a.attnum > 0 and not a.attisdropped) and datawatch.sees_columns(relation);
end
$body$;

-- Whether the columns of a table, which is locked, have the names that this transaction sees. Where it keeps its snapshot, it may see
-- those of before; a name that isn't a column's any more is a function's, which is called with the row. Names of objects are told
-- as they are, whatever the snapshot.
create or replace function datawatch.sees_columns(relation oid) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  return current_setting('transaction_isolation') = 'read committed' or not exists (
    select from pg_attribute a where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
      and (pg_identify_object_as_address('pg_class'::regclass, relation, a.attnum)).object_names[3] is distinct from a.attname);
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
-- in an array or a composite at its place. Attributes of a composite are taken by their place, and fail where they aren't of the
-- types that are seen here: nobody keeps its owner from altering it meanwhile, and a name that isn't an attribute's is a function's.
create or replace function datawatch.value_sql(type oid, value text) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare
  found pg_type;
  element oid;
  i text := 'datawatch_' || left(encode(sha256(convert_to(value, getdatabaseencoding())), 'hex'), 12); -- none of a value around it
begin
  if not datawatch.brings_casts(type) then
    return value;
  end if;
  select * into found from pg_type t where t.oid = type;
  if found.typtype = 'd' then
    return datawatch.value_sql(found.typbasetype, value);
  elsif found.typtype = 'c' then
    return (
      select format('case when num_nulls(%1$s) = 0 then (select case when record_image_eq(%1$s, row(%2$s))%3$s then (select to_json(datawatch_safe.*) '
          'from (select %4$s) datawatch_safe) else datawatch.altered_meanwhile()::json end from (select (%1$s).*) %5$s%6$s) end', value,
        string_agg(i || '.' || a.name, ', ' order by a.place), string_agg(format(' and pg_typeof(%s.%s)::oid = %s', i, a.name, a.type), '' order by a.place),
        string_agg(format('%s as %I', datawatch.value_sql(a.type, i || '.' || a.name), a.attname), ', ' order by a.place), i,
        coalesce('(' || string_agg(a.name, ', ' order by a.place) || ')', ''))
      from (select a.attname, a.atttypid as type, a.attnum as place, 'a' || a.attnum as name
        from pg_attribute a where a.attrelid = found.typrelid and a.attnum > 0 and not a.attisdropped) a);
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
  typed text;
begin
  select coalesce(string_agg(format('%s as %I', datawatch.value_sql(a.atttypid, format('%I.%I', name, a.attname)), a.attname), ', ' order by a.attnum)
      filter (where a.attname <> all (dropped)), ''), string_agg(case when a.attgenerated = 'v' then 'null::' || format_type(a.atttypid, a.atttypmod) else format('%I.%I', name, a.attname) end, ', ' order by a.attnum),
    coalesce(string_agg(format(' and pg_typeof(%I.%I)::oid = %s', name, a.attname, a.atttypid), '' order by a.attnum) filter (where a.attgenerated <> 'v'), '')
  into printed, seen, typed from pg_attribute a where a.attrelid = relation and a.attnum > 0 and not a.attisdropped;
  if dropped is null or not datawatch.sees_columns(relation) then
    perform datawatch.altered_meanwhile();
  end if;
  printed := format('(select to_json(datawatch_safe.*)::text from (select %s) datawatch_safe)', printed);
  if current_setting('transaction_isolation') = 'read committed' then
    return printed;
  end if;
  return format('case when record_image_eq(%I.*, row(%s))%s then %s else datawatch.altered_meanwhile() end', name, seen, typed, printed);
end
$body$;

create or replace function datawatch.altered_meanwhile() returns text
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  raise exception 'the table, or a type of its columns, was altered after this transaction''s snapshot was taken';
end
$body$;

-- Whether the outbox has reached its cap.
create or replace function datawatch.is_full() returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
begin
  return (select {{full}} from datawatch.queue);
end
$body$;

-- Whether nothing is captured: true where there is no room or no collector came, null where somebody switched capture off.
-- To look costs more than to write a row. So of the statements that write a single row, 100 kB at most, one of 256 looks, and
-- every one where there is little room or none was found: the gate says so, which needs no lock that others would wait for.
-- Off is what the queue and the gate say is off: whoever sees a queue of before datawatch.on() sees what the gate is since then,
-- and so what on() doesn't tell to be missing is captured.
create or replace function datawatch.is_closed() returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  gate bigint := pg_sequence_last_value('datawatch.gate');
  closed boolean;
begin
  -- A transaction that keeps its snapshot doesn't see that a collector came meanwhile.
  select case when off is null or gate is not null then
      clock_timestamp() > expires and (gate = 3 or current_setting('transaction_isolation') in ('read committed', 'read uncommitted')) or {{full}} end
  into closed from datawatch.queue;
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
  perform setval('datawatch.gate', case when off is null and clock_timestamp() < expires and room >= 134217728 and not {{full}} then current else 3 end, off is null)
  from datawatch.queue;
  return null;
end
$body$;

-- The columns that a shape leaves out; null where this transaction doesn't see the shape.
create or replace function datawatch.dropped(shape bigint) returns text[]
language sql stable set search_path = pg_catalog, pg_temp as $body$
  select array(select jsonb_array_elements_text(s.shape -> 'drop')) from datawatch.shapes s where s.id = dropped.shape
$body$;

-- Whether the collector reads all of a shape's types in PostgreSQL's binary form.
create or replace function datawatch.sendable(shape jsonb) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $body$
  select shape -> 'drop' = '[]' and not exists (
    select from jsonb_array_elements(shape -> 'columns') c
    where (c ->> 'oid')::bigint <> all ('{{{sendable}}}'::bigint[]) and (shape -> 'types' -> (c ->> 'oid') ->> 'kind') is distinct from 'e')
$body$;

-- Whether to plan a query on a table may run what somebody else, who is no superuser, has put into expressions of its indexes,
-- constraints, statistics or partition keys: of such an expression, what is constant is computed then, with the rights of whoever asks.
-- A transaction that keeps its snapshot may not see all of them.
create or replace function datawatch.runs_functions(relation oid) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  return current_setting('transaction_isolation') <> 'read committed' or {{strange expressions}};
end
$body$;

-- A row trigger on the root of a partition tree has PostgreSQL compute what is constant in its partition keys. Of keys with code of
-- somebody else, who is no superuser, none is made.
create or replace function datawatch.runs_key(relation oid) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  return {{strange keys}};
end
$body$;

create or replace function datawatch.refuse_key(relation oid) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  if datawatch.runs_key(relation) then
    raise exception 'the partition key of % runs a function of somebody''s who is no superuser, and would run it as %', relation::regclass, current_user
      using hint = 'give that function to a superuser, or to the role that installs';
  end if;
end
$body$;

-- TRUNCATE of a table, or of the root of a partition tree, is one pack 't'. PostgreSQL calls the root's BEFORE trigger
-- before those of its partitions: they see its mark and say nothing. Of a partition alone, it is a delete of its rows, which are
-- read; where that would run functions of its owner's, by a policy or an index, it fails.
create or replace function datawatch.capture_truncate(slot smallint, number bigint, shape bigint, moment timestamptz, started bigint, relation oid, spot datawatch.spot)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set row_security = off as $body$
declare
  root oid := coalesce(pg_partition_root(relation)::oid, relation);
  mark text := 'datawatch.truncating_' || root;
  dropped text[];
  written bigint;
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
    if datawatch.runs_functions(relation) then
      raise exception 'the rows aren''t read: an index, a constraint or statistics of the table may run functions of its owner''s';
    end if;
    capture_truncate.shape := datawatch.shape_written(relation);
    dropped := datawatch.dropped(capture_truncate.shape);
    execute format($query$
      with packs as (
      insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, behind, place, before)
      select $1, $2, min(i) - 1, 'd', $3, $4, $5 + min(i) - 1, count(*), max(count), $6, $7, '[' || string_agg(j, ',' order by i) || ']'
      from (select i, j, count, (i - 1) / 200 + sum(octet_length(j)) over w / 1048576 + (sum(octet_length(j)) over w - octet_length(j)) / 1048576 as pack
            from (select row_number() over () as i, count(*) over () as count,
                         %s as j from only %s as datawatch_row) r window w as (order by i)) p
      group by pack
      returning rows)
      select coalesce(sum(rows), 0) from packs $query$,
      case when cardinality(dropped) > 0 or datawatch.brings_casts_in(relation) then datawatch.row_sql(relation, 'datawatch_row', dropped)
        else 'to_json(datawatch_row.*)::text' end,
      relation::regclass)
    into written using slot, number, shape, moment, started, spot.behind, spot.place;
    if spot.behind is null then
      perform datawatch.count_rows(written);
    end if;
  end if;
end
$body$;

-- After TRUNCATE of a partition tree that an earlier datawatch has installed: now the tree's own function does it, so that no two trees
-- are locked to remove it.
create or replace function datawatch.truncated() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
begin
  perform set_config('datawatch.truncating_' || tg_relid, '', true);
  return null;
end
$body$;

-- Names of types are quoted where a session has all identifiers be, and those are no other types.
create or replace function datawatch.describe(relation oid, dropped text[], out id bigint, out shape jsonb)
language sql stable set search_path = pg_catalog, pg_temp set quote_all_identifiers = off as $body$
{{describe}}
$body$;

-- The columns that the configuration keeps from the outbox of a table (of a partition: its root), whether there are any such or not.
create or replace function datawatch.masked(root_schema text, root_table text) returns text[]
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  {{masked}}
end
$body$;

-- The shape of a table as it is, without the columns that are kept from the outbox. Those of the key stay.
create or replace function datawatch.shape_now(relation oid, out id bigint, out shape jsonb)
language plpgsql set search_path = pg_catalog, pg_temp as $body$
#variable_conflict use_variable
declare
  masked text[];
begin
  select d.id, d.shape into id, shape from datawatch.describe(relation, '{}') d;
  masked := array(
    select m from unnest(datawatch.masked(shape ->> 'root_schema', shape ->> 'root_table')) m
    where shape -> 'columns' @> jsonb_build_array(jsonb_build_object('name', m)) and not jsonb_exists(shape -> 'key', m) order by m collate "C");
  if masked <> '{}' then
    select d.id, d.shape into id, shape from datawatch.describe(relation, masked) d;
  end if;
end
$body$;

-- The shape of a table as it is, of those that are written. Whoever writes to an altered table before its function is made anew may
-- have to write the shape too, and waits for no other transaction that is about to: so the id has the transaction in it.
create or replace function datawatch.shape_written(relation oid) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare
  described record;
  written bigint;
begin
  select * into described from datawatch.shape_now(relation);
  -- Of the stream that the function is of: until the collector has looked, a name may be another table's again.
  described.shape := described.shape || coalesce((
    select jsonb_build_object('schema', s.shape -> 'schema', 'table', s.shape -> 'table', 'root_schema', s.shape -> 'root_schema', 'root_table', s.shape -> 'root_table', 'partition', s.shape -> 'partition')
    from pg_trigger t join pg_proc p on p.oid = t.tgfoid join datawatch.shapes s on s.id = {{shape.of p}}
    where t.tgrelid = relation and t.tgname = '_datawatch_insert' and p.pronamespace = 'datawatch'::regnamespace and left(p.proname, 8) = 'capture_'), '{}');
  written := (select s.id from datawatch.shapes s where hashtextextended(s.shape::text, 0) = hashtextextended(described.shape::text, 0) and s.shape = described.shape order by s.id = described.id desc limit 1);
  if written is null then
    written := ('x' || encode(substr(sha256(convert_to(pg_current_xact_id() || ' ' || described.shape, getdatabaseencoding())), 1, 8), 'hex'))::bit(64)::bigint;
    insert into datawatch.shapes (id, shape) values (written, described.shape);
  end if;
  return written;
end
$body$;

-- Tells that a partition came with rows that its stream has to be told of: the collector reads them. Where the table isn't
-- locked by this transaction, others may be writing to it still that don't know of it, and so it waits for them.
create or replace function datawatch.tell_attached(shape bigint, relation oid) returns void
language sql set search_path = pg_catalog, pg_temp as $body$
  insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, after)
  select current, {{number}}, 0, 'a', shape, clock_timestamp(), 0, 0, 0, json_build_object('table', relation::bigint, 'locked', exists (
    select from pg_locks l where l.pid = pg_backend_pid() and l.locktype = 'relation' and l.relation = tell_attached.relation
      and l.database = (select d.oid from pg_database d where d.datname = current_database())
      and l.mode in ('ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')))
  from datawatch.queue
$body$;

-- Whether a partition, or a part of the tree that it is in, was a table of its own before: it, which a system column tells, is older than
-- what ties it to the tree, or, of one transaction, than all its columns as they are now.
create or replace function datawatch.was_attached(relation oid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $body$
  select exists (
    select from pg_attribute y
    where y.attrelid = relation and y.attnum = -1 and (
      exists (select from pg_partition_ancestors(relation) a join pg_inherits i on i.inhrelid = a.relid where age(i.xmin) < age(y.xmin))
      or exists (select from pg_inherits i where i.inhrelid = relation) and not exists (
        select from pg_attribute a where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
          and not (a.xmin = y.xmin and a.cmin::text::bigint > y.cmin::text::bigint))))
$body$;

-- Tells, behind a table's triggers and in their transaction, that it wasn't captured since then, or since all tables were last seen to
-- be captured.
create or replace function datawatch.tell_uncaptured(shape bigint, since timestamptz) returns void
language sql set search_path = pg_catalog, pg_temp as $body$
  insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, after)
  select current, {{number}}, 0, 'n', shape, clock_timestamp(), 0, 0, 0,
    to_char(coalesce(since, looked) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') from datawatch.queue
$body$;

-- Tells it of a table that had no triggers. One without a page that was never emptied, as far as that is known, never held a row, and
-- has no gap; a row that was rolled back gives one too many.
create or replace function datawatch.tell_new(shape bigint, relation regclass, since timestamptz) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  if pg_relation_size(relation) = 0 and coalesce(pg_relation_filenode(relation), relation::oid) = relation::oid and pg_stat_get_tuples_inserted(relation) = 0 then
    return;
  end if;
  perform datawatch.tell_uncaptured(shape, since);
  if datawatch.was_attached(relation) then
    perform datawatch.tell_attached(shape, relation);
  end if;
end
$body$;

-- What the rows of a shape are told by: the columns of the key, with types that are one where they print values alike. In shapes of before
-- they may be quoted.
create or replace function datawatch.key_of(shape jsonb) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp as $body$
  select coalesce(jsonb_object_agg(c ->> 'name', case when c ->> 'oid' in ('20', '21', '23') then 'int' when c ->> 'oid' in ('25', '1043') then 'text'
    when (c ->> 'oid')::bigint < 16384 then replace(c ->> 'type', '"', '') else c ->> 'oid' end), '{}')
  from jsonb_array_elements(shape -> 'columns') c where jsonb_exists(shape -> 'key', c ->> 'name')
$body$;

-- Tells that a table is no longer what its stream was: it was dropped (relation is null), renamed, attached or detached (now is null where
-- it isn't selected any more), or has another key, by which its rows of before can't be changed any more; at some time since then, or since
-- all tables were last seen to be captured. A whole table's rows are gone from its stream, as by TRUNCATE, with the reason; of a partition
-- nobody knows any more which rows it had, and so the root's stream has a gap. What a stream begins with that has the rows now is a gap as
-- well, but of a partition that was attached they are read.
create or replace function datawatch.tell_moved_since(was bigint, now bigint, relation oid, since timestamptz) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  before jsonb := (select shape from datawatch.shapes where id = was);
  after jsonb := (select shape from datawatch.shapes where id = now);
  stays boolean := coalesce(before -> 'root_schema' = after -> 'root_schema' and before -> 'root_table' = after -> 'root_table', false);
  reason text;
begin
  if before is null or stays and (datawatch.key_of(before) = datawatch.key_of(after) or
      pg_relation_size(relation) = 0 and not exists (select from pg_partition_tree(relation) member where pg_relation_size(member.relid) > 0)) then
    return;
  end if;
  -- What is written through a root is told by the name that its function has: until that is another, no partition begins the new stream.
  if since is null and (after -> 'partition')::boolean and exists (
      select from pg_trigger t join pg_proc p on p.oid = t.tgfoid join datawatch.shapes s on s.id = {{shape.of p}}
      where t.tgrelid = pg_partition_root(relation) and t.tgname = '_datawatch_insert' and p.pronamespace = 'datawatch'::regnamespace and left(p.proname, 8) = 'capture_'
        and (s.shape ->> 'root_schema', s.shape ->> 'root_table') is distinct from (after ->> 'root_schema', after ->> 'root_table')) then
    raise exception 'the root of its partition tree comes first, and is held' using errcode = 'object_in_use';
  end if;
  reason := case when stays then 'key' when relation is null then 'drop' when (before -> 'partition')::boolean then 'detach' when (after -> 'partition')::boolean then 'attach' else 'rename' end;
  -- Whoever writes by now does so by what the table was when its function was made, and is told before the end: a trigger that is made again
  -- waits for him, which no right on the table's rows is needed for. (Rows that are attached are read behind him.)
  if since is null and reason <> 'attach' and current_setting('server_version_num')::integer >= 140000 then
    execute coalesce((
      select regexp_replace(pg_get_triggerdef(t.oid), '^CREATE', 'CREATE OR REPLACE') from pg_trigger t join pg_proc p on p.oid = t.tgfoid
      where t.tgrelid = relation and t.tgname = '_datawatch_truncate' and t.tgenabled = 'O' and p.pronamespace = 'datawatch'::regnamespace), 'select');
  end if;
  -- Where the root has another name the whole stream ends, of which the root tells.
  if not (before -> 'partition')::boolean or reason = 'drop'
      or reason = 'detach' and to_regclass(format('%I.%I', before ->> 'root_schema', before ->> 'root_table')) is not null then
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, after)
    select current, {{number}}, 0, case when (before -> 'partition')::boolean then 'p' else 't' end::"char", was, clock_timestamp(),
      datawatch.count_rows(n) - n, n, n, reason
    from datawatch.queue, (select case when (before -> 'partition')::boolean then 0 else 1 end) counted(n);
    -- Another one that has the name already, and was told by it, ended with it.
    perform datawatch.tell_uncaptured(s.id, since)
    from pg_trigger t join pg_proc p on p.oid = t.tgfoid join datawatch.shapes s on s.id = {{shape.of p}}
    where not (before -> 'partition')::boolean and not stays and t.tgrelid is distinct from tell_moved_since.relation and t.tgrelid = to_regclass(format('%I.%I', before ->> 'root_schema', before ->> 'root_table'))
      and t.tgname = '_datawatch_insert' and p.pronamespace = 'datawatch'::regnamespace and left(p.proname, 8) = 'capture_'
      and s.shape -> 'root_schema' = before -> 'root_schema' and s.shape -> 'root_table' = before -> 'root_table';
  end if;
  if stays then
    if pg_relation_size(relation) > 0 then
      insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total)
      select current, {{number}}, 0, 'k', now, clock_timestamp(), 0, 0, 0 from datawatch.queue;
    end if;
  elsif now is null then
    return;
  elsif (after -> 'partition')::boolean and (not (before -> 'partition')::boolean
      or to_regclass(format('%I.%I', before ->> 'root_schema', before ->> 'root_table')) is not null) then
    if pg_relation_size(relation) > 0 then
      perform datawatch.tell_attached(now, relation);
    end if;
  else
    perform datawatch.tell_new(now, relation, since);
  end if;
end
$body$;

-- Tells it in the transaction that does it.
create or replace function datawatch.tell_moved(was bigint, now bigint, relation oid) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $body$
  select datawatch.tell_moved_since(was, now, relation, clock_timestamp())
$body$;

-- Whether the triggers of a relation call the function of another table, own: a dump of that was restored by another name.
create or replace function datawatch.is_anothers(relation oid, own oid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $body$
  select exists (select from pg_trigger t join pg_trigger o on o.tgfoid = t.tgfoid and o.tgname = t.tgname
    where t.tgrelid = relation and o.tgrelid = own and own <> relation and t.tgname = '_datawatch_insert')
$body$;

-- Tells of a table that was restored from its dump, triggers and all, in the place of the one that the function was made for. Where the function
-- was restored as well, which a dump has before tables, the whole installation was, and an epoch begins.
create or replace function datawatch.tell_restored(shape bigint, capture oid, since timestamptz) returns void
language sql set search_path = pg_catalog, pg_temp as $body$
  select datawatch.tell_uncaptured(shape, since) from pg_proc p, pg_attribute m
  where p.oid = capture and m.attrelid = 'datawatch.meta'::regclass and m.attnum = -1
    and (age(p.xmin) < age(m.xmin) or p.xmin = m.xmin and p.cmin::text::bigint > m.cmin::text::bigint)
$body$;

-- Takes away packs of another server, which its dump has brought: of transactions that come behind the one that wrote their row here. They
-- would be told once this server has come to their numbers.
create or replace function datawatch.drop_strangers() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare
  here constant bigint := pg_current_xact_id()::text::bigint;
begin
  delete from datawatch.outbox where txid::text::bigint > here - ((here - xmin::text::bigint) & 4294967295);
  delete from datawatch.single_0 where txid::text::bigint > here - ((here - xmin::text::bigint) & 4294967295);
  delete from datawatch.single_1 where txid::text::bigint > here - ((here - xmin::text::bigint) & 4294967295);
  delete from datawatch.single_2 where txid::text::bigint > here - ((here - xmin::text::bigint) & 4294967295);
end
$body$;

-- Makes the function of a table anew where the table's shape is no longer the one that it names; null where it has none.
create or replace function datawatch.refresh(relation oid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare
  capture oid;
  old_id bigint;
  own oid;
  definition text;
  described record;
begin
  select t.tgfoid, {{shape.of p}}, {{table.of p}} into capture, old_id, own
  from pg_trigger t join pg_proc p on p.oid = t.tgfoid
  where t.tgrelid = relation and t.tgname = '_datawatch_insert' and p.pronamespace = 'datawatch'::regnamespace and left(p.proname, 8) = 'capture_'; -- anybody's may have the name
  if old_id is null or datawatch.is_anothers(relation, own) then
    return null;
  end if;
  select * into described from datawatch.shape_now(relation);
  if described.id is null or described.id = old_id and coalesce(own, relation) = relation then
    return false;
  end if;
  insert into datawatch.shapes (id, shape) values (described.id, described.shape) on conflict (id) do nothing;
  if own <> relation then
    perform datawatch.tell_restored(described.id, capture, null);
  end if;
  perform datawatch.tell_moved(old_id, described.id, relation);
  definition := regexp_replace(replace(pg_get_functiondef(capture), old_id::text, described.id::text),
    '/[*] sent [*]/ [a-z]+', '/* sent */ ' || datawatch.sendable(described.shape), 'g');
  definition := regexp_replace(definition, '/[*] of [*]/ [0-9]+', '/* of */ ' || relation, 'g');
  if datawatch.dropped(old_id) is distinct from datawatch.dropped(described.id) then
    definition := replace(definition, '{{as it was}}', '{{not as it was}}'); -- whose rows have other columns
  end if;
  execute definition;
  -- What the new columns' text depends on is known to whoever installs; here all of it is pinned.
  if not datawatch.sendable(described.shape) then
    execute format('alter function %s', capture::regprocedure) || $settings${{settings}}$settings$;
  end if;
  return true;
end
$body$;

-- Takes the triggers from tables that have got a foreign table for a partition or a child: PostgreSQL would refuse writes through them.
-- Where others hold them, the collector does it within seconds.
create or replace function datawatch.release_over_foreign(relation oid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $body$
declare
  capture text;
begin
  for capture in
    with recursive over_foreign(oid) as (
      select i.inhparent from pg_foreign_table f join pg_inherits i on i.inhrelid = f.ftrelid
      union select i.inhparent from over_foreign o join pg_inherits i on i.inhrelid = o.oid
    ),
    above(oid) as (select relation union select i.inhparent from above a join pg_inherits i on i.inhrelid = a.oid)
    select p.oid::regprocedure from above a join over_foreign using (oid) join pg_trigger t on t.tgrelid = a.oid and t.tgname = '_datawatch_insert'
    join pg_proc p on p.oid = t.tgfoid and p.pronamespace = 'datawatch'::regnamespace and left(p.proname, 8) = 'capture_'
    where not datawatch.is_anothers(t.tgrelid, {{table.of p}})
  loop
    execute 'drop function ' || capture || ' cascade';
  end loop;
exception when lock_not_available then
  null;
end
$body$;

-- Whether the statements of a table are announced, and their rows counted: see "Order within a transaction".
create or replace function datawatch.tracked(relation oid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $body$
  select exists (select from ({{tracked}}) t where t.root = coalesce(pg_partition_root(relation)::oid, relation))
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
    join pg_proc p on p.oid = t.tgfoid and p.pronamespace = 'datawatch'::regnamespace and left(p.proname, 8) = 'capture_'
    where t.tgname = '_datawatch_insert' and (t.tgrelid = root or t.tgrelid in (select relid from pg_partition_tree(root))) and not datawatch.is_anothers(t.tgrelid, {{table.of p}})
  loop
    for made in
      select n.name, n.fires from (values
        ('{{open.name}}', $sql${{open.fires}}$sql$, true),
        ('{{rows.name}}' || member.oid, $sql${{rows.fires}}$sql$, member.oid = root),
        ('{{gone.name}}' || member.oid, $sql${{gone.fires}}$sql$, member.oid = root)) n(name, fires, wanted)
      where n.wanted and (n.name = '{{open.name}}' or not datawatch.runs_key(root)) and not exists (select from pg_trigger t where t.tgrelid = member.oid and t.tgname = n.name)
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
  select q.current, {{number}}, row_number() over () - 1, 'o', {{shape.of p}}, clock_timestamp(), 0, 0, 0,
    to_char(since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
  from datawatch.queue q, pg_trigger t join pg_proc p on p.oid = t.tgfoid
  where t.tgname = '_datawatch_insert' and p.pronamespace = 'datawatch'::regnamespace and left(p.proname, 8) = 'capture_' and coalesce(pg_partition_root(t.tgrelid)::oid, t.tgrelid) = t.tgrelid
$body$;

revoke all on all functions in schema datawatch from public;
