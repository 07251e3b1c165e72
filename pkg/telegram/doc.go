// Package telegram is how datawatch speaks in Telegram: text that no user data can disfigure, a sender that keeps to
// Telegram's limits, and a poller for commands and buttons (https://core.telegram.org/bots/api).
//
// A message is built from spans and blocks and escaped once, here; nobody else writes HTML. What doesn't fit into a
// message goes as whole blocks, those of the lowest rank first, so no tag is ever cut. The package knows no wording and
// no service, but for how these share out Telegram's limits where they write to one chat (share.go): what a message says is
// its caller's.
//
// # Order and loss
//
// Each chat has one queue and one budget: critical goes before warning before feed, and within a priority messages go in
// the order in which Send was called. Send returns when Telegram has the message, when it never will (RefusedError,
// ErrRejected), or when the caller's context ends; until then what can pass is tried again: floods after the time that
// Telegram names, networks and servers with growing pauses. An attempt whose answer was lost is repeated, so a message may
// come twice: delivery is at least once. Nothing is kept on disk: who needs a message to outlive the process stores the
// intent first. Edits of one message that wait are merged into the newest.
//
// # The token
//
// The client library is given a placeholder instead of the token; only the transport underneath knows it, puts it into the
// request's path, and takes it out of whatever comes back. So no error, log line or panic above can hold it.
package telegram
