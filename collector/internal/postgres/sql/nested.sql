-- How many packs of a tick are behind statements. $1 is below all of them, the rest as for a page.
select count(*) from datawatch.outbox o
where o.behind is not null and o.seq > $1::bigint
  and (o.txid >= $2::text::xid8 or o.txid = any ($3::text::xid8[]))
  and pg_visible_in_snapshot(o.txid, $4::text::pg_snapshot)
