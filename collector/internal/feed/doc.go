// Package feed shows in a chat what happened: one message a transaction, one a Kafka record, and numbers where that is more
// than the chat takes.
//
//	Offer ─> intake ─> assembler ─> backlog ─> teller ─> chat
//	         bounded    rows of a     shown or    one message
//	                    transaction   summed up   at a time
//
// The feed is a view. It never holds up what is captured: Offer takes what there is room for and counts the rest, and
// everything behind it runs on its own. It refuses to judge: what a change means is the validator's.
//
// # Order and loss
//
// Messages come in the order in which transactions were offered; the changes of one stand together, by table, in the order
// in which they took effect. When more wait than the chat takes, all that wait become a digest, in place: numbers by table
// instead of rows. What didn't even fit into the intake is told by the next digest as a number. Whatever the chat or the
// stop of the process swallows is counted as dropped; nothing is kept on disk.
//
// What a message can't hold is behind its button: the button carries where it lies, and it is read again from raw.
package feed
