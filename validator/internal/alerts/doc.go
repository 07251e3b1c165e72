// Package alerts is the keeper: violations in, groups of them kept, one living Telegram message a group or an incident.
//
// One validator at a time keeps all groups: it holds every partition of violations in a group of its own. A group is one
// error fingerprint. What is counted of it is written to the state topic under alert/<fingerprint>, in one transaction with
// the offsets, so a violation counts once, whichever keeper is killed.
//
// Its life is in package life, a pure machine: which phase it is in, what people decided, which message with sound is owed,
// which groups share one. A Sender tells that machine once a second what is known (groups, wrong rows, tallies, troubles of
// our own), does the most urgent thing that it owes, and stores the cards that have changed under alert-message/<id>,
// through a Publisher of its own, whose transactional id fences the sender of a keeper before. Decisions are stored, on
// the control topic too, before they are shown. Each kind of record has one writer, so neither overwrites the other's.
//
// Groups that are born near each other of one transaction, one schema change or one actor share a message. An actor is a
// cause only where it is new: it isn't among those who wrote the newest events of the stream as of ten minutes before (of the
// source, where the stream had none). An application that makes all writes of a stream explains nothing.
//
// Sending is at least once: a group whose card doesn't say that it was told is told. A keeper that dies between a message
// and its card makes one message come twice; none is ever lost. While Telegram is away, what is owed waits, and is merged.
//
// Signs of life and tallies of all services come by the control topic, dead letters by theirs; what is counted of them is
// stored with the place up to which it was, under alert-signs/read. A chat that can't be reached is told in the chat of all
// alerts, where its alerts go meanwhile.
//
// Troubles of our own have messages of their own, apart from alerts: each says what happened, since when, what it means for
// the data and what to do, and, when it is over, what it was.
//
// Order: what is critical first, then what is new, our own troubles before alerts, then what waits longest, then edits; a message is edited at most once
// per Options.EditEvery. Violations of severity info are counted and never become a message. Nothing is dropped: what the
// keeper can't read is logged and counted, groups beyond Options.MaxGroups are counted as one. A
// group that was over for longer than it would be told as back, or was only counted and isn't any more, is forgotten.
package alerts
