  -- A guard is a subtransaction, and where it writes, has an id of its own: the first 50 statements that write get one. The
  -- setting begins with 1 and how many had one: see datawatch.counted.
  if current_setting('datawatch.written', true) >= '150' collate "C" then
{{capture.unguarded}}
  else
    begin
{{capture}}
    exception when serialization_failure then
      raise; -- the transaction can't be saved
    when others then
      perform datawatch.capture_failed({{shape}}, sqlerrm, tg_relid, case when tg_when = 'AFTER' or tg_op = 'TRUNCATE' then tg_op end, pg_trigger_depth());
      return new;
    end;
  end if;
