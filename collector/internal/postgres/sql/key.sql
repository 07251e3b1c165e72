-- The columns $2 of the key of table $1, as a list of names and types, and what finds a row by them. Equality is that of the index,
-- which is a superuser's: somebody may have made an operator of that name for a type of his. No value of a key is null, but for that of
-- jsonb. Last, where a column is an array, comes what finds a row without the bounds, which JSON doesn't have.
select array_agg(format('%I %s', k.attname, k.type)), array_agg(k.same),
  case when bool_or(k.bounded) then array_agg(case when not k.bounded then k.same else
    format('regexp_replace(format(''%%s'', datawatch_row.%1$I), ''^[^{]*'', '''') operator(pg_catalog.=) regexp_replace(format(''%%s'', datawatch_key.%1$I), ''^[^{]*'', '''')', k.attname) end) end
from (
  select a.attname, b.type, t.typcategory = 'A' and t.typelem <> 0 as bounded,
    format(case when t.oid = 'jsonb'::regtype then 'datawatch_row.%1$I %2$s coalesce(datawatch_key.%1$I, ''null'')' else 'datawatch_row.%1$I %2$s datawatch_key.%1$I' end, a.attname, coalesce((
      select format('operator(%I.%s)', n.nspname, o.oprname)
      from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam
      cross join lateral unnest(i.indkey::int2[], i.indclass::oid[]) with ordinality c(attnum, opclass, place)
      join pg_opclass oc on oc.oid = c.opclass
      join pg_amop p on p.amopfamily = oc.opcfamily and p.amopstrategy = 3 and p.amoplefttype = oc.opcintype and p.amoprighttype = oc.opcintype
      join pg_operator o on o.oid = p.amopopr join pg_namespace n on n.oid = o.oprnamespace
      where i.indrelid = a.attrelid and i.indisunique and i.indisvalid and m.amname = 'btree' and c.attnum = a.attnum and c.place <= i.indnkeyatts
      order by i.indisprimary desc, i.indexrelid limit 1), 'operator(pg_catalog.=)')) as same
  from pg_attribute a cross join lateral ({{below}}) b join pg_type t on t.oid = b.oid
  where a.attrelid = $1 and a.attname = any ($2)
) k
