package telegram

import "datawatch/pkg/config"

// Chat is where messages go: a chat (groups have negative ids) and, in a forum, a thread of it.
type Chat struct {
	ID     int64
	Thread int
}

// ChatOf is a chat of the configuration.
func ChatOf(c config.Chat) Chat { return Chat(c) }

// group tells whether Telegram's limit of groups holds.
func (c Chat) group() bool { return c.ID < 0 }

// Ref names a message that was sent. It can be stored as JSON.
type Ref struct {
	Chat Chat `json:"chat"`
	ID   int  `json:"id"`
}

// Priority decides what goes first where a chat's budget is short.
type Priority int

// The priorities, the first goes first.
const (
	Critical Priority = iota
	Warning
	Feed
)
