package telegramsim

import (
	"fmt"
	"slices"
	"strings"
)

// Written is what a person writes, and where.
type Written struct {
	Text     string `json:"text"`
	ThreadID int64  `json:"thread_id,omitempty"` // forum topic
	ReplyTo  int64  `json:"reply_to,omitempty"`  // message id
	// File is sent with it; Text is its caption then, and may be empty.
	File *Sent `json:"file,omitempty"`
	// From is who writes. Nil: the person at the page. Nobody else can by HTTP.
	From *Person `json:"-"`
}

// Sent is a file that a person sends.
type Sent struct {
	Name    string `json:"name"`
	Content []byte `json:"content"` // base64 over HTTP
}

// Type has a person write into a chat. The bot hears of it as in Telegram: in
// a group, as long as it is no admin there, only commands that may be for it,
// answers to it and mentions of it.
func (s *Server) Type(chatID int64, w Written) (Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chatByID(chatID)
	switch {
	case c == nil:
		return Message{}, fmt.Errorf("write to chat %d: no such chat", chatID)
	case c.migratedTo != 0:
		return Message{}, fmt.Errorf("write to chat %d: it is now chat %d", chatID, c.migratedTo)
	case c.Type == Channel:
		return Message{}, fmt.Errorf("write to chat %d: only admins write in a channel", chatID)
	}
	body := tidy(richText{text: strings.ToValidUTF8(w.Text, "\uFFFD")})
	least, most := 1, maxText
	if w.File != nil {
		least, most = 0, maxCaption
		if len(w.File.Content) == 0 {
			return Message{}, fmt.Errorf("write to chat %d: the file is empty", chatID)
		}
	}
	if n := utf16Len(body.text); n < least || n > most {
		return Message{}, fmt.Errorf("write to chat %d: a message has %d to %d characters, this one %d", chatID, least, most, n)
	}
	if w.ThreadID != 0 && !slices.ContainsFunc(c.Topics, func(t Topic) bool { return t.ID == w.ThreadID }) {
		return Message{}, fmt.Errorf("write to chat %d: no topic %d", chatID, w.ThreadID)
	}
	from := s.opts.Person
	if w.From != nil {
		from = *w.From
	}
	sent := &message{from: from, body: body, thread: w.ThreadID, replyTo: w.ReplyTo}
	if w.File != nil {
		sent.document = newDocument(upload{name: w.File.Name, data: w.File.Content})
		s.files.keep(sent.document)
	}
	m := s.post(c, sent)
	if s.isHeard(c, m) {
		s.updates.add(updateMessage, s.wireMessage(c, m))
	}
	return s.view(c, m), nil
}

// isHeard is privacy mode (https://core.telegram.org/bots/features#privacy-mode).
func (s *Server) isHeard(c *chat, m *message) bool {
	if c.kicked {
		return false
	}
	if c.Type == Private || c.Admin {
		return true
	}
	if original := c.find(m.replyTo); original != nil && original.fromBot {
		return true
	}
	self := "@" + strings.ToLower(s.opts.Bot.Username)
	runes := byteOffsets(m.body.text)
	for _, e := range withFound(m.body) {
		text := strings.ToLower(m.body.text[runes[e.Offset]:runes[e.end()]])
		switch e.Type {
		case entityCommand:
			_, to, named := strings.Cut(text, "@")
			if !named || "@"+to == self {
				return true
			}
		case entityMention:
			if text == self {
				return true
			}
		}
	}
	return false
}
