// Package hide is the contract between the validator, which knows by x-pii what no one may be shown, and whoever shows
// rows: the record hide/schemas of the state topic, its writer and its reader, and the hiding itself.
//
// The record lists patterns of streams with the JSON pointers that are hidden there, and those without any that an exact
// name or a longer glob takes away from a wider one: which entry is a stream's is found as schema files are, and one wins.
//
// It refuses to guess in favour of showing. Until a Follower has read the record everything is hidden; what can't be read
// is hidden as a whole; a schema file that is broken when the validator starts keeps what was hidden by it before.
package hide
