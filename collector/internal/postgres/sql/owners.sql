-- What was added is whose the rest is: as that role the functions are run, whoever upgrades.
do $$ declare
  owner oid := (select relowner from pg_class where oid = 'datawatch.outbox'::regclass);
  added text;
begin
  for added in
    select format('function %s', p.oid::regprocedure) from pg_proc p where p.pronamespace = 'datawatch'::regnamespace and p.proowner <> owner and p.prorettype <> 'event_trigger'::regtype
    union all
    select format('%s %s', case c.relkind when 'S' then 'sequence' when 'v' then 'view' else 'table' end, c.oid::regclass) from pg_class c
    where c.relnamespace = 'datawatch'::regnamespace and c.relowner <> owner and c.relkind in ('r', 'p', 'v', 'S')
  loop
    execute format('alter %s owner to %s', added, owner::regrole);
  end loop;
end $$;
