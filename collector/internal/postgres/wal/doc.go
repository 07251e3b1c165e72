// Package wal captures PostgreSQL tables from the server's write-ahead log, decoded by pgoutput. Its events are those that
// capture by triggers (package postgres) gives, as far as the WAL holds them.
//
// It refuses servers on which it could do harm: one that keeps WAL without bound for a collector that is away
// (max_slot_wal_keep_size = -1), and one that could take it for a synchronous standby. It publishes just the tables of the
// configuration, never all, tells of no other that somebody publishes, and publishes no UPDATE that PostgreSQL would then refuse.
//
// # In the database
//
// A replication slot, and two publications: one of everything, one of inserts and truncates alone, for tables without a
// usable replica identity. An UPDATE of such a table fails if its updates are published, so that these are lost; the
// server's statistics tell how many there were, since the last look that progress has, and that is a gap. Each table is in the one that it belongs to; the catalog
// is compared every two seconds. Whatever somebody else does to them in between leaves other rows in the catalog, also where it
// was undone at once: the table is taken out and added again, when its writers have ended, and a gap tells of the time from the last
// look at which all was right, which progress has, until then. A publication that a stranger owns is refused: he could alter it at
// any time.
//
// Where a table loses its replica identity (DROP CONSTRAINT of a primary key, or of the type of its column, ATTACH of a partition that has
// none), event triggers take it out of the publication of updates in the same transaction; where the installer may have none, which takes a superuser,
// the table can't be updated until the collector has seen it. So can't one whose tree somebody else has locked then, which holds up
// no other. The triggers' function is in a schema of its own, datawatch_wal. The
// time until the collector has seen that a replica identity went, or came, is a gap.
//
// Partitions are published as themselves, not under their root (publish_via_partition_root): under it, TRUNCATE of a single
// partition isn't sent at all, and the old rows of a partition whose replica identity isn't its root's come with nulls. The
// root in a publication publishes all its partitions, later ones too, and each one's stream is the root's. A tree whose root
// has no primary key is published without updates, since a new partition would have no replica identity; partitions that
// have one are then published by themselves as well.
//
// # Reading
//
// The server sends transactions in the order of their commits, each from its beginning; rolled back ones never. Positions
// are the place of the commit and a count. Changes within a transaction are in the order in which they were made. There are
// no statements in the WAL: the two events of a changed key stand together, also where a statement changed many. That is
// why a deferrable constraint is no key here: with an immediate one, no two rows ever have the same key in between.
//
// A batch ends with a transaction, or at a size; of a transaction that is done in part, progress names the last change by
// its place in the WAL, and by a count where a record holds several. What comes again after a restart is skipped. Only what
// the broker has taken is confirmed to the server, and a place is never confirmed that progress doesn't have: a slot that is
// ahead of progress was moved by somebody else, which is a gap; it is looked at again when nobody else can have it any more. Progress that was lost is told where the server counts what is
// read from a slot (14 and later). Where nothing is captured, progress alone is committed every
// ten seconds, so that the slot moves on; nothing is written to the database for it.
//
// One goroutine takes messages from the connection, one makes events, one waits for the broker, one tells the server that we
// live, one watches slot and tables. The server sends each message of a transaction by itself, and each commit wakes its
// process: whoever reads can only see to it that he isn't woken as often. Memory is bounded by two batches and a row, of whatever size the row is.
// Where nothing comes though a look has found WAL on the server's disk that is still to be sent (its process hangs, or waits for a standby), the lag grows
// all the same, and the log says so after a minute.
//
// # Synchronous standbys
//
// A commit that waits for a synchronous standby is in the WAL and on the primary's disk, and the server sends it, though on
// the primary nobody sees it yet: it is told before others see it. Where the primary is lost then, a standby may never have
// heard of it, and the failover is one that undid what was read. PostgreSQL 17 has synchronized_standby_slots, which holds
// logical decoding back to what these standbys have. What the collector itself commits waits for none.
//
// Whose a relation is that such a transaction made, attached or detached, the catalog shows when the transaction is seen. It is waited for ten
// seconds; then what it wrote to a relation that it has locked is left out, and reading goes on. Progress has the relation's oid, until a look sees the
// transaction: then there is a gap, and what the relation holds is read. A server of version 13 itself waits for the lock.
//
// # Values
//
// pgoutput sends the text of each value; package wal prints it as to_json does in a trigger. The stream tells a table's
// columns and types as they were; what a type is made of (a composite's attributes, a domain's base) comes from the catalog
// as it is now, or was at the last look. A value that doesn't fit its type any more is its text. Types with a cast to json of their own, hstore is
// one, are printed by the server, at a query a value.
//
// # Snapshots
//
// A chunk is read in a database snapshot, behind which the end of the WAL is noted. It waits until the stream has come to
// that place. What committed before it and isn't seen by the snapshot (the commit is in the WAL before others see it) is
// told by the stream meanwhile, and its rows go from the chunk; where they can't be told by a key, or the stream leaves
// fields out, the chunk is read again. No chunk is read as long as one of the transactions that were told isn't seen, nor
// after a restart one that ran then, for it may have been told before. What commits behind the place is told behind the
// reads. Where nobody commits, a message has the server write the WAL up to there to disk, for it sends nothing else.
// Partitions are read one by one.
//
// # Gaps
//
// A lost or dropped slot, a publication that was dropped (also where it was made anew since), another server behind the
// address, and a failover that undid what was read begin a new epoch, with a gap, also in streams of tables that are gone, which end.
// A failover that undid nothing goes on, if the slot is there (PostgreSQL 17 keeps it on standbys that are told to). What a table held before it was published is a
// gap (of one that was captured once, from then on), and so is what wasn't published for a time, and rows that went with a partition; rows that came with one are read, as by a snapshot of it alone, and are a
// gap where they can't be. One that is back where it was, if for a moment it was detached or unlogged, is both: what was done to it meanwhile isn't published.
// Of a transaction with a row whose text PostgreSQL can't make, since it is too large or not in UTF-8, nothing can be sent from that row on: it
// is passed, with a gap in each stream.
//
// # Tables that go
//
// The rows of a table that is dropped, renamed or attached go from its stream with a truncate, as do those of a whole tree; what has them
// under another name begins with a gap, or has them read. The WAL tells of none of this. It is told when a look has found it and reading has come
// to where that was; but whatever the stream tells of a table that nobody knew yet, or by another name, is noted at once: before a row of it
// is told, the stream ends whose name it has. What a look finds behind that place counts again once it sees the transaction.
//
// A partition that was detached may go on to be published, by itself, by another tree that it was attached to, or, up to version 14, as it was. The
// server tells of it anew behind that (and behind much else), and then the catalog is asked: where it isn't in its tree any more by the rows that the
// last look found, what follows isn't told of the tree, and is in the gap that the next look tells. Where reading is behind, the message may come
// before the partition was detached: what was written until then is in the gap, too.
//
// A copy of the server's files that has been written to until its WAL is as long as what was read names the same server and
// timeline. But its slot is as far as when it was copied. So where a slot is behind what was read, it is read again from the last
// transaction on, which has to come as it was, and no other before the place that was read; until then nothing is told or
// confirmed. Where it is otherwise, that is a new epoch, which begins behind what both histories have, as far as that shows.
//
// Capture by triggers before is a gap as well: a slot that is left from an earlier time holds what triggers have told since, and
// is read from the end of the WAL on.
package wal
