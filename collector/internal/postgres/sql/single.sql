-- Statements that change a single row, which most do, write a row here, in the table of the slot: these have one index and are no
-- partitions, since each index and each partition constraint costs a microsecond or two. A row's form is as in the outbox:
-- was and became are as record_send gives them, or JSON.
create table datawatch.single_0 (
  seq         bigint not null,
  part        bigint not null default 0, -- always 0: the order is that of the outbox
  txid        xid8 not null,
  op          "char" not null,           -- i, u, d
  json        boolean not null,
  shape       bigint not null,
  at          timestamptz not null,
  counted     bigint not null,           -- of the transaction, with this row: see datawatch.count_rows
  application text,
  login       text not null,
  client      inet,
  tag         text,
  was         bytea,
  became      bytea
);
create table datawatch.single_1 (like datawatch.single_0 including all);
create table datawatch.single_2 (like datawatch.single_0 including all);

-- 0 to 2: the slot that these statements write to, without another look at the queue. 3: each looks. No value, with is_called
-- false: capture is off. The queue's trigger sets it, and whoever finds the outbox full. A sequence, since it costs little, and
-- is seen at once.
create sequence datawatch.gate minvalue 0 maxvalue 3 cache 1;

-- All packs that are behind no statement at work, and the others: what the collector reads.
create view datawatch.packs as
select seq, part, txid, op, shape, at, first, rows, total, start, behind, place, application, login, client, tag, before, after, bytes, olds, news
from datawatch.outbox
{{singles}};
