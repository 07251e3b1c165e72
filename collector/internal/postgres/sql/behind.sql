-- The packs behind the statements $1, each from ($2, $3, $4) on: they are of the statements' transactions, and so of their
-- tick. Limits as for a page.
{{pack}}
from (
  select found.*, size > {{largest}} * case when rows = 1 then 1 else 4 end + 2097152 as cut, sum(size) over (order by behind, place, seq, part) as running
  from (
    select o.*, coalesce(octet_length(o.before), 0) + coalesce(octet_length(o.after), 0) + coalesce({{sent o.bytes}}, 0)::bigint as size
    from unnest($1::bigint[]) statement(number)
    cross join lateral (
      select * from datawatch.outbox o
      where o.behind = statement.number and (o.place, o.seq, o.part) > ($2::bigint, $3::bigint, $4::bigint)
      order by o.place, o.seq, o.part
      limit $5
    ) o
    limit $5
  ) found
) page
where running - size < $7
order by behind, place, seq, part
