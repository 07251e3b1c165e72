-- The packs behind statements, each from ($5, $6, $7) on: those with the statement's number $1 that its transaction $2 wrote before its
-- pack $4, and not before pack $3, which has the same number. Limits as for a page.
{{pack}}
from (
  select found.*, size > {{largest}} * case when rows = 1 then 1 else 4 end + 2097152 as cut, sum(size) over (order by parent, txid, place, seq, part) as running
  from (
    select o.*, statement.parent, coalesce(octet_length(o.before), 0) + coalesce(octet_length(o.after), 0) + coalesce({{sent o.bytes}}, 0)::bigint as size
    from unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) statement(number, xid, floor, parent)
    cross join lateral (
      select * from datawatch.outbox o
      where o.behind = statement.number and o.txid = statement.xid::xid8 and o.seq >= statement.floor and o.seq < statement.parent
        and (o.place, o.seq, o.part) > ($5::bigint, $6::bigint, $7::bigint)
      order by o.place, o.seq, o.part
      limit $8
    ) o
    limit $8
  ) found
) page
where running - size < $10
order by parent, txid, place, seq, part
