package telegramsim

// The objects of the Bot API, as far as datawatch meets them
// (https://core.telegram.org/bots/api#available-types).

type wireUser struct {
	ID            int64  `json:"id"`
	IsBot         bool   `json:"is_bot"`
	FirstName     string `json:"first_name"`
	LastName      string `json:"last_name,omitempty"`
	Username      string `json:"username,omitempty"`
	LanguageCode  string `json:"language_code,omitempty"`
	CanJoinGroups *bool  `json:"can_join_groups,omitempty"`
	CanReadAll    *bool  `json:"can_read_all_group_messages,omitempty"`
	Inline        *bool  `json:"supports_inline_queries,omitempty"`
}

type wireChat struct {
	ID        int64  `json:"id"`
	Type      string `json:"type"`
	Title     string `json:"title,omitempty"`
	Username  string `json:"username,omitempty"`
	FirstName string `json:"first_name,omitempty"`
	LastName  string `json:"last_name,omitempty"`
	IsForum   bool   `json:"is_forum,omitempty"`
}

type wireMessage struct {
	MessageID       int64         `json:"message_id"`
	ThreadID        int64         `json:"message_thread_id,omitempty"`
	IsTopic         bool          `json:"is_topic_message,omitempty"`
	From            *wireUser     `json:"from,omitempty"`
	SenderChat      *wireChat     `json:"sender_chat,omitempty"`
	Chat            wireChat      `json:"chat"`
	Date            int64         `json:"date"`
	EditDate        int64         `json:"edit_date,omitempty"`
	ReplyTo         *wireMessage  `json:"reply_to_message,omitempty"`
	Text            string        `json:"text,omitempty"`
	Entities        []Entity      `json:"entities,omitempty"`
	Caption         string        `json:"caption,omitempty"`
	CaptionEntities []Entity      `json:"caption_entities,omitempty"`
	Document        *wireDocument `json:"document,omitempty"`
	ReplyMarkup     *wireMarkup   `json:"reply_markup,omitempty"`
	MigrateTo       int64         `json:"migrate_to_chat_id,omitempty"`
	MigrateFrom     int64         `json:"migrate_from_chat_id,omitempty"`
}

type wireMarkup struct {
	InlineKeyboard [][]Button `json:"inline_keyboard"`
}

type wireDocument struct {
	FileName     string `json:"file_name,omitempty"`
	MIME         string `json:"mime_type,omitempty"`
	FileID       string `json:"file_id"`
	FileUniqueID string `json:"file_unique_id"`
	FileSize     int    `json:"file_size"`
	FilePath     string `json:"file_path,omitempty"`
}

type wireCallback struct {
	ID           string       `json:"id"`
	From         wireUser     `json:"from"`
	Message      *wireMessage `json:"message"`
	ChatInstance string       `json:"chat_instance"`
	Data         string       `json:"data"`
}

type wireMember struct {
	Chat wireChat       `json:"chat"`
	From wireUser       `json:"from"`
	Date int64          `json:"date"`
	Old  wireMembership `json:"old_chat_member"`
	New  wireMembership `json:"new_chat_member"`
}

type wireMembership struct {
	User   wireUser `json:"user"`
	Status string   `json:"status"`
}

func (s *Server) botUser() wireUser {
	b := s.opts.Bot
	return wireUser{ID: b.ID, IsBot: true, FirstName: b.FirstName, LastName: b.LastName, Username: b.Username}
}

func userOf(p Person) wireUser {
	return wireUser{ID: p.ID, FirstName: p.FirstName, LastName: p.LastName, Username: p.Username, LanguageCode: "en"}
}

func (s *Server) wireChat(c *chat) wireChat {
	if c.Type == Private {
		p := s.opts.Person
		return wireChat{ID: c.ID, Type: c.Type, FirstName: p.FirstName, LastName: p.LastName, Username: p.Username}
	}
	return wireChat{ID: c.ID, Type: c.Type, Title: c.Title, Username: c.Username, IsForum: c.Forum}
}

func (s *Server) wireMessage(c *chat, m *message) *wireMessage {
	w := s.wireMessageAlone(c, m)
	if original := c.find(m.replyTo); original != nil {
		w.ReplyTo = s.wireMessageAlone(c, original)
	}
	return w
}

// wireMessageAlone is a message without the one that it answers: Telegram
// doesn't nest them further.
func (s *Server) wireMessageAlone(c *chat, m *message) *wireMessage {
	w := &wireMessage{
		MessageID: m.id, ThreadID: m.thread, IsTopic: m.thread != 0,
		Chat: s.wireChat(c), Date: m.date.Unix(), MigrateTo: m.upgraded,
	}
	if !m.edited.IsZero() {
		w.EditDate = m.edited.Unix()
	}
	if c.Type == Channel {
		channel := s.wireChat(c)
		w.SenderChat = &channel
	} else {
		from := userOf(m.from)
		if m.fromBot {
			from = s.botUser()
		}
		w.From = &from
	}
	entities := withFound(m.body)
	if m.document != nil {
		w.Document = m.document.wire()
		w.Caption, w.CaptionEntities = m.body.text, entities
	} else {
		w.Text, w.Entities = m.body.text, entities
	}
	if len(m.keyboard) > 0 {
		w.ReplyMarkup = &wireMarkup{m.keyboard}
	}
	return w
}
