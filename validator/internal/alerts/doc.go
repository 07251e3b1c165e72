// Package alerts is the keeper: violations in, groups of them kept, one living Telegram message a group.
//
// One validator at a time keeps all groups: it holds every partition of violations in a group of its own. A group is one
// error fingerprint. What is known of it is written to the state topic under alert/<fingerprint>, in one transaction with
// the offsets, so a violation counts once, whichever keeper is killed.
//
// Sending is apart from that, and at least once. A Sender compares the groups with what people were last shown, kept
// under alert-message/<fingerprint>: a group without such a record is a message to be sent, and its own record, which was
// committed before, is the intent. The message's id is stored as soon as Telegram has given it, through a Publisher of
// the sender's own, whose transactional id fences the sender of a keeper before. A keeper that dies between the two makes
// one message come twice; none is ever lost. Each kind of record has one writer, so neither overwrites the other's.
//
// Order: groups that nobody has heard of come before edits, critical ones first; a message is edited at most once per
// Options.EditEvery. Violations of severity info are counted and never become a message. Nothing is dropped: what the
// keeper can't read is logged and counted.
package alerts
