-- Rows that move to another partition are in no transition table of a MERGE, and of an UPDATE in one of the two where a trigger
-- keeps them from the other partition.
if tg_op = 'UPDATE' and tg_when = 'AFTER' then
  if datawatch.merge_may_move(tg_relid) then
    perform datawatch.capture_failed({{shape}}, 'MERGE sets a column of the partition key: PostgreSQL tells no trigger which rows move to another partition', tg_relid, null, pg_trigger_depth());
  elsif (select count(*) from datawatch_old) <> (select count(*) from datawatch_new) then
    perform datawatch.capture_failed({{shape}}, 'a trigger kept rows from the partition that they moved to', tg_relid, tg_op, pg_trigger_depth());
    return new;
  end if;
end if;
