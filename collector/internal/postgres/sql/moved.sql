-- Of rows that move to another partition, and of what a MERGE updates, PostgreSQL may not tell triggers all.
if tg_op = 'UPDATE' and tg_when = 'AFTER' then
  if datawatch.lacks_images({{shape}}, tg_relid, pg_trigger_depth(), (select count(*) from datawatch_old), (select count(*) from datawatch_new)) then
    return new;
  end if;
end if;
