create schema datawatch;
revoke all on schema datawatch from public;
comment on schema datawatch is 'Change capture by datawatch: an outbox that triggers write and the collector reads. Removed by: collector triggers remove';

-- One row: what is installed, and where. A dump that is restored on another server carries the first server's name, and
-- so is told from a server's own outbox.
create table datawatch.meta (
  one          boolean primary key default true check (one),
  version      integer not null,
  install      uuid not null default gen_random_uuid(),
  installed_at timestamptz not null default clock_timestamp(),
  server       text not null,
  code         text not null default '' -- a hash of the functions that are installed
);

-- Shapes: what a table's rows look like. A pack names the shape that its function was made for, so that a pack written
-- before an ALTER TABLE is still understood after it. The id is a hash of the content, or of that and a transaction: datawatch.shape_written.
create table datawatch.shapes (
  id       bigint primary key,
  shape    jsonb not null,
  added_at timestamptz not null default clock_timestamp()
);
create index shapes_hash on datawatch.shapes (hashtextextended(shape::text, 0));

-- Statements whose capture failed without a trace, and those left out for want of room, about: of two at once one may be left out.
-- Sequences, since they are cheap and survive a rollback; set, and not drawn from, since the application may ask for lastval().
create sequence datawatch.unnoted cache 1;
create sequence datawatch.skipped cache 1;

-- One row: where triggers write now, and how long and how much they may.
create table datawatch.queue (
  one     boolean primary key default true check (one),
  current smallint not null default 0,
  main    oid not null,                 -- of the current table, and of its TOAST table
  toast   oid not null,
  room    bigint not null,              -- bytes that these two may reach; beyond, nothing is captured
  expires timestamptz not null,         -- capture stops when the collector has been away this long
  off     timestamptz,                  -- since when somebody has switched capture off: datawatch.off()
  looked  timestamptz not null default clock_timestamp() -- when every table that is selected was last seen to be captured
) with (fillfactor = 50);

-- When each outbox table was last switched away from: what the truncation of it waits for.
create table datawatch.slots (
  slot          smallint primary key,
  switched_xid  xid8,
  switched_seq  bigint
) with (fillfactor = 50);

-- One row: how far the collector has committed what it read. What this snapshot sees may be reclaimed.
create table datawatch.progress (
  one      boolean primary key default true check (one),
  epoch    text not null default '',
  tick     bigint not null default 0,
  snapshot pg_snapshot not null default '1:1:',
  told_at  timestamptz not null default clock_timestamp()
) with (fillfactor = 50);

-- The outbox. A row is a pack: up to 200 rows of one statement, as JSON arrays or as record_send gives them. It is
-- partitioned so that old packs go by TRUNCATE of a table that nobody writes to.
create table datawatch.outbox (
  slot        smallint not null,
  seq         bigint not null,          -- where the WAL ended when the statement did: what waited for another's commit has the higher one.
                                        -- Of one transaction no two have the same
  part        bigint not null,          -- rows of the statement before this pack
  txid        xid8 not null default pg_current_xact_id(),
  op          "char" not null,          -- i, u, d, t(runcate), g(ap: capture failed), n(ew table: not captured before),
                                        -- o(ff: not captured meanwhile), m(ark: nothing changed, but others are behind it),
                                        -- p(artition: its rows left the stream),
                                        -- a(ttached: rows that are to be read)
  shape       bigint not null,
  at          timestamptz not null,
  first       bigint not null,          -- rows of the transaction before this pack, those of statements behind others not counted
  rows        integer not null,
  total       bigint not null,          -- rows of the whole statement
  start       bigint,                   -- the number under which others are behind this statement; negative: behind all of it
  behind      bigint,                   -- the statement, still at work, that this one is behind, and behind how many of
  place       bigint,                   -- its rows
  application text default nullif(current_setting('application_name'), ''),
  login       text default session_user,
  client      inet default inet_client_addr(),
  tag         text default nullif(left(current_setting('datawatch.tag', true), 1000), ''),
  before      text,                     -- a JSON array of rows
  after       text,
  bytes       integer,                  -- in the place of these two: the rows in PostgreSQL's binary form, which depends on
  olds        bytea[],                  -- no setting and costs a third of JSON, and how many bytes they are
  news        bytea[]
) partition by list (slot);
create table datawatch.outbox_0 partition of datawatch.outbox for values in (0);
create table datawatch.outbox_1 partition of datawatch.outbox for values in (1);
create table datawatch.outbox_2 partition of datawatch.outbox for values in (2);
create index outbox_nested on datawatch.outbox (seq) where behind is not null;
create index outbox_behind on datawatch.outbox (behind, place, seq, part) where behind is not null;
create index outbox_start on datawatch.outbox (abs(start)) where start is not null;

-- Where a statement belongs in the order of its transaction: see the columns of the outbox.
create type datawatch.spot as (start bigint, behind bigint, place bigint);
