select to_regclass('datawatch.meta') is not null,
       coalesce((select 'lz4' = any (enumvals) from pg_settings where name = 'default_toast_compression'), false),
       exists (select from pg_event_trigger where evtname = 'datawatch_follow' and evtenabled in ('O', 'A')),
       coalesce((select obj_description(oid, 'pg_event_trigger') from pg_event_trigger where evtname = 'datawatch_follow'
         and (select count(*) from pg_event_trigger where evtname in ('datawatch_follow_partitions', 'datawatch_follow_drops')) = 2), ''),
       (select rolsuper from pg_roles where rolname = current_user) and not exists (select from pg_event_trigger where evtname like 'datawatch\_follow%' and evtenabled in ('D', 'R'))
