select seq, part, txid::text as xid, op::text, shape, at, first % 100000000000000, rows, total, coalesce(start, 0), coalesce(behind, 0), coalesce(place, 0),
       coalesce(application, ''), coalesce(login, ''), coalesce(host(client), ''), left(coalesce(tag, ''), 1000),
       case when cut then left({{before}}, least({{largest}}, 1048576)::integer) else {{before}} end,
       case when cut then left({{after}}, least({{largest}}, 1048576)::integer) else {{after}} end, size, cut,
       {{olds}}, {{news}}, {{parent}},
       case when start is null then 0 else (
         select coalesce(max(e.seq), 0) from datawatch.outbox e where abs(e.start) = abs(page.start) and e.txid = page.txid and e.seq < page.seq) end
