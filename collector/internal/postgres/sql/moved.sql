-- Of rows that move to another partition, and of what a MERGE updates, PostgreSQL may not tell triggers all.
if tg_op = 'UPDATE' and tg_when = 'AFTER' and tg_relid = {{oid}} then
  if datawatch.lacks_images({{shape}}, tg_relid, pg_trigger_depth(), (select count(*) from datawatch_old), (select count(*) from datawatch_new)) then
    return new;
  end if;
elsif tg_op = 'TRUNCATE' and tg_when = 'AFTER' then
  -- Its mark goes, so that a partition truncated later is seen.
  ignored := set_config('datawatch.truncating_' || tg_relid, '', true);
  return new;
end if;
