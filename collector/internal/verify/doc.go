// Package verify compares a table with the latest state that datawatch.clean holds of it, while writes go on.
//
// Clean is read first, then the table is walked by key in chunks, and what differs is looked at again: the row is read once
// more, the pipeline is waited for until it has passed that moment, and only what clean held at no time since is a
// difference. A row that changes faster than the pipeline can be waited for is found right as soon as one of its states is
// found in clean. It refuses to guess: of a row that was there before capture, and that no snapshot read, clean can say
// nothing, and that is told apart.
//
// A column that was added to the table, or dropped, since an event was told makes no difference, for no event tells of it;
// but where it came with a default that isn't null, clean doesn't have what the table has.
//
// A value that the latest event of a row leaves out as unchanged is the one that an earlier event had, if one had it.
//
// It holds about 150 bytes for each key of the stream, and 100 for each long value; a sample holds fewer.
package verify
