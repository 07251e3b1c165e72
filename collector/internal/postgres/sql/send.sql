insert into datawatch.outbox (slot, seq, part, op, shape, at, first, rows, total, start, behind, place, bytes, olds, news)
values (slot, number, done, op, {{shape}}, moment, started + done, cardinality(coalesce(news_sent, olds_sent)), total, spot.start, spot.behind, spot.place,
  bytes, olds_sent, news_sent);
done := done + cardinality(coalesce(news_sent, olds_sent));
bytes := 0;
olds_sent := null;
news_sent := null;
