if tg_when = 'BEFORE' and tg_op <> 'TRUNCATE' then
  ignored := datawatch.statement_begins(tg_relid, tg_op, pg_trigger_depth());
  return null;
end if;
if tg_op = 'INSERT' then
  select (select count(*) from datawatch_new), queue.current, {{closed}} into total, slot, closed from datawatch.queue;
elsif tg_op <> 'TRUNCATE' then
  select (select count(*) from datawatch_old), queue.current, {{closed}} into total, slot, closed from datawatch.queue;
else
  select 1, queue.current, {{closed}} into total, slot, closed from datawatch.queue;
end if;
if current_setting('datawatch.open', true) <> '' then
  spot := datawatch.statement_ends(tg_relid, tg_op, pg_trigger_depth(), total > 0 and closed is false);
end if;
if closed is not false then
  if closed and total > 0 then
    number := nextval('datawatch.skipped');
  end if;
  return null;
end if;
if total = 0 then
  if spot.start is not null then
    -- It changed nothing; what its triggers did is behind it all the same.
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place)
    values (slot, nextval('datawatch.seq'), 0, 'm', shape, moment, coalesce(nullif(current_setting('datawatch.written', true), ''), '0')::bigint, 0, 0, spot.start, spot.behind, spot.place);
  end if;
  return null;
end if;
started := coalesce(nullif(current_setting('datawatch.written', true), ''), '0')::bigint;
if spot.behind is null then
  ignored := set_config('datawatch.written', (started + total)::text, true);
end if;
number := nextval('datawatch.seq');
if tg_op = 'TRUNCATE' then
  perform datawatch.capture_truncate(slot, number, shape, moment, started, tg_relid, spot);
elsif total = 1 then
  if tg_op = 'INSERT' then
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, after)
    select slot, number, 0, 'i', shape, moment, started, 1, 1, spot.start, spot.behind, spot.place, '[' || {{row datawatch_new}} || ']' from datawatch_new;
  elsif tg_op = 'DELETE' then
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, before)
    select slot, number, 0, 'd', shape, moment, started, 1, 1, spot.start, spot.behind, spot.place, '[' || {{row datawatch_old}} || ']' from datawatch_old;
  else
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, before, after)
    select slot, number, 0, 'u', shape, moment, started, 1, 1, spot.start, spot.behind, spot.place,
           '[' || {{row datawatch_old}} || ']', '[' || {{row datawatch_new}} || ']'
    from datawatch_old, datawatch_new;
  end if;
elsif datawatch.has_large_values(tg_relid) then
  -- Row by row, so that a pack has at most 1 MiB, or a single row. Transition tables hold old and new rows in the same order.
  if tg_op <> 'INSERT' then
    open olds for select {{row datawatch_old}} from datawatch_old;
  end if;
  if tg_op <> 'DELETE' then
    open news for select {{row datawatch_new}} from datawatch_new;
  end if;
  slab := 0;
  bytes := 0;
  while done < total loop
    row_size := 0;
    if done + slab < total then
      if tg_op <> 'INSERT' then
        fetch olds into old_row;
        row_size := octet_length(old_row);
      end if;
      if tg_op <> 'DELETE' then
        fetch news into new_row;
        row_size := row_size + octet_length(new_row);
      end if;
    end if;
    if slab = 200 or slab > 0 and bytes + row_size > 1048576 or done + slab = total then
      insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, before, after)
      values (slot, number, done, lower(left(tg_op, 1))::"char", shape, moment, started + done, slab, total, spot.start, spot.behind, spot.place,
              '[' || array_to_string(old_rows, ',') || ']', '[' || array_to_string(new_rows, ',') || ']');
      done := done + slab;
      slab := 0;
      bytes := 0;
      old_rows := null;
      new_rows := null;
    end if;
    if tg_op <> 'INSERT' then
      old_rows := array_append(old_rows, old_row);
    end if;
    if tg_op <> 'DELETE' then
      new_rows := array_append(new_rows, new_row);
    end if;
    slab := slab + 1;
    bytes := bytes + row_size;
  end loop;
else
  -- Rows without a large value: packs of 200, made from some thousand rows at a time. Old and new rows are in the same
  -- order; nothing has to be sorted or joined.
  while done < total loop
    slab := least(slab, total - done);
    if tg_op = 'INSERT' then
      with packs as (
        insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, after)
        select slot, number, done + g, 'i', shape, moment, started + done + g, least(per, slab - g), total, spot.start, spot.behind, spot.place,
               '[' || array_to_string(n[g + 1:g + per], ',') || ']'
        from (select n, greatest(1, least(200, 1048576 * slab / pg_column_size(n)))::integer as per
              from (select array_agg({{row datawatch_new}}) as n from (select * from datawatch_new offset done limit slab) datawatch_new offset 0) r) p,
             generate_series(0, slab::integer - 1, per) g
        returning octet_length(outbox.after) as size)
      select sum(size) into bytes from packs;
    elsif tg_op = 'DELETE' then
      with packs as (
        insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, before)
        select slot, number, done + g, 'd', shape, moment, started + done + g, least(per, slab - g), total, spot.start, spot.behind, spot.place,
               '[' || array_to_string(o[g + 1:g + per], ',') || ']'
        from (select o, greatest(1, least(200, 1048576 * slab / pg_column_size(o)))::integer as per
              from (select array_agg({{row datawatch_old}}) as o from (select * from datawatch_old offset done limit slab) datawatch_old offset 0) r) p,
             generate_series(0, slab::integer - 1, per) g
        returning octet_length(outbox.before) as size)
      select sum(size) into bytes from packs;
    else
      with packs as (
        insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, before, after)
        select slot, number, done + g, 'u', shape, moment, started + done + g, least(per, slab - g), total, spot.start, spot.behind, spot.place,
               '[' || array_to_string(o[g + 1:g + per], ',') || ']', '[' || array_to_string(n[g + 1:g + per], ',') || ']'
        from (select o, n, greatest(1, least(200, 1048576 * slab / (pg_column_size(o) + pg_column_size(n))))::integer as per
              from (select (select array_agg({{row datawatch_old}}) from (select * from datawatch_old offset done limit slab) datawatch_old) as o,
                           (select array_agg({{row datawatch_new}}) from (select * from datawatch_new offset done limit slab) datawatch_new) as n offset 0) r) p,
             generate_series(0, slab::integer - 1, per) g
        returning octet_length(outbox.before) + octet_length(outbox.after) as size)
      select sum(size) into bytes from packs;
    end if;
    done := done + slab;
    slab := least(20000, greatest(100, 4194304 * slab / bytes));
  end loop;
end if;
return null;
