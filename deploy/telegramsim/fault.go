package telegramsim

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// FaultKind is a way to misbehave.
type FaultKind string

// Faults of requests. They last until [Server.Behave], or for Fault.Times
// requests.
const (
	// Slow answers after Fault.Delay.
	Slow FaultKind = "slow"
	// BadGateway answers with a proxy's HTML page and 502.
	BadGateway FaultKind = "bad-gateway"
	// InternalError answers 500, in JSON.
	InternalError FaultKind = "internal-error"
	// TokenRevoked answers 401.
	TokenRevoked FaultKind = "token-revoked"
	// Cut ends the connection before anything is done.
	Cut FaultKind = "cut"
	// AnswerLost does what was asked and then ends the connection, so that the
	// client can't know.
	AnswerLost FaultKind = "answer-lost"
)

// Faults of chats. They happen at once and stay.
const (
	// TooManyRequests refuses everything to Fault.ChatID (0: to all chats) for
	// Fault.RetryAfter seconds, and longer if the bot sends on.
	TooManyRequests FaultKind = "too-many-requests"
	// Migrate makes the group a supergroup with the id Fault.NewChatID (0: one
	// is made up).
	Migrate FaultKind = "migrate"
	// Kick removes the bot from the chat; in a private one, the person blocks it.
	Kick FaultKind = "kick"
	// Readmit undoes Kick.
	Readmit FaultKind = "readmit"
	// DeleteTopic removes the forum topic Fault.ThreadID.
	DeleteTopic FaultKind = "delete-topic"
)

// Fault is one misbehaviour.
type Fault struct {
	Kind FaultKind `json:"kind"`
	// Methods it is limited to, for faults of requests. None: all.
	Methods []string `json:"methods,omitempty"`
	// ChatID it is limited to. 0: any. Required for faults of chats but
	// TooManyRequests.
	ChatID int64 `json:"chat_id,omitempty"`
	// Times is after how many requests a fault of requests ends. 0: never.
	Times int `json:"times,omitempty"`
	// Delay in nanoseconds, for Slow.
	Delay      time.Duration `json:"delay,omitempty"`
	RetryAfter int           `json:"retry_after,omitempty"` // seconds; 0: 5
	NewChatID  int64         `json:"new_chat_id,omitempty"`
	ThreadID   int64         `json:"thread_id,omitempty"`
}

// Misbehave makes the server do so from now on. Faults of requests are tried
// in the order in which they were set, one a request.
func (s *Server) Misbehave(f Fault) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch f.Kind {
	case Slow, BadGateway, InternalError, TokenRevoked, Cut, AnswerLost:
		s.faults = append(s.faults, &f)
		return nil
	case TooManyRequests:
		return s.flood(f)
	}
	c := s.chatByID(f.ChatID)
	if c == nil {
		return fmt.Errorf("misbehave %q: no chat %d", f.Kind, f.ChatID)
	}
	switch f.Kind {
	case Migrate:
		return s.migrate(c, f.NewChatID)
	case Kick, Readmit:
		s.setKicked(c, f.Kind == Kick)
	case DeleteTopic:
		c.Topics = slices.DeleteFunc(c.Topics, func(t Topic) bool { return t.ID == f.ThreadID })
	default:
		return fmt.Errorf("misbehave: unknown kind %q", f.Kind)
	}
	s.announceChat(c)
	return nil
}

// Behave ends all faults of requests, and every wait for a flood.
func (s *Server) Behave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
	s.gate = gate{}
	for _, c := range s.chats {
		c.gate = gate{}
	}
}

func (s *Server) flood(f Fault) error {
	g := &s.gate
	if f.ChatID != 0 {
		c := s.chatByID(f.ChatID)
		if c == nil {
			return fmt.Errorf("misbehave %q: no chat %d", f.Kind, f.ChatID)
		}
		g = &c.gate
	}
	g.until = s.now().Add(time.Duration(cmp.Or(f.RetryAfter, 5)) * time.Second)
	return nil
}

// migrate puts a supergroup with a new id in the group's place; messages stay
// behind, as in Telegram for bots.
func (s *Server) migrate(c *chat, newID int64) error {
	if c.Type != Group {
		return fmt.Errorf("misbehave %q: chat %d is a %s, only groups become supergroups", Migrate, c.ID, c.Type)
	}
	newID = cmp.Or(newID, -1_000_000_000_000+c.ID)
	if s.chatByID(newID) != nil {
		return fmt.Errorf("misbehave %q: there is a chat %d", Migrate, newID)
	}
	m := s.post(c, &message{
		from: s.opts.Person, service: s.opts.Person.Name() + " upgraded the group to a supergroup", upgraded: newID,
	})
	s.updates.add(updateMessage, s.wireMessage(c, m))
	c.migratedTo = newID
	next := newChat(c.Chat)
	next.ID, next.Type = newID, Supergroup
	s.chats = append(s.chats, next)
	opening := s.post(next, &message{from: s.opts.Person, service: "The group became a supergroup"})
	w := s.wireMessage(next, opening)
	w.MigrateFrom = c.ID
	s.updates.add(updateMessage, w)
	s.announceChat(next)
	return nil
}

func (s *Server) setKicked(c *chat, kicked bool) {
	if c.kicked == kicked {
		return
	}
	before, after := "member", "member"
	text := s.opts.Person.Name()
	if kicked {
		after = "kicked"
		text += " removed " + s.opts.Bot.Name()
	} else {
		before = "kicked"
		text += " added " + s.opts.Bot.Name()
	}
	c.kicked = kicked
	s.post(c, &message{from: s.opts.Person, service: text})
	s.updates.add(updateMember, wireMember{
		Chat: s.wireChat(c), From: userOf(s.opts.Person), Date: s.now().Unix(),
		Old: wireMembership{s.botUser(), before}, New: wireMembership{s.botUser(), after},
	})
}

func (s *Server) announceChat(c *chat) {
	info := s.chatInfo(c)
	s.hub.publish(Event{Kind: EventChat, ChatID: c.ID, Chat: &info})
}

// nextFault is the one that a request meets, if any.
func (s *Server) nextFault(method string, chatID int64) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		named := len(f.Methods) == 0 ||
			slices.ContainsFunc(f.Methods, func(m string) bool { return strings.EqualFold(m, method) })
		if !named || f.ChatID != 0 && f.ChatID != chatID {
			continue
		}
		met := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
		}
		return &met
	}
	return nil
}

const badGatewayPage = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>\r\n"

// before does what comes in a request's way, and tells whether it is answered
// nevertheless.
func (f *Fault) before(w http.ResponseWriter, r *http.Request) bool {
	switch f.Kind {
	case Slow:
		delay := time.NewTimer(f.Delay)
		defer delay.Stop()
		select {
		case <-delay.C:
			return true
		case <-r.Context().Done():
			return false
		}
	case BadGateway:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte(badGatewayPage))
		return false
	case InternalError:
		writeResult(w, nil, errInternal)
		return false
	case TokenRevoked:
		writeResult(w, nil, errUnauthorized)
		return false
	case Cut:
		cut(w)
		return false
	}
	return true
}

// cut ends the connection without an answer.
func cut(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}
