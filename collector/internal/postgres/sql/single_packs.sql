union all
select seq, part, txid, op, shape, at, counted % 100000000000000 - 1, 1, 1::bigint, null::bigint, null::bigint, null::bigint,
       nullif(application, ''), login, client, nullif(tag, ''),
       case when json and was is not null then '[' || convert_from(was, 'UTF8') || ']' end,
       case when json and became is not null then '[' || convert_from(became, 'UTF8') || ']' end,
       case when not json then coalesce(octet_length(was), 0) + coalesce(octet_length(became), 0) end,
       case when not json and was is not null then array[was] end,
       case when not json and became is not null then array[became] end
from datawatch.single_{{slot}}
