// Package postgres captures PostgreSQL tables by triggers that write to an outbox in the watched database, and reads the
// outbox by snapshot difference.
//
// # In the database
//
// Everything is in the schema datawatch, and nothing else is added but triggers named _datawatch_*. Statement-level
// triggers with transition tables pack a statement's rows as JSON into datawatch.outbox, in the application's own
// transaction. Each pack names the shape (columns, types, key) that its function was made for. Reclaiming is done by
// TRUNCATE of a partition that nobody writes to.
//
// # Reading
//
// A tick is what became visible between two snapshots of the database, s1 and s2: all of a transaction's packs are in one
// tick, and none is ever missed, however transactions overlap. Within a tick the order is that of a sequence drawn at the
// end of each statement, while the row locks are held, so that changes of one row are in the order in which they took
// effect. A tick is paged; progress names s2 and the last pack, so that a killed collector goes on in the middle of it.
//
// # What it refuses
//
// It never reads by "seq > last" (overlapping transactions would be lost), uses no NOTIFY, and holds no transaction open
// between reads. What can't be captured is a gap, told in the streams concerned. With on_error fail_open an error inside
// capture doesn't fail the write: this is guaranteed for the first 50 statements of a transaction (each guard costs a
// subtransaction), and not for cancellation and statement_timeout.
//
// # Order within a transaction
//
// A row that a trigger of the application's own changes again is captured before the statement that fired the trigger,
// since statements are captured when they end. Such statements go behind the one that fired them, where the rows' images
// say so: the old row of the one is the new row of the other. Packs wait for that in a window of 10,000 rows and 8 MiB. The
// order of the sequence stays for what is farther apart, and where no order fits, as when rows are too large to be read:
// both are counted (datawatch_collector_order_undecided_total) and logged. Where the images allow both orders (a trigger
// undoes just what its statement did), the trigger's change is taken for the later one: wrong only where a BEFORE trigger
// deletes a row and the very same is then inserted, or where a view's trigger and a later statement of the same call undo
// each other.
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
// # What isn't seen
//
// Writes under session_replication_role = replica, rows that logical replication applies, ALTER TABLE ... DISABLE TRIGGER
// and what a superuser does to the catalogs. Rows of an inheritance child that are changed through its parent appear in
// the parent's stream. TRUNCATE of a single partition is a delete of each of its rows, and needs SELECT on it for the
// function's owner.
package postgres
