{{moved}}-- What is evaluated here is set up anew in each transaction, and costs up to a microsecond: so little is said before the row
-- of a statement that changed one is written, and that by one query, which does nothing where it is otherwise. One
-- such statement of 256, by the hash of its number, goes the longer way, which looks at the size of the outbox.
gate := case when tg_when = 'AFTER' and pg_client_encoding() = 'UTF8' and coalesce(current_setting('datawatch.open', true), '') = ''
  and ({{sent}} or {{sure}}) then pg_sequence_last_value('datawatch.gate') end;
{{singles}}
if found then
  return nothing;
elsif tg_when = 'BEFORE' and tg_op <> 'TRUNCATE' then
  ignored := datawatch.statement_begins(tg_relid, tg_op, pg_trigger_depth());
  return nothing;
end if;
moment := clock_timestamp();
op := lower(left(tg_op, 1) collate "C");
done := 0;
rows := 0;
bytes := 0;
if tg_op = 'INSERT' then
  select (select count(*) from datawatch_new), (select queue.current from datawatch.queue), datawatch.is_closed() into total, slot, closed;
elsif tg_op <> 'TRUNCATE' then
  select (select count(*) from datawatch_old), (select queue.current from datawatch.queue), datawatch.is_closed() into total, slot, closed;
else
  select 1, (select queue.current from datawatch.queue), datawatch.is_closed() into total, slot, closed;
end if;
if current_setting('datawatch.open', true) <> '' then
  spot := datawatch.statement_ends(tg_relid, tg_op, pg_trigger_depth(), total > 0 and closed is false);
end if;
if slot is null then
  if total > 0 then
    perform datawatch.capture_failed({{shape}}, 'the transaction took its snapshot before the installation', tg_relid, null, pg_trigger_depth());
  end if;
  return nothing;
elsif closed is not false then
  if closed and total > 0 then
    ignored := {{one more skipped}};
  end if;
  return nothing;
end if;
if total = 0 then
  if spot.start is not null then
    -- It changed nothing; what its triggers did is behind it all the same.
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place)
    values (slot, {{number}}, 0, 'm', {{shape}}, moment, datawatch.count_rows({{guard}}), 0, 0, spot.start, spot.behind, spot.place);
  end if;
  return nothing;
end if;
-- Rows of a statement that is behind another aren't counted.
started := datawatch.count_rows(case when spot.behind is null then total else 0 end + {{guard}});
if spot.behind is null then
  started := started - total;
end if;
number := {{number}};
large := datawatch.has_large_values(tg_relid);
json := tg_op = 'TRUNCATE' or large or not {{sent}} or pg_client_encoding() <> 'UTF8';
casts := json and tg_op <> 'TRUNCATE' and not {{sure}};
if json and {{sent}} then
  settings := datawatch.pin_settings();
end if;
if tg_op = 'TRUNCATE' then
  perform datawatch.capture_truncate(slot, number, {{shape}}, moment, started, tg_relid, spot);
elsif total = 1 and json and not casts then
  if tg_op = 'INSERT' then
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, after)
    select slot, number, 0, 'i', {{shape}}, moment, started, 1, 1, spot.start, spot.behind, spot.place, '[' || {{row datawatch_new}} || ']' from datawatch_new;
  elsif tg_op = 'DELETE' then
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, before)
    select slot, number, 0, 'd', {{shape}}, moment, started, 1, 1, spot.start, spot.behind, spot.place, '[' || {{row datawatch_old}} || ']' from datawatch_old;
  else
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, before, after)
    select slot, number, 0, 'u', {{shape}}, moment, started, 1, 1, spot.start, spot.behind, spot.place,
           '[' || {{row datawatch_old}} || ']', '[' || {{row datawatch_new}} || ']'
    from datawatch_old, datawatch_new;
  end if;
elsif large or casts then
  -- One row at a time, and a pack has at most 1 MiB, or a single row. Transition tables hold old and new rows in the same
  -- order.
  if tg_op <> 'INSERT' and casts then
    open olds for execute 'select ' || datawatch.row_sql(tg_relid, 'datawatch_old', {{drop}}) || ' from datawatch_old';
  elsif tg_op <> 'INSERT' then
    open olds for select {{row datawatch_old}} from datawatch_old;
  end if;
  if tg_op <> 'DELETE' and casts then
    open news for execute 'select ' || datawatch.row_sql(tg_relid, 'datawatch_new', {{drop}}) || ' from datawatch_new';
  elsif tg_op <> 'DELETE' then
    open news for select {{row datawatch_new}} from datawatch_new;
  end if;
  while done + rows < total loop
    if tg_op <> 'INSERT' then
      fetch olds into old_row;
    end if;
    if tg_op <> 'DELETE' then
      fetch news into new_row;
    end if;
    size := coalesce(octet_length(old_row), 0) + coalesce(octet_length(new_row), 0);
{{append}}
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
{{send}}
      end if;
    end loop;
  elsif op = 'd' then
    for old_sent in select record_send(datawatch_old.*) from datawatch_old loop
      olds_sent := array_append(olds_sent, old_sent);
      bytes := bytes + octet_length(old_sent);
      if bytes > 1048576 or cardinality(olds_sent) = 200 then
{{send}}
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
{{send}}
      end if;
    end loop;
  end if;
  if bytes > 0 then
{{send.rest}}
  end if;
elsif tg_op = 'INSERT' then
  for new_row in select {{row datawatch_new}} from datawatch_new loop
    size := octet_length(new_row);
{{append}}
    new_rows := array_append(new_rows, new_row);
  end loop;
elsif tg_op = 'DELETE' then
  for old_row in select {{row datawatch_old}} from datawatch_old loop
    size := octet_length(old_row);
{{append}}
    old_rows := array_append(old_rows, old_row);
  end loop;
else
  open news for select {{row datawatch_new}} from datawatch_new;
  for old_row in select {{row datawatch_old}} from datawatch_old loop
    fetch news into new_row;
    size := octet_length(old_row) + octet_length(new_row);
{{append}}
    old_rows := array_append(old_rows, old_row);
    new_rows := array_append(new_rows, new_row);
  end loop;
end if;
if rows > 0 then
  perform datawatch.write_pack(slot, number, done, tg_op, {{shape}}, moment, started + done, rows, total, spot, old_rows, new_rows);
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
return nothing;
