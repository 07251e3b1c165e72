-- What a capture function does beyond the writing of a single row.

-- Whether a statement is captured, in which form its rows are written, and what each of its packs has. There is no form where nothing
-- is left to write. guard: what its guard adds to the count of rows.
create or replace function datawatch.begin_rows(relation oid, op text, depth integer, shape bigint, sent boolean, guard bigint, inout total bigint,
  out form text, out slot smallint, out number bigint, out moment timestamptz, out started bigint, out spot datawatch.spot, out settings text[])
language plpgsql set search_path = pg_catalog, pg_temp as $body$
#variable_conflict use_variable
declare
  closed boolean;
begin
  if total = 0 and coalesce(current_setting('datawatch.open', true), '') = '' then
    return;
  end if;
  moment := clock_timestamp();
  select queue.current, datawatch.is_closed() into slot, closed from datawatch.queue;
  if current_setting('datawatch.open', true) <> '' then
    spot := datawatch.statement_ends(relation, op, depth, total > 0 and closed is false);
  end if;
  if slot is null then
    if total > 0 then
      perform datawatch.capture_failed(shape, 'the transaction took its snapshot before the installation', relation, null, depth);
    end if;
    return;
  elsif closed is not false then
    if closed and total > 0 then
      perform {{one more skipped}};
    end if;
    return;
  elsif total = 0 then
    if spot.start is not null then
      -- It changed nothing; what its triggers did is behind it all the same.
      insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place)
      values (slot, {{number}}, 0, 'm', shape, moment, datawatch.count_rows(guard), 0, 0, spot.start, spot.behind, spot.place);
    end if;
    return;
  end if;
  -- Rows of a statement that is behind another aren't counted.
  started := datawatch.count_rows(case when spot.behind is null then total else 0 end + guard);
  if spot.behind is null then
    started := started - total;
  end if;
  number := {{number}};
  form := case when op = 'TRUNCATE' then 'truncate' when datawatch.has_large_values(relation) then 'large'
    when not sent or pg_client_encoding() <> 'UTF8' then 'json' else 'sent' end;
  if form <> 'sent' and sent then
    settings := datawatch.pin_settings();
  end if;
  if form = 'truncate' then
    form := null;
    perform datawatch.capture_truncate(slot, number, shape, moment, started, relation, spot);
    if settings is not null then
      perform datawatch.restore_settings(settings);
    end if;
  end if;
end
$body$;

-- Goes on where the table isn't as its function has it: rows are printed as they are now, and have the shape of that.
create or replace function datawatch.begin_altered(relation oid, inout settings text[], out form text, out shape bigint)
language plpgsql set search_path = pg_catalog, pg_temp as $body$
begin
  form := 'large';
  shape := datawatch.shape_written(relation);
  settings := coalesce(settings, datawatch.pin_settings());
end
$body$;

-- Writes some of a statement's rows: as a pack, or where that were too large, as one for each half.
create or replace function datawatch.write_pack(slot smallint, number bigint, part bigint, op text, shape bigint, moment timestamptz, first bigint, rows integer, total bigint,
  spot datawatch.spot, olds text[], news text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $body$
#variable_conflict use_variable
declare
  before text := '[' || array_to_string(olds, ',') || ']';
  after text := '[' || array_to_string(news, ',') || ']';
  half integer := rows / 2;
begin
  if half > 0 and coalesce(octet_length(before), 0) + coalesce(octet_length(after), 0) > 1048576 then
    before := null;
    after := null;
    perform datawatch.write_pack(slot, number, part, op, shape, moment, first, half, total, spot, olds[:half], news[:half]);
    perform datawatch.write_pack(slot, number, part + half, op, shape, moment, first + half, rows - half, total, spot, olds[half + 1:], news[half + 1:]);
    return;
  end if;
  insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, before, after)
  values (slot, number, part, lower(left(op, 1) collate "C")::"char", shape, moment, first, rows, total, spot.start, spot.behind, spot.place, before, after);
end
$body$;

create or replace function datawatch.write_sent(slot smallint, number bigint, part bigint, op text, shape bigint, moment timestamptz, first bigint, rows integer, total bigint,
  spot datawatch.spot, olds bytea[], news bytea[], bytes bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $body$
#variable_conflict use_variable
declare
  half integer := rows / 2;
  lower_bytes bigint;
begin
  if half > 0 and bytes > 1048576 then
    lower_bytes := (select sum(octet_length(row)) from unnest(olds[:half] || news[:half]) row);
    perform datawatch.write_sent(slot, number, part, op, shape, moment, first, half, total, spot, olds[:half], news[:half], lower_bytes);
    perform datawatch.write_sent(slot, number, part + half, op, shape, moment, first + half, rows - half, total, spot, olds[half + 1:], news[half + 1:], bytes - lower_bytes);
    return;
  end if;
  insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, bytes, olds, news)
  values (slot, number, part, lower(left(op, 1) collate "C")::"char", shape, moment, first, rows, total, spot.start, spot.behind, spot.place, bytes, olds, news);
end
$body$;

-- Writes a statement's rows, which two cursors give in the same order: as record_send gives them (sent), or as JSON. A pack has at
-- most 200 of them, and at most 1 MiB or a single row. Large ones are taken one at a time.
create or replace function datawatch.write_rows(form text, op text, shape bigint, slot smallint, number bigint, moment timestamptz, started bigint, total bigint,
  spot datawatch.spot, olds refcursor, news refcursor, settings text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $body$
#variable_conflict use_variable
declare
  taken integer := 20; -- at a time: of these nothing is known yet
  done bigint := 0;
  rows integer := 0;
  bytes bigint := 0;
  size bigint;
  old_row text;
  new_row text;
  old_rows text[];
  new_rows text[];
  old_sent bytea;
  new_sent bytea;
  olds_sent bytea[];
  news_sent bytea[];
begin
  if total = 1 and form = 'sent' then
    if olds is not null then
      fetch olds into old_sent;
    end if;
    if news is not null then
      fetch news into new_sent;
    end if;
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, bytes, olds, news)
    values (slot, number, 0, lower(left(op, 1) collate "C")::"char", shape, moment, started, 1, 1, spot.start, spot.behind, spot.place,
      coalesce(octet_length(old_sent), 0) + coalesce(octet_length(new_sent), 0), case when olds is not null then array[old_sent] end, case when news is not null then array[new_sent] end);
  elsif total = 1 then
    if olds is not null then
      fetch olds into old_row;
    end if;
    if news is not null then
      fetch news into new_row;
    end if;
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, before, after)
    values (slot, number, 0, lower(left(op, 1) collate "C")::"char", shape, moment, started, 1, 1, spot.start, spot.behind, spot.place,
      '[' || old_row || ']', '[' || new_row || ']');
  elsif form = 'sent' then
    while done < total loop
      if olds is not null then
        for old_sent in execute format('fetch %s from %I', taken, olds::text) loop
          olds_sent := array_append(olds_sent, old_sent);
          bytes := bytes + octet_length(old_sent);
        end loop;
      end if;
      if news is not null then
        for new_sent in execute format('fetch %s from %I', taken, news::text) loop
          news_sent := array_append(news_sent, new_sent);
          bytes := bytes + octet_length(new_sent);
        end loop;
      end if;
      rows := cardinality(coalesce(news_sent, olds_sent));
      perform datawatch.write_sent(slot, number, done, op, shape, moment, started + done, rows, total, spot, olds_sent, news_sent, bytes);
      done := done + rows;
      taken := greatest(1, least(200, 1048576 * rows / bytes));
      bytes := 0;
      olds_sent := null;
      news_sent := null;
    end loop;
  elsif form = 'json' then
    while done < total loop
      if olds is not null then
        for old_row in execute format('fetch %s from %I', taken, olds::text) loop
          old_rows := array_append(old_rows, old_row);
          bytes := bytes + octet_length(old_row);
        end loop;
      end if;
      if news is not null then
        for new_row in execute format('fetch %s from %I', taken, news::text) loop
          new_rows := array_append(new_rows, new_row);
          bytes := bytes + octet_length(new_row);
        end loop;
      end if;
      rows := cardinality(coalesce(new_rows, old_rows));
      perform datawatch.write_pack(slot, number, done, op, shape, moment, started + done, rows, total, spot, old_rows, new_rows);
      done := done + rows;
      taken := greatest(1, least(200, 1048576 * rows / bytes));
      bytes := 0;
      old_rows := null;
      new_rows := null;
    end loop;
  else
    while done + rows < total loop
      if olds is not null then
        fetch olds into old_row;
      end if;
      if news is not null then
        fetch news into new_row;
      end if;
      size := coalesce(octet_length(old_row), 0) + coalesce(octet_length(new_row), 0);
      if rows = 200 or rows > 0 and bytes + size > 1048576 then
        perform datawatch.write_pack(slot, number, done, op, shape, moment, started + done, rows, total, spot, old_rows, new_rows);
        done := done + rows;
        rows := 0;
        bytes := 0;
        old_rows := null;
        new_rows := null;
      end if;
      rows := rows + 1;
      bytes := bytes + size;
      if olds is not null then
        old_rows := array_append(old_rows, old_row);
      end if;
      if news is not null then
        new_rows := array_append(new_rows, new_row);
      end if;
    end loop;
    perform datawatch.write_pack(slot, number, done, op, shape, moment, started + done, rows, total, spot, old_rows, new_rows);
  end if;
  if olds is not null then
    close olds;
  end if;
  if news is not null then
    close news;
  end if;
  if settings is not null then
    perform datawatch.restore_settings(settings);
  end if;
end
$body$;
