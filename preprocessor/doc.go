// Package preprocessor makes datawatch.clean of datawatch.raw: one clean, exact stream of events whatever system they come
// from, so that whoever reads it needs to know nothing of the sources.
//
// It refuses to judge what an event says, and to skip: a record that can't be understood goes to datawatch.deadletter with
// the reason. Records of one key keep their order. What is read, what is written and how far the group has come are
// committed in one transaction, so each raw record is in clean (or is a dead letter) exactly once for a reader with
// read_committed, whichever instance dies at whichever moment. Several instances share the partitions.
package preprocessor
