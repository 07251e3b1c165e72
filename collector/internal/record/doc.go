// Package record keeps what changed between two moments, by transaction and table, and compares two such recordings.
//
// A recording is read from datawatch.clean, so it says what everybody else downstream sees: reads of snapshots aside, every
// change and record between the two moments, with the verdicts of the validator. Whoever wants a recording to be complete
// waits first until all that was committed meanwhile has arrived: see Barrier.
//
// Two runs of the same code never write the same ids and times. Comparing recognizes them: times are alike, and generated
// ids (keys of rows that the recording inserts, UUIDs, ObjectIds) are numbered in the order in which they come, wherever
// they come, also in other tables' columns and in messages. What is then different is different.
//
// It refuses to judge; it holds no more than MaxBytes, and says so where there was more.
package record
