do $$ begin
  for slot in 0..2 loop
    execute format('alter table datawatch.outbox_%s %s', slot,
      (select string_agg(format('alter %I set compression lz4', name), ', ') from unnest('{before,after,olds,news}'::text[]) name));
  end loop;
end $$;
