// Package postgres captures PostgreSQL tables by triggers that write to an outbox in the watched database, and reads the
// outbox by snapshot difference.
//
// # In the database
//
// Everything is in the schema datawatch, and nothing else is added but triggers named _datawatch_*. Whose the schema is could have
// others run what is his: so a superuser installs nothing in that of a role that is none. Statement-level
// triggers with transition tables pack a statement's rows into datawatch.outbox, or write the one row of it into a table
// for such rows, in the application's own transaction. A function pins the search path, and of the settings that values'
// text depends on those that its columns need. Each pack names the shape (columns, types, key) that its function was
// made for. Reclaiming is done by TRUNCATE of tables that nobody writes to.
//
// Rows are packed as record_send gives them, in PostgreSQL's binary form, which costs a third of JSON and depends on no
// setting but the client's encoding; the collector makes of them what to_json would have made, byte for byte. This is done
// where the collector knows all of the columns' types in that form (sendable; enums too), where no column is hidden, and
// where ALTER TABLE makes the function anew in its own transaction (the event trigger), since these rows have no names of
// columns, and what was renamed would go unnoticed. Everywhere else, and for rows over 100 kB, packs are JSON.
//
// JSON is what to_json prints, but for one thing: it would call a cast to json that an enum, a range or a multirange was given by
// its owner, with the rights of the function's owner, or of whoever reads. So values of these types are printed as text, by
// expressions that name columns. A function is made with those of its table, and each statement makes sure that the columns are
// still these; where they aren't, and where binary form can't be used by exception, the expression is made anew for the statement,
// which takes half a millisecond. Domains aren't put to their
// checks, and operators are those of indexes.
//
// What a statement of one row costs is mostly what PL/pgSQL and the executor set up for it, each expression anew in each
// transaction and each node of a plan anew in each statement. So such a statement, which most are, has tables of its own
// (datawatch.single_0 to 2), which are no partitions and have one index; it is written by one query, behind one
// expression that asks a sequence where to (datawatch.gate: the queue's trigger sets it, and it is closed where somebody
// must look), and one setting counts the transaction's rows and its guards. How large the outbox is, one of 256 looks.
// The reader has both kinds of packs in the view datawatch.packs, which is read by the order of the indexes below it.
//
// As microseconds of the server's time for an update of one row in a transaction of its own, which is 12 without capture
// (a loop in the server, PostgreSQL 15): an empty function behind transition tables, with the rights and the path of its
// owner, 3.5 more; with a guard and a row of constants that it writes, 8; with the two images, a number and the
// transaction's id, 21; all of this, 38 (50 where packs of one row go to the outbox). 8 clients on two cores, whose sessions push each other out of the
// processor's caches, make of the 34 of the statement alone 52 for the empty function, 65, 86 and 104 (120):
// where nothing but the processor limits them, a trigger that writes a row of constants leaves them under two thirds of
// their rate, whatever it does else.
//
// Tried and left, as microseconds of such a statement: a partition in the place of a table of its own, 2 through the parent, 4 by
// itself; another index with a condition, 1; a look at the queue, 2; a look at the size by each statement, 10; reading the rows
// into variables first, 12; and for bulk, a window function and GROUP BY in the place of loops, half as much again.
//
// # Reading
//
// A tick is what became visible between two snapshots of the database, s1 and s2: all of a transaction's packs are in one
// tick, and none is ever missed, however transactions overlap. Within a tick the order is that of the WAL's end at the end
// of each statement, while the row locks are held, so that changes of one row are in the order in which they took
// effect. (A sequence would do as well, but for lastval(), which is the application's.) Two transactions may be at the same place: a
// statement is known by its number and its transaction. A commit that waits for a synchronous standby is told once others see it; one that doesn't wait for the server's own
// disk, once the disk has it, since a crash would undo it. A tick is paged; progress names s2 and where reading is, so that
// a killed collector goes on in the middle of it.
//
// A tick of a steady stream takes 1 ms to be read, and 5 ms to be committed to the broker. So nothing is read ahead while
// a tick is committed: it would gain that millisecond, and hold a second batch. Memory is bounded by a batch and a page.
//
// An outbox that an earlier program of the same kind installed (oldestVersion) is read as it is, and upgraded in place by
// whoever installs, once little of it is unread: columns, tables and indexes are added to it, the functions made anew table by table. Packs of
// before are read as ever, and those that functions of before still write. Until version 4 numbers were of a sequence: functions
// of both kinds go on to draw from it until all are new, and all transactions have ended that may be at one of before. Then all take the
// WAL's end, at once (upgrade.go). An earlier program, which would miss what it doesn't know of, doesn't find what it polls any more, and ends.
//
// # What it refuses
//
// It never reads by "seq > last" (overlapping transactions would be lost), uses no NOTIFY, and holds no transaction open
// between reads. What can't be captured is a gap, told in the streams concerned. With on_error fail_open an error inside
// capture doesn't fail the write: this is guaranteed for the first 50 statements of a transaction that write (each guard costs a
// subtransaction), and not for cancellation and statement_timeout. Nor is it for temp_file_limit: the server keeps a statement's
// old and new rows for the trigger, in files where they are many, before the trigger is called.
//
// # Order within a transaction
//
// A statement is captured when it ends, and so behind what its own triggers did meanwhile. On a table whose triggers may
// change rows, or that another's foreign keys cascade to, three more triggers therefore announce each statement when it
// begins and count its rows as they are changed (the counting ones never fire: their condition counts). What is captured
// meanwhile notes "behind the first n rows of statement s", and is told there: exactly, however long the statement, since
// what is behind one is read from the outbox page by page when its turn has come. Progress is the path of statements that
// reading is in. Where the capture of the outer statement itself was left out, for want of room, what was behind it is
// told at the end of its tick, and counted (datawatch_collector_order_unclaimed_total).
//
// Moving what triggers did behind the statement that fired them is safe against other transactions: a transaction's rows
// are locked until it ends.
//
// Not seen is when a function that is called within a statement's expressions, and not by a trigger, changes the very rows
// that the statement changes: it is told before the statement. Of the targets of one statement (upsert, MERGE, a WITH that
// writes) what triggers do is behind all of them.
//
// # Snapshots
//
// A chunk of existing rows is read in the very snapshot s2 that ends a tick, behind a lock that no ALTER or TRUNCATE passes,
// and its reads stand at the end of that tick: behind all that s2 sees, before all that it doesn't. So a read is never older
// than a change before it, nor newer than one behind it. Chunks follow a unique btree index, by the operators of its own
// operator classes; where none has the order of ORDER BY, they follow the place of rows (ctid). Then a row that moves while
// it is read is missed by the walk, but not by its triggers, or is met twice: told twice, which matters where the table has
// no key. A table that was rewritten (VACUUM FULL, CLUSTER) or whose index changed is walked anew, also where
// just its collation did. Rows are fetched from a cursor as far as a chunk goes, so that the server prints no more of them. An
// error in a chunk, while the session lives, is the snapshot's alone.
//
// # New tables
//
// Every two seconds a query over the catalog looks for tables without triggers. What a new table, or a partition of one,
// held before it had them is a gap (table_new) in its stream, from the last look at which none was missing: the
// installation writes it into the outbox, in the transaction that makes the triggers and under their lock. A table without
// a page was never written to, and has no gap. Rows that came into a new partition through its root were captured, and are
// in the gap all the same. CREATE TABLE installs nothing by itself: the selection and the masks are the configuration's,
// which the database doesn't have.
//
// # Tables that go
//
// A table that is dropped or renamed, or attached to a partition tree, or that gets another key while it has rows, ends its stream with a
// truncate that says why; the stream that has its rows then begins with a gap. A table that was dropped is told from one that was made
// anew under its name by their age. Rows of a partition that is detached or dropped leave the root's stream
// without deletes: that is a gap, for nobody knows any more which they were. Rows that come with a partition that is
// attached are read, as by a snapshot of it alone, whatever the configuration says of snapshots; it is a gap where they
// can't be. Event triggers tell of ALTER TABLE and DROP in their own transaction, where the installer may have them, and note
// partitions until those have triggers, so that one which is gone before that is told, too; without them all is told
// when the collector next looks, and then the rows are read when all transactions that were running at that moment are
// over.
//
// # Another database behind the address
//
// What was read is compared with what the database says of itself before reading begins. Another installation is one that
// was made anew, or came with a dump: the server's identifier and the database's oid tell, and of a dump the outbox, which is
// the other server's, is emptied. An earlier state of the same database (a restore, a standby that was promoted without the
// last changes) has smaller transaction ids, or another timeline, or lacks the last pack that was told: that is in the outbox
// until the database was told of its tick. Either is a new epoch with a gap. Of an earlier state, what the outbox has of
// transactions that reading hasn't seen is told behind the gap; of those that use the id of one that it has seen, nobody knows
// whether they were told, and they are in the gap. A database that was told of all that was read lost none of it, and reading
// goes on, whatever its timeline is.
//
// A dump of a table has its triggers, and a capture function names the table that it was made for. Of one that was restored in its place, the
// function goes on, and what was restored is a gap; by one that was restored beside it, which calls the same function, nothing is captured,
// until the collector has given it its own.
//
// A new epoch tells its gap in each stream, also in those of tables that are gone, or aren't selected any more: progress knows which streams
// have begun and haven't ended since. These end then, with a truncate, so that no row lives on of which nothing will be told. An
// empty database is one that has lost all of its tables.
//
// A dump that is brought back to its own database has the same installation, and looks as it did to a session that is open. But the oid of
// datawatch.meta is another one. Progress knows it, and it is compared when reading begins, at each poll, and before what was read is
// committed: so nothing of the dump's outbox is told, nor is that told of what was read, which is of another one.
//
// The database may also have been told of more than the progress knows: the broker lost it, or another datawatch, whose progress is in
// a broker of its own, has read. What that is may be reclaimed: a new epoch, with a gap. A reader tells the database of its
// epoch before it reads in it, and looks whether it is still that one behind each read: so what another had reclaimed is never
// taken for nothing. Whoever finds another's later epoch ends, and takes the database over when that one has told it of nothing for two minutes.
//
// # Captured from the WAL before
//
// Triggers that weren't removed went on filling the outbox with what was told from the WAL. Where package wal has read before,
// reading begins with what commits from then on, in a new epoch, with a gap since the last change that was told. A commit that
// was told while it waited for a synchronous standby, and that still waits, counts as read; the server shows who waits to the
// roles that may know it (pg_monitor), and to others of their own role alone.
//
// # Off and on
//
// datawatch.off() has all triggers do nothing until datawatch.on(); both tell the gap in every stream. Whoever owns the
// schema may call them. on() counts from its call, on whatever others write from then on, since the gap ends there; off() counts when
// it is committed. Where on() is undone, what is written is captured until the collector next says that it lives, a minute at most.
//
// # What isn't seen
//
// Writes under session_replication_role = replica, rows that logical replication applies, ALTER TABLE ... DISABLE TRIGGER
// and what a superuser does to the catalogs; and the TRUNCATE of a partition where the session gives datawatch.truncating_* a value of
// its own. With datawatch.open it may give its changes another order, or a gap, and with datawatch.written fail them: anybody may,
// for his own transactions alone. Rows of an inheritance child that are changed through its parent appear in
// the parent's stream. TRUNCATE of a single partition is a delete of each of its rows, and needs SELECT on it for the
// function's owner, past its row security. Where the installer may have no event trigger, what is written to a column of a new type between ALTER
// TABLE and the collector's next look is printed by the settings of the session that writes it.
package postgres
