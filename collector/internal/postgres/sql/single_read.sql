union all
select seq, part, txid, op, shape, at, counted % 100000000000000 - 1, 1, 1::bigint, null::bigint, null::bigint, null::bigint,
       nullif(application, ''), login, client, nullif(tag, ''), null::text, null::text,
       coalesce(octet_length(was), 0) + coalesce(octet_length(became), 0), null::bytea[], null::bytea[], json, was, became
from datawatch.single_{{slot}}
