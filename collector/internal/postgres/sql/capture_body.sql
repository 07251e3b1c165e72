-- What is evaluated here is set up anew in each transaction, and costs a microsecond: so little is said before the row of a
-- statement that changed one is written, and that by one query, which does nothing where it is otherwise.
way := case
  when tg_when = 'BEFORE' and tg_op <> 'TRUNCATE' then 'BEFORE'
  when tg_op = 'TRUNCATE' or current_setting('datawatch.open', true) <> '' then 'OTHER'
  when /* sent */ {{sent}} and pg_client_encoding() = 'UTF8' then tg_op
  else 'JSON' end;
if way = 'UPDATE' then
  insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, bytes, olds, news)
  select current, drawn, 0, 'u', {{shape}}, clock_timestamp(), {{counted}}, 1, 1, octet_length(o) + octet_length(n), array[o], array[n]
  from (
    select queue.current, queue.off, queue.expires, queue.room, nextval('datawatch.seq') as drawn,
      (select record_send(datawatch_old.*) from datawatch_old) as o,
      (select record_send(datawatch_new.*) from datawatch_new) as n
    from datawatch.queue where not exists (select from datawatch_old offset 1)
    offset 0) row
  where octet_length(o) + octet_length(n) <= 102400 and ({{closed}}) is false;
  if found then
    return nothing;
  end if;
elsif way = 'INSERT' then
  insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, bytes, news)
  select current, drawn, 0, 'i', {{shape}}, clock_timestamp(), {{counted}}, 1, 1, octet_length(n), array[n]
  from (
    select queue.current, queue.off, queue.expires, queue.room, nextval('datawatch.seq') as drawn,
      (select record_send(datawatch_new.*) from datawatch_new) as n
    from datawatch.queue where not exists (select from datawatch_new offset 1)
    offset 0) row
  where octet_length(n) <= 102400 and ({{closed}}) is false;
  if found then
    return nothing;
  end if;
elsif way = 'DELETE' then
  insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, bytes, olds)
  select current, drawn, 0, 'd', {{shape}}, clock_timestamp(), {{counted}}, 1, 1, octet_length(o), array[o]
  from (
    select queue.current, queue.off, queue.expires, queue.room, nextval('datawatch.seq') as drawn,
      (select record_send(datawatch_old.*) from datawatch_old) as o
    from datawatch.queue where not exists (select from datawatch_old offset 1)
    offset 0) row
  where octet_length(o) <= 102400 and ({{closed}}) is false;
  if found then
    return nothing;
  end if;
elsif way = 'BEFORE' then
  ignored := datawatch.statement_begins(tg_relid, tg_op, pg_trigger_depth());
  return nothing;
elsif way = 'JSON' then
  if tg_op = 'UPDATE' then
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, before, after)
    select current, drawn, 0, 'u', {{shape}}, clock_timestamp(), {{counted}}, 1, 1, '[' || o || ']', '[' || n || ']'
    from (
      select queue.current, queue.off, queue.expires, queue.room, nextval('datawatch.seq') as drawn,
        (select {{row datawatch_old}} from datawatch_old) as o,
        (select {{row datawatch_new}} from datawatch_new) as n
      from datawatch.queue where not exists (select from datawatch_old offset 1)
      offset 0) row
    where o is not null and ({{closed}}) is false;
    if found then
      return nothing;
    end if;
  elsif tg_op = 'INSERT' then
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, after)
    select current, drawn, 0, 'i', {{shape}}, clock_timestamp(), {{counted}}, 1, 1, '[' || n || ']'
    from (
      select queue.current, queue.off, queue.expires, queue.room, nextval('datawatch.seq') as drawn,
        (select {{row datawatch_new}} from datawatch_new) as n
      from datawatch.queue where not exists (select from datawatch_new offset 1)
      offset 0) row
    where n is not null and ({{closed}}) is false;
    if found then
      return nothing;
    end if;
  else
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, before)
    select current, drawn, 0, 'd', {{shape}}, clock_timestamp(), {{counted}}, 1, 1, '[' || o || ']'
    from (
      select queue.current, queue.off, queue.expires, queue.room, nextval('datawatch.seq') as drawn,
        (select {{row datawatch_old}} from datawatch_old) as o
      from datawatch.queue where not exists (select from datawatch_old offset 1)
      offset 0) row
    where o is not null and ({{closed}}) is false;
    if found then
      return nothing;
    end if;
  end if;
end if;
moment := clock_timestamp();
op := lower(left(tg_op, 1));
done := 0;
rows := 0;
bytes := 0;
if tg_op = 'INSERT' then
  select (select count(*) from datawatch_new), queue.current, {{closed.looked}} into total, slot, closed from datawatch.queue;
elsif tg_op <> 'TRUNCATE' then
  select (select count(*) from datawatch_old), queue.current, {{closed.looked}} into total, slot, closed from datawatch.queue;
else
  select 1, queue.current, {{closed.looked}} into total, slot, closed from datawatch.queue;
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
    values (slot, nextval('datawatch.seq'), 0, 'm', {{shape}}, moment, coalesce(nullif(current_setting('datawatch.written', true), ''), '0')::bigint, 0, 0, spot.start, spot.behind, spot.place);
  end if;
  return nothing;
end if;
started := coalesce(nullif(current_setting('datawatch.written', true), ''), '0')::bigint;
if spot.behind is null then
  ignored := set_config('datawatch.written', (started + total)::text, true);
end if;
number := nextval('datawatch.seq');
if tg_op = 'TRUNCATE' then
  perform datawatch.capture_truncate(slot, number, {{shape}}, moment, started, tg_relid, spot);
elsif total = 1 then
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
elsif datawatch.has_large_values(tg_relid) then
  -- One row at a time, and a pack has at most 1 MiB, or a single row. Transition tables hold old and new rows in the same
  -- order.
  if tg_op <> 'INSERT' then
    open olds for select {{row datawatch_old}} from datawatch_old;
  end if;
  if tg_op <> 'DELETE' then
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
elsif /* sent */ {{sent}} and pg_client_encoding() = 'UTF8' then
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
return nothing;
