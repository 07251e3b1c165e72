package telegram

import (
	"context"
	"strings"
)

// User is who wrote or pressed.
type User struct {
	ID   int64
	Name string // "@linh", or first and last name
}

// Command is a message that begins with a slash, or one that mentions or answers the bot, or brings a file.
type Command struct {
	Update  int // Telegram's number of it, unique a bot
	Message Ref // chat and thread to answer in
	User    User
	Name    string // without slash and bot: "follow"; empty where the text isn't a command
	Args    string // what is behind the name, trimmed
	ReplyTo int    // the id of the message that it answers, or 0
	// File is what was sent with it; then Name and Args are of the caption. Nil: it is a text.
	File *File
}

// File is one that a person sent; Download gives its content.
type File struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Size int64  `json:"size"` // bytes, as Telegram says
}

// Press is a button that was pressed.
type Press struct {
	Update  int
	Message Ref // the message with the button
	User    User
	Data    string
}

// Action splits the data that the function Action joined.
func (p Press) Action() (verb string, about []string) {
	words := strings.Fields(p.Data)
	if len(words) == 0 {
		return "", nil
	}
	return words[0], words[1:]
}

// Handlers take what people do. They run one after the other, in the order of the updates; a panic is recovered. An update
// is confirmed to Telegram when its handler has returned, so after a crash it comes again: handlers must bear that.
type Handlers struct {
	// Command may be nil.
	Command func(ctx context.Context, c Command) error
	// Stranger hears commands in chats that the configuration doesn't name, where it names no users or this one. It may be
	// nil.
	Stranger func(ctx context.Context, c Command) error
	// Press returns what the person sees for a moment on top of the chat; it may be empty. It may be nil.
	Press func(ctx context.Context, p Press) (answer string, err error)
}
