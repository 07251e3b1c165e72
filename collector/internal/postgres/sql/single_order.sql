create index single_{{slot}}_order on datawatch.single_{{slot}} (seq, txid, part);
