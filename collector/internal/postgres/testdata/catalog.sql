-- What an installation has, a line each, but for compression, which the server knew or not when it was made. Names of capture functions have the number of their table.
with ours as (select oid, nspname from pg_namespace where nspname = 'datawatch')
select regexp_replace(line, 'capture_t_[0-9a-z]+', 'capture_t', 'g') from (
  select format('relation %s %s %s %s', c.relname, c.relkind, c.reloptions, obj_description(c.oid, 'pg_class')) as line
  from pg_class c join ours on ours.oid = c.relnamespace
  union all
  select format('column %s %s %s %s not null: %s, default: %s, storage: %s', c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
    a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attstorage)
  from pg_attribute a join pg_class c on c.oid = a.attrelid join ours on ours.oid = c.relnamespace
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attnum > 0 and not a.attisdropped and c.relkind <> 'S'
  union all
  select 'index ' || pg_get_indexdef(i.indexrelid) from pg_index i join pg_class c on c.oid = i.indrelid join ours on ours.oid = c.relnamespace
  union all
  select format('constraint %s %s %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) from pg_constraint k join ours on ours.oid = k.connamespace
  union all
  select format('sequence %s from %s to %s by %s cache %s', s.seqrelid::regclass, s.seqmin, s.seqmax, s.seqincrement, s.seqcache)
  from pg_sequence s join pg_class c on c.oid = s.seqrelid join ours on ours.oid = c.relnamespace
  union all
  select format('view %s %s', c.relname, pg_get_viewdef(c.oid)) from pg_class c join ours on ours.oid = c.relnamespace where c.relkind = 'v'
  union all
  select format('function %s %s', pg_get_functiondef(p.oid), p.proacl) from pg_proc p join ours on ours.oid = p.pronamespace
  union all
  select format('type %s %s', y.typname, y.typtype) from pg_type y join ours on ours.oid = y.typnamespace
  union all
  select 'trigger ' || pg_get_triggerdef(t.oid) from pg_trigger t join pg_proc p on p.oid = t.tgfoid join ours on ours.oid = p.pronamespace
  union all
  select format('event trigger %s %s %s %s', e.evtname, e.evtevent, e.evttags, e.evtfoid::regproc) from pg_event_trigger e where e.evtname like 'datawatch%'
  union all
  select format('shape %s', id) from datawatch.shapes
  union all
  select format('meta %s %s, gate %s', version, code, pg_sequence_last_value('datawatch.gate')) from datawatch.meta
) catalog
order by 1
