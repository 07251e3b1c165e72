do $$ declare
  wanted record;
begin
  for wanted in
    select format('%s_%s', t.name, slot) as name, string_agg(format('alter %I set compression lz4', c), ', ') as columns
    from (values ('outbox', '{before,after,olds,news}'::text[]), ('single', '{was,became}')) t(name, columns), unnest(t.columns) c, generate_series(0, 2) slot
    where t.name = any ('{{{tables}}}')
    group by 1
  loop
    execute format('alter table datawatch.%I %s', wanted.name, wanted.columns);
  end loop;
end $$;
