// Package backfill keeps account of a source's snapshots: which were asked for, what each is to read, how far it is, and
// how fast it may go. It reads nothing itself; a source asks it what is next, and tells what it has read.
//
// The account is an entry of the source's progress, so it is committed in one Kafka transaction with the reads: a chunk
// is in raw and behind the cursor, or neither. Requests are taken in the order of the control topic, one at a time; the
// offset behind the last one that was taken is in the account too.
//
//	asked for ──> planned (parts: one a table) ──> part after part, chunk after chunk ──> ended
//
// A part that can't be read is left out with its reason, and the others go on: a snapshot never stops its source. Order and
// exactness are the source's: a read may only be told where no older image follows a newer one.
package backfill
