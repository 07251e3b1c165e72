-- How table $1 can be walked: the columns of a unique index whose order is that of ORDER BY, and the operator behind each
-- column's "greater", the collations, and the operators behind "equal". The primary key is preferred, then the fewest columns. Values aren't made of types that may have a domain
-- in them, which puts them to its check, somebody's function: of a domain the type below is taken, and no index of others.
-- None has one of the columns $2.
select array(select a.attname::text from unnest(found.columns) with ordinality c(attnum, place)
             join pg_attribute a on a.attrelid = found.indrelid and a.attnum = c.attnum order by place),
       array(select b.type from unnest(found.columns) with ordinality c(attnum, place)
             join pg_attribute a on a.attrelid = found.indrelid and a.attnum = c.attnum
             cross join lateral ({{below}}) b order by place),
       array(select o.operator from unnest(found.classes) with ordinality c(opclass, place)
             cross join lateral (
               select format('operator(%I.%s)', n.nspname, p.oprname) as operator
               from pg_opclass oc join pg_amop am on am.amopfamily = oc.opcfamily and am.amopstrategy = 5
                 and am.amoplefttype = oc.opcintype and am.amoprighttype = oc.opcintype
               join pg_operator p on p.oid = am.amopopr join pg_namespace n on n.oid = p.oprnamespace
               where oc.oid = c.opclass) o
             order by place),
       array(select concat_ws(' ', c.collated, pg_collation_actual_version(c.collated))
             from unnest(found.collations) with ordinality c(collated, place) where c.collated <> 0 order by place),
       array(select o.operator from unnest(found.classes) with ordinality c(opclass, place)
             cross join lateral (
               select format('operator(%I.%s)', n.nspname, p.oprname) as operator
               from pg_opclass oc join pg_amop am on am.amopfamily = oc.opcfamily and am.amopstrategy = 3
                 and am.amoplefttype = oc.opcintype and am.amoprighttype = oc.opcintype
               join pg_operator p on p.oid = am.amopopr join pg_namespace n on n.oid = p.oprnamespace
               where oc.oid = c.opclass) o
             order by place)
from (
  select i.indrelid, i.indisprimary, i.indnkeyatts, x.relname,
         i.indkey[0:i.indnkeyatts - 1]::int2[] as columns, i.indclass[0:i.indnkeyatts - 1]::oid[] as classes,
         i.indcollation[0:i.indnkeyatts - 1]::oid[] as collations, i.indoption[0:i.indnkeyatts - 1]::int2[] as options
  from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam
  where i.indrelid = $1 and m.amname = 'btree' and i.indisunique and i.indisvalid and i.indislive
    and i.indpred is null and i.indexprs is null
    and not exists (select from pg_constraint n where n.conrelid = i.indrelid and n.contype = 'n' and not n.convalidated and n.conkey[1] = any (i.indkey[0:i.indnkeyatts - 1])) -- from 18 on
) found
where not exists (
  select from unnest(found.columns, found.classes, found.collations, found.options) c(attnum, opclass, collated, direction)
  join pg_attribute a on a.attrelid = found.indrelid and a.attnum = c.attnum
  join pg_opclass oc on oc.oid = c.opclass
  cross join lateral ({{below}}) b join pg_type t on t.oid = b.oid left join pg_type element on element.oid = t.typelem
  where t.oid >= 16384 and (t.typtype not in ('b', 'e') or element.oid >= 16384 and element.typtype not in ('b', 'e')) or not a.attnotnull or a.attname = any ($2) or not oc.opcdefault or c.collated <> a.attcollation or c.direction <> found.options[1])
order by found.indisprimary desc, found.indnkeyatts, found.relname
limit 1
