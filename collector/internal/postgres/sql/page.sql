-- The packs behind ($1, $9, $2) of the tick that ends with snapshot $5: of transactions that weren't assigned at the
-- snapshot before ($3 on) or that ended since ($4). At most $6 packs and about $8 bytes; of a pack that is larger than a record may
-- be ($7), the beginning.
{{pack}}
from (
  select found.*, size > {{largest}} * case when rows = 1 then 1 else 4 end + 2097152 as cut, sum(size) over (order by {{order}}) as running
  from (
    select o.*, coalesce(octet_length(o.before), 0) + coalesce(octet_length(o.after), 0) + coalesce({{sent o.bytes}}, 0)::bigint as size
    from {{packs}} o
    where {{after the last}}
      and {{which}}
      and (o.txid >= $3::text::xid8 or o.txid = any ($4::text::xid8[]))
      and pg_visible_in_snapshot(o.txid, $5::text::pg_snapshot)
    order by {{order}}
    limit $6
  ) found
) page
where running - size < $8
order by {{order}}
