// Package verify compares a table with the latest state that datawatch.clean holds of it, while writes go on.
//
// Clean is read first, then the table is walked by key in chunks, and what differs is looked at again: the row is read once
// more, the pipeline is waited for until it has passed that moment, and only what clean held at no time since is a
// difference. A row that changes faster than the pipeline can be waited for is found right as soon as one of its states is
// found in clean. It refuses to guess: of a row that was there before capture, and that no snapshot read, clean can say
// nothing, and that is told apart.
//
// It holds about 150 bytes for each key of the stream; a sample holds fewer.
package verify
