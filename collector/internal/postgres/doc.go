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
// A row that a trigger of the application's own changes again, after the statement that fired it, is captured before that
// statement: events are in the order in which statements ended. The depth of the trigger is in the outbox (column depth).
//
// # What isn't seen
//
// Writes under session_replication_role = replica, rows that logical replication applies, ALTER TABLE ... DISABLE TRIGGER
// and what a superuser does to the catalogs. Rows of an inheritance child that are changed through its parent appear in
// the parent's stream. TRUNCATE of a single partition is a delete of each of its rows, and needs SELECT on it for the
// function's owner.
package postgres
