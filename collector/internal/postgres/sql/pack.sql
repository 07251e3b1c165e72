select seq, part, txid::text, op::text, shape, at, first % 100000000000000, rows, total, coalesce(start, 0), coalesce(behind, 0), coalesce(place, 0),
       coalesce(application, ''), coalesce(login, ''), coalesce(host(client), ''), coalesce(tag, ''),
       case when cut then left(before, least({{largest}}, 1048576)::integer) else before end,
       case when cut then left(after, least({{largest}}, 1048576)::integer) else after end, size, cut,
       {{sent olds}}, {{sent news}}
