if gate = {{slot}} then
  if tg_op = 'UPDATE' then
    insert into datawatch.single_{{slot}}
    select drawn, 0::bigint, pg_current_xact_id(), 'u'::"char", not {{sent}}, '{{shape}}'::bigint, clock_timestamp(), datawatch.counted(1 + {{guard}}),
      current_setting('application_name'), session_user::text, inet_client_addr(), left(current_setting('datawatch.tag', true), 1000), o, n
    from (
      select {{number}} as drawn, {{image datawatch_old}} as o, {{image datawatch_new}} as n
      from datawatch_old, datawatch_new where not exists (select from datawatch_new offset 1) offset 0) one
    where hashint8(drawn) & 255 > 0 and octet_length(o) + octet_length(n) <= 102400;
  elsif tg_op = 'INSERT' then
    insert into datawatch.single_{{slot}}
    select drawn, 0::bigint, pg_current_xact_id(), 'i'::"char", not {{sent}}, '{{shape}}'::bigint, clock_timestamp(), datawatch.counted(1 + {{guard}}),
      current_setting('application_name'), session_user::text, inet_client_addr(), left(current_setting('datawatch.tag', true), 1000), null::bytea, n
    from (
      select {{number}} as drawn, {{image datawatch_new}} as n
      from datawatch_new where not exists (select from datawatch_new offset 1) offset 0) one
    where hashint8(drawn) & 255 > 0 and octet_length(n) <= 102400;
  else
    insert into datawatch.single_{{slot}}
    select drawn, 0::bigint, pg_current_xact_id(), 'd'::"char", not {{sent}}, '{{shape}}'::bigint, clock_timestamp(), datawatch.counted(1 + {{guard}}),
      current_setting('application_name'), session_user::text, inet_client_addr(), left(current_setting('datawatch.tag', true), 1000), o, null::bytea
    from (
      select {{number}} as drawn, {{image datawatch_old}} as o
      from datawatch_old where not exists (select from datawatch_old offset 1) offset 0) one
    where hashint8(drawn) & 255 > 0 and octet_length(o) <= 102400;
  end if;
