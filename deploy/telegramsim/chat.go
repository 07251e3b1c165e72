package telegramsim

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// chat is a chat's state.
type chat struct {
	Chat
	gate       gate
	messages   []*message // ascending ids
	lastID     int64
	kicked     bool
	migratedTo int64
}

// message is one as it is stored. Exactly one of body and service is shown.
type message struct {
	id       int64
	thread   int64
	from     Person
	fromBot  bool
	date     time.Time
	edited   time.Time
	edits    int
	body     richText
	document *document
	keyboard [][]Button
	replyTo  int64
	silent   bool
	service  string
	upgraded int64 // this service message tells of the supergroup with that id
}

func newChat(c Chat) *chat { return &chat{Chat: c.withDefaults()} }

// chatOf finds the chat that a call is about, and says in Telegram's words why
// the bot can't reach it.
func (s *Server) chatOf(p *call) (*chat, *failure) {
	if !p.has("chat_id") {
		return nil, badRequest("chat_id is empty")
	}
	var c *chat
	ref := strings.TrimSpace(p.text("chat_id"))
	if name, ok := strings.CutPrefix(ref, "@"); ok {
		i := slices.IndexFunc(s.chats, func(c *chat) bool { return name != "" && strings.EqualFold(c.Username, name) })
		if i >= 0 {
			c = s.chats[i]
		}
	} else if id, err := strconv.ParseInt(ref, 10, 64); err == nil {
		c = s.chatByID(id)
	}
	switch {
	case c == nil:
		return nil, errChatNotFound
	case c.migratedTo != 0:
		return nil, upgraded(c.migratedTo)
	case c.kicked && c.Type == Private:
		return nil, &failure{Code: 403, Description: "Forbidden: bot was blocked by the user"}
	case c.kicked:
		return nil, &failure{Code: 403, Description: "Forbidden: bot was kicked from the " + c.Type + " chat"}
	}
	return c, nil
}

// threadOf is the topic that a call is about: 0 for none. General has the id
// 1, but isn't found by it: that is how the real server answers.
func (c *chat) threadOf(p *call) (int64, *failure) {
	id := p.integer("message_thread_id")
	if id == 0 {
		return 0, nil
	}
	if !c.Forum || !slices.ContainsFunc(c.Topics, func(t Topic) bool { return t.ID == id }) {
		return 0, errThreadNotFound
	}
	return id, nil
}

func (c *chat) find(id int64) *message {
	i, ok := slices.BinarySearchFunc(c.messages, id, func(m *message, id int64) int { return int(m.id - id) })
	if !ok {
		return nil
	}
	return c.messages[i]
}

// post appends a message and tells the page.
func (s *Server) post(c *chat, m *message) *message {
	c.lastID++
	m.id = c.lastID
	m.date = s.now()
	c.messages = append(c.messages, m)
	if over := len(c.messages) - s.opts.History; over > 0 {
		c.messages = slices.Delete(c.messages, 0, over)
	}
	s.announce(c, m)
	return m
}

func (s *Server) announce(c *chat, m *message) {
	view := s.view(c, m)
	s.hub.publish(Event{Kind: EventMessage, ChatID: c.ID, MessageID: m.id, Message: &view})
}

func (s *Server) getChat(p *call) (any, *failure) {
	c, err := s.chatOf(p)
	if err != nil {
		return nil, err
	}
	return s.wireChat(c), nil
}
