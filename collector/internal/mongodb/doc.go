// Package mongodb is the source that follows a MongoDB deployment by a change stream
// (https://www.mongodb.com/docs/manual/changeStreams/): every change of every document of the collections that the
// configuration names, in the order of the oplog.
//
// It writes nothing to the deployment (but switches pre-images on, where manage_pre_images says so) and needs no more than
// to read the databases it captures. It keeps no state there:
// progress is the stream's resume token, with the cluster time of the last event and its number within that time, for
// several events may share one. A position is an epoch, that time and that number. Where the token is worth nothing any
// more (the oplog rolled over, the deployment was restored or is another one), a gap event in each stream says so, and a
// new epoch begins at the present, or the source stops, as on_gap wants it; it never goes on in silence. A token doesn't say
// of which deployment it is (that of an idle stream is no more than a time), so progress names up to three captured
// collections by their UUIDs, and the election's term: where the deployment has none of them, and tells of no drop or rename
// behind the token, another one stands behind the address. Of a sharded one, which gives new UUIDs itself, the token decides.
//
// # What an event holds
//
// An insert and a replace come with the document. An update comes with its description and with the document as a lookup
// found it, which may be a later state: the event says so (incomplete.after is "later") where that shows, that is where
// the document contradicts the update's description, differs from the image before it in what the update didn't touch, or
// holds what an event behind it, read in the same batch, did. Whenever it says so, an event of the same document follows
// that has the later state by right. A document that was gone by then is "missing". The image before is there for
// collections that keep pre-images (MongoDB 6.0 and later); without it, incomplete.before says so.
//
// Drop and dropDatabase are a truncate of their streams, rename one of the old stream and of the new one, which then
// begins with a read of every document, by _id, and resumes where it was cut off.
//
// # Snapshots
//
// A chunk of existing documents is read with read concern majority, then the deployment's time is asked for, and the chunk
// waits until the stream has passed that time. A document of which the stream told anything between the read and that moment
// goes from the chunk: its event has the state by right. No event of the others lies between, for what a majority has is
// never undone and the stream tells all of it, so what was read is their state at the place where they are then told: behind
// every event so far, before every later one. A drop or rename empties the chunk. A chunk that wasn't told is read again by
// the next run.
//
// # Order and loss
//
// While a batch is being committed, the server is asked on, and what it answers is the next batch, of 5,000 events or 4 MiB
// at most. So a backlog goes in few large transactions, a quiet stream's events aren't asked for one by one, and a waiting
// emit stops reading: a batch, as much again that waits, and one answer of the server's are held. The driver resumes the
// stream by itself after elections and cut connections; what it gives up on ends Run, and the next run goes on from the
// token.
package mongodb
