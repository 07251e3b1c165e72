package telegramsim

import "slices"

func (s *Server) editMessageText(p *call) (any, *failure) {
	return s.editBody(p, textOf, func(m *message) *failure {
		if m.document != nil {
			return badRequest("there is no text in the message to edit")
		}
		return nil
	})
}

func (s *Server) editMessageCaption(p *call) (any, *failure) {
	return s.editBody(p, captionOf, func(m *message) *failure {
		if m.document == nil {
			return badRequest("there is no caption in the message to edit")
		}
		return nil
	})
}

// editBody replaces text or caption and, as in Telegram, the keyboard with it:
// an edit without reply_markup takes the buttons away.
func (s *Server) editBody(p *call, read func(*call) (richText, *failure), fits func(*message) *failure) (any, *failure) {
	c, err := s.chatOf(p)
	if err != nil {
		return nil, err
	}
	body, err := read(p)
	if err != nil {
		return nil, err
	}
	keyboard, err := keyboardOf(p, true)
	if err != nil {
		return nil, err
	}
	m, err := c.editable(p)
	if err != nil {
		return nil, err
	}
	if err := fits(m); err != nil {
		return nil, err
	}
	if body.equal(m.body) && sameKeyboard(keyboard, m.keyboard) {
		return nil, errNotModified
	}
	if err := s.admit(c); err != nil {
		return nil, err
	}
	if !body.equal(m.body) {
		m.body = body
		m.edits++
		m.edited = s.now()
	}
	m.keyboard = keyboard
	s.announce(c, m)
	return s.wireMessage(c, m), nil
}

func (s *Server) editMessageReplyMarkup(p *call) (any, *failure) {
	c, err := s.chatOf(p)
	if err != nil {
		return nil, err
	}
	keyboard, err := keyboardOf(p, true)
	if err != nil {
		return nil, err
	}
	m, err := c.editable(p)
	if err != nil {
		return nil, err
	}
	if sameKeyboard(keyboard, m.keyboard) {
		return nil, errNotModified
	}
	if err := s.admit(c); err != nil {
		return nil, err
	}
	m.keyboard = keyboard
	s.announce(c, m)
	return s.wireMessage(c, m), nil
}

// editable is the bot's own message that a call is about.
func (c *chat) editable(p *call) (*message, *failure) {
	if !p.has("message_id") {
		return nil, badRequest("message identifier is not specified")
	}
	m := c.find(p.integer("message_id"))
	switch {
	case m == nil:
		return nil, errEditNotFound
	case !m.fromBot || m.service != "":
		return nil, errCantEdit
	}
	return m, nil
}

// deletableFor is how long after sending a bot may delete its message.
const deletableFor = 48 * 60 * 60 // seconds

func (s *Server) deleteMessage(p *call) (any, *failure) {
	c, err := s.chatOf(p)
	if err != nil {
		return nil, err
	}
	m := c.find(p.integer("message_id"))
	if m == nil {
		return nil, badRequest("message to delete not found")
	}
	own := m.fromBot || c.Type == Private || c.Admin
	if !own || s.now().Unix()-m.date.Unix() > deletableFor {
		return nil, badRequest("message can't be deleted")
	}
	c.messages = slices.DeleteFunc(c.messages, func(other *message) bool { return other == m })
	s.hub.publish(Event{Kind: EventDelete, ChatID: c.ID, MessageID: m.id})
	return true, nil
}
