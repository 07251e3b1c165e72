if tg_op = 'INSERT' then
  select count(*) into total from datawatch_new;
elsif tg_op <> 'TRUNCATE' then
  select count(*) into total from datawatch_old;
end if;
if total = 0 and tg_op <> 'TRUNCATE' then
  return null;
end if;
select * into q from datawatch.queue;
if moment > q.expires or coalesce(pg_relation_size(q.main), 0) + coalesce(pg_relation_size(q.toast), 0) > q.room then
  perform nextval('datawatch.skipped');
  return null;
end if;
started := coalesce(nullif(current_setting('datawatch.written', true), ''), '0')::bigint;
perform set_config('datawatch.written', (started + total)::text, true);
number := nextval('datawatch.seq');
if tg_op = 'TRUNCATE' then
  perform datawatch.capture_truncate(q.current, number, shape, moment, started, tg_relid);
elsif total = 1 then
  if tg_op = 'INSERT' then
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, after)
    select q.current, number, 0, 'i', shape, moment, started, 1, 1, '[' || {{row datawatch_new}} || ']' from datawatch_new;
  elsif tg_op = 'DELETE' then
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, before)
    select q.current, number, 0, 'd', shape, moment, started, 1, 1, '[' || {{row datawatch_old}} || ']' from datawatch_old;
  else
    insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, before, after)
    select q.current, number, 0, 'u', shape, moment, started, 1, 1, '[' || {{row datawatch_old}} || ']', '[' || {{row datawatch_new}} || ']'
    from datawatch_old, datawatch_new;
  end if;
-- Packs of at most 200 rows and about 1 MB: both steps only grow, so each sum is one contiguous run of rows.
elsif tg_op = 'INSERT' then
  insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, after)
  select q.current, number, pack, 'i', shape, moment, started + min(i) - 1, count(*), total, '[' || string_agg(j, ',' order by i) || ']'
  from (select i, j, (i - 1) / 200 + sum(octet_length(j)) over (order by i) / 1048576 as pack
        from (select row_number() over () as i, {{row datawatch_new}} as j from datawatch_new) r) p
  group by pack;
elsif tg_op = 'DELETE' then
  insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, before)
  select q.current, number, pack, 'd', shape, moment, started + min(i) - 1, count(*), total, '[' || string_agg(j, ',' order by i) || ']'
  from (select i, j, (i - 1) / 200 + sum(octet_length(j)) over (order by i) / 1048576 as pack
        from (select row_number() over () as i, {{row datawatch_old}} as j from datawatch_old) r) p
  group by pack;
else
  -- A full join can't be a nested loop, which a plan made for a small statement might choose.
  insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, before, after)
  select q.current, number, pack, 'u', shape, moment, started + min(i) - 1, count(*), total,
         '[' || string_agg(b, ',' order by i) || ']', '[' || string_agg(a, ',' order by i) || ']'
  from (select i, b, a, (i - 1) / 200 + sum(octet_length(b) + octet_length(a)) over (order by i) / 1048576 as pack
        from (select row_number() over () as i, {{row datawatch_old}} as b from datawatch_old) o
        full join (select row_number() over () as i, {{row datawatch_new}} as a from datawatch_new) n using (i)) p
  group by pack;
end if;
return null;
