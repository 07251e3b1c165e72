{{moved}}-- What is evaluated here is set up anew in each transaction, and costs up to a microsecond: so little is said before the row
-- of a statement that changed one is written, and that by one query, which does nothing where it is otherwise. One
-- such statement of 256, by the hash of its number, goes the longer way, which looks at the size of the outbox. It gives
-- all columns of the table in their order and with their types, or else PostgreSQL would evaluate them twice.
gate := case when tg_when = 'AFTER' and tg_relid = {{oid}} and pg_client_encoding() = 'UTF8' and nullif(current_setting('datawatch.open', true), '') is null
  and ({{sent}} or {{sure}}) then pg_sequence_last_value('datawatch.gate') end;
{{singles}}
if found or tg_relid <> {{oid}} and datawatch.is_anothers(tg_relid, {{oid}}) then
  return new;
elsif tg_when = 'BEFORE' and tg_op <> 'TRUNCATE' then
  ignored := datawatch.statement_begins(tg_relid, tg_op, pg_trigger_depth());
  return new;
end if;
-- All else is done by functions that tables share: PL/pgSQL compiles this one for each of a table's triggers in each session.
if tg_op = 'INSERT' then
  select count(*) as total from datawatch_new into how;
elsif tg_op <> 'TRUNCATE' then
  select count(*) as total from datawatch_old into how;
else
  select 1::bigint as total into how;
end if;
how := datawatch.begin_rows(tg_relid, tg_op, pg_trigger_depth(), {{shape}}, {{sent}}, {{guard}}, how.total);
if how.form is null then
  return new;
elsif how.form = 'sent' then
  if tg_op <> 'INSERT' then
    open olds for select record_send(datawatch_old.*) from datawatch_old;
  end if;
  if tg_op <> 'DELETE' then
    open news for select record_send(datawatch_new.*) from datawatch_new;
  end if;
elsif {{sure}} then
  if tg_op <> 'INSERT' then
    open olds for select {{row datawatch_old}} from datawatch_old;
  end if;
  if tg_op <> 'DELETE' then
    open news for select {{row datawatch_new}} from datawatch_new;
  end if;
else
  {{altered}}
  if tg_op <> 'INSERT' then
    open olds for execute 'select ' || datawatch.row_sql(tg_relid, 'datawatch_old', datawatch.dropped(coalesce(altered, {{shape}}))) || ' from datawatch_old';
  end if;
  if tg_op <> 'DELETE' then
    open news for execute 'select ' || datawatch.row_sql(tg_relid, 'datawatch_new', datawatch.dropped(coalesce(altered, {{shape}}))) || ' from datawatch_new';
  end if;
end if;
ignored := datawatch.write_rows(how.form, tg_op, coalesce(altered, {{shape}}), how.slot, how.number, how.moment, how.started, how.total, how.spot, olds, news, how.settings);
return new;
