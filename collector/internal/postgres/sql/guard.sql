  reason text;
begin
  -- A guard is a subtransaction with an id of its own: the first 50 statements of a transaction get one.
  if set_config('datawatch.guarded', (coalesce(nullif(current_setting('datawatch.guarded', true), ''), '0')::integer + 1)::text, true)::integer <= 50 then
    begin
{{capture}}
    exception when others then
      get stacked diagnostics reason = message_text;
      perform datawatch.capture_failed({{shape}}, reason, tg_relid, case when tg_when = 'AFTER' or tg_op = 'TRUNCATE' then tg_op end, pg_trigger_depth());
      return nothing;
    end;
  else
{{capture}}
  end if;
