-- What the collector reads, in its order.
create index outbox_order on datawatch.outbox (seq, txid, part) where behind is null;
