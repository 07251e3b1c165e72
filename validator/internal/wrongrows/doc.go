// Package wrongrows knows which rows are wrong now: the content of the topic wrong, by partition, as far as judging
// needs it.
//
// A row stands as wrong by a rule from the event that the rule found wrong until a later event of its key passes, or the
// row is deleted. The topic is the truth, compacted, one record a row and rule; the Rows in memory hold a hash of each
// row and a number for what it is wrong by, some 30 bytes a row. They are read anew at the begin of each session, and
// are of no use once a transaction has failed: what they were told may then not have taken place.
//
// A Rows is for one goroutine, but for Counts.
package wrongrows
