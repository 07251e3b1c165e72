// Package telegramsim is a Telegram of our own for the demo and for tests: an
// HTTP server that speaks the part of the Bot API that datawatch uses, as
// strictly as the real one, and a web page that shows the chats as a person
// would see them in Telegram.
//
// The Bot API lives under /bot<token>/ and /file/bot<token>/, so that the
// official client libraries run against it unchanged: only their server's
// address differs. The page is at /, and its JSON API under /api/ (see
// [Server.ServeHTTP]) is what the end-to-end tests poll. The token appears in
// neither.
//
// What it accepts, and the words in which it refuses, follow the public
// documentation (https://core.telegram.org/bots/api) and what the real server
// was seen to answer: HTML entities with byte offsets in errors, 4,096 UTF-16
// units counted after entities are parsed, at most 100 entities a message,
// limits a chat, a group and overall answered with 429 and retry_after, edits
// that change nothing, callbacks that live for seconds and are answered once,
// one getUpdates at a time, groups that become supergroups, forum topics, and
// a bot in a group that hears only what is meant for it (privacy mode). It can
// be told to misbehave as networks and servers do: [Server.Misbehave].
//
// It refuses to be more than that. Markdown, media other than documents,
// webhooks, inline mode and every method that datawatch doesn't call are
// absent (404, as for a method that doesn't exist), so that a new call is
// noticed here first. Nothing is kept on disk: a restart begins with empty
// chats. Each chat shows its newest [Options.History] messages; what is older
// is forgotten, and an edit of it answers "message to edit not found".
//
// Order: messages of a chat have ascending ids in the order in which they were
// accepted; updates come in the order of what people did; the page's events
// come in the order of both. A reader of events that can't keep up is cut off
// and reads the chats anew, so the page is never out of date in silence.
package telegramsim
