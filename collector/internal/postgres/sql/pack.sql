select seq, part, txid::text, op::text, shape, at, first, rows, total, coalesce(start, 0), coalesce(behind, 0), coalesce(place, 0),
       coalesce(application, ''), coalesce(login, ''), coalesce(host(client), ''), coalesce(tag, ''),
       case when size <= {{large}} then before end, case when size <= {{large}} then after end, size
