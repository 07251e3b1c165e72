package telegramsim

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Message is one as a person sees it: what [Server.Messages] and the page's
// API give.
type Message struct {
	ID       int64 `json:"id"`
	ChatID   int64 `json:"chat_id"`
	ThreadID int64 `json:"thread_id,omitempty"` // forum topic; 0 is General or no forum

	From    Person `json:"from"`
	FromBot bool   `json:"from_bot"`

	Date     time.Time `json:"date"`
	EditDate time.Time `json:"edit_date,omitzero"`
	Edits    int       `json:"edits"` // of text or caption; a new keyboard isn't one

	// Text is what is read, without formatting: a document's is its caption.
	Text string `json:"text"`
	// HTML is Text with its formatting as Telegram's HTML, escaped: safe to
	// show, and the same message when sent again with parse_mode HTML.
	HTML     string   `json:"html"`
	Entities []Entity `json:"entities,omitempty"`

	Document *Document  `json:"document,omitempty"`
	Keyboard [][]Button `json:"keyboard,omitempty"` // rows of inline buttons
	ReplyTo  *Quote     `json:"reply_to,omitempty"`
	// Silent messages came without a sound (disable_notification).
	Silent bool `json:"silent"`
	// Service is the text of a message by Telegram itself, all else empty.
	Service string `json:"service,omitempty"`
}

// Document is a file in a chat. Its content is at
// /api/files/{id}/{name} and in [Server.Content].
type Document struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	MIME string `json:"mime"`
	Size int    `json:"size"` // bytes
}

// Quote is the beginning of the message that another one answers.
type Quote struct {
	MessageID int64  `json:"message_id"`
	From      string `json:"from"` // empty: the message is gone
	Text      string `json:"text"` // at most 120 characters
}

// ChatInfo is a chat in the page's list.
type ChatInfo struct {
	ID         int64    `json:"id"`
	Type       string   `json:"type"`
	Title      string   `json:"title"`
	Username   string   `json:"username,omitempty"`
	Forum      bool     `json:"forum"`
	Topics     []Topic  `json:"topics,omitempty"`
	Last       *Message `json:"last,omitempty"`        // the newest message
	Kicked     bool     `json:"kicked,omitempty"`      // the bot was removed
	MigratedTo int64    `json:"migrated_to,omitempty"` // the supergroup that it became
}

// State is all that the page needs to begin with.
type State struct {
	Bot    Person     `json:"bot"`
	Person Person     `json:"person"`
	Chats  []ChatInfo `json:"chats"`
}

// Messages are those of a chat, oldest first; none for an unknown chat.
func (s *Server) Messages(chatID int64) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chatByID(chatID)
	if c == nil {
		return nil
	}
	return s.views(c, c.messages)
}

// Await waits until a message of the chat is as wanted, new or edited, and
// returns it. Its error says what the chat showed instead.
func (s *Server) Await(ctx context.Context, chatID int64, wanted func(Message) bool) (Message, error) {
	events, cancel := s.hub.subscribe()
	defer cancel()
	for {
		seen := s.Messages(chatID)
		if i := slices.IndexFunc(seen, wanted); i >= 0 {
			return seen[i], nil
		}
		select {
		case _, open := <-events:
			if !open { // overtaken by events: look again with a new stream
				cancel()
				events, cancel = s.hub.subscribe()
			}
		case <-s.closed:
			return Message{}, fmt.Errorf("await a message in chat %d: %w", chatID, context.Canceled)
		case <-ctx.Done():
			last := "nothing"
			if n := len(seen); n > 0 {
				last = fmt.Sprintf("%d messages, the last %q", n, seen[n-1].HTML)
			}
			return Message{}, fmt.Errorf("await a message in chat %d, which shows %s: %w", chatID, last, ctx.Err())
		}
	}
}

// Chats are all of them, in the order in which they were made.
func (s *Server) Chats() []ChatInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]ChatInfo, 0, len(s.chats))
	for _, c := range s.chats {
		out = append(out, s.chatInfo(c))
	}
	return out
}

func (s *Server) chatInfo(c *chat) ChatInfo {
	info := ChatInfo{
		ID: c.ID, Type: c.Type, Title: c.Title, Username: c.Username,
		Forum: c.Forum, Topics: slices.Clone(c.Topics), Kicked: c.kicked, MigratedTo: c.migratedTo,
	}
	if c.Type == Private {
		info.Title = s.opts.Bot.Name()
	}
	if n := len(c.messages); n > 0 {
		last := s.view(c, c.messages[n-1])
		info.Last = &last
	}
	return info
}

func (s *Server) views(c *chat, messages []*message) []Message {
	out := make([]Message, 0, len(messages))
	for _, m := range messages {
		out = append(out, s.view(c, m))
	}
	return out
}

func (s *Server) view(c *chat, m *message) Message {
	v := Message{
		ID: m.id, ChatID: c.ID, ThreadID: m.thread,
		From: m.from, FromBot: m.fromBot,
		Date: m.date, EditDate: m.edited, Edits: m.edits,
		Text: m.body.text, HTML: m.body.html(), Entities: m.body.entities,
		Keyboard: m.keyboard, Silent: m.silent, Service: m.service,
	}
	if d := m.document; d != nil {
		v.Document = &Document{ID: d.uniqueID, Name: d.name, MIME: d.mime, Size: d.size}
	}
	if m.replyTo != 0 {
		v.ReplyTo = &Quote{MessageID: m.replyTo}
		if original := c.find(m.replyTo); original != nil {
			v.ReplyTo.From = original.from.Name()
			v.ReplyTo.Text = original.preview()
		}
	}
	return v
}

// preview is the beginning of a message in one line.
func (m *message) preview() string {
	text := m.body.text
	if text == "" && m.document != nil {
		text = m.document.name
	}
	runes := []rune(text)
	if len(runes) > 120 {
		runes = append(runes[:119], '…')
	}
	for i, r := range runes {
		if r == '\n' {
			runes[i] = ' '
		}
	}
	return string(runes)
}
