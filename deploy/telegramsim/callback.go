package telegramsim

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"
)

// maxAnswer is the longest text of an answer to a pressed button.
const maxAnswer = 200

// Answer is what the bot said to a pressed button.
type Answer struct {
	// Answered is false when the button waited in vain.
	Answered bool   `json:"answered"`
	Text     string `json:"text,omitempty"`
	Alert    bool   `json:"alert,omitempty"` // a dialog instead of a passing note
	URL      string `json:"url,omitempty"`
}

// callbacks are the pressed buttons: those that wait, and some that don't any
// more, for those who ask late.
type callbacks struct {
	next int
	byID map[string]*pressed
}

// keptCallbacks is how many there may be before the settled ones are forgotten.
const keptCallbacks = 256

type pressed struct {
	chatID, messageID int64
	row, column       int
	timer             *time.Timer
	answer            Answer
	done              chan struct{}
}

func (p *pressed) isSettled() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (c *callbacks) init() { c.byID = map[string]*pressed{} }

func (c *callbacks) stop() {
	for _, p := range c.byID {
		p.timer.Stop()
	}
}

// Press has the person press the button with that label, and returns the
// callback's id for [Server.Answer]. A button with a link has no callback.
func (s *Server) Press(chatID, messageID int64, label string) (callbackID string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chatByID(chatID)
	if c == nil {
		return "", fmt.Errorf("press %q: no chat %d", label, chatID)
	}
	m := c.find(messageID)
	if m == nil {
		return "", fmt.Errorf("press %q: no message %d in chat %d", label, messageID, chatID)
	}
	for row, buttons := range m.keyboard {
		for column, b := range buttons {
			if b.Text == label {
				return s.press(c, m, row, column)
			}
		}
	}
	return "", fmt.Errorf("press %q: message %d has no such button", label, messageID)
}

func (s *Server) press(c *chat, m *message, row, column int) (string, error) {
	if row < 0 || row >= len(m.keyboard) || column < 0 || column >= len(m.keyboard[row]) {
		return "", fmt.Errorf("press: message %d has no button in row %d, column %d", m.id, row, column)
	}
	b := m.keyboard[row][column]
	if b.Data == "" {
		return "", fmt.Errorf("press %q: it is a link", b.Text)
	}
	s.callbacks.next++
	id := strconv.FormatInt(s.opts.Person.ID, 10) + fmt.Sprintf("%09d", s.callbacks.next)
	p := &pressed{chatID: c.ID, messageID: m.id, row: row, column: column, done: make(chan struct{})}
	p.timer = time.AfterFunc(s.opts.CallbackLifetime, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.settle(id, Answer{})
	})
	s.callbacks.byID[id] = p
	if !c.kicked {
		s.updates.add(updateCallback, wireCallback{
			ID: id, From: userOf(s.opts.Person), Message: s.wireMessage(c, m),
			ChatInstance: strconv.FormatInt(-c.ID, 10), Data: b.Data,
		})
	}
	return id, nil
}

// Answer waits for what the bot says to a pressed button, or for the button to
// have waited in vain.
func (s *Server) Answer(ctx context.Context, callbackID string) (Answer, error) {
	s.mu.Lock()
	p := s.callbacks.byID[callbackID]
	s.mu.Unlock()
	if p == nil {
		return Answer{}, fmt.Errorf("await the answer to %q: no such callback", callbackID)
	}
	select {
	case <-p.done:
		return p.answer, nil
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("await the answer to %q: %w", callbackID, ctx.Err())
	}
}

func (s *Server) answerCallbackQuery(p *call) (any, *failure) {
	text := p.text("text")
	if utf16Len(text) > maxAnswer {
		return nil, badRequest("MESSAGE_TOO_LONG")
	}
	answer := Answer{Answered: true, Text: text, Alert: p.flag("show_alert"), URL: p.text("url")}
	if !s.settle(p.text("callback_query_id"), answer) {
		return nil, errQueryTooOld
	}
	return true, nil
}

// settle ends a callback, once.
func (s *Server) settle(id string, answer Answer) bool {
	p := s.callbacks.byID[id]
	if p == nil || p.isSettled() {
		return false
	}
	p.timer.Stop()
	p.answer = answer
	close(p.done)
	s.callbacks.forgetSettled(id)
	s.hub.publish(Event{
		Kind: EventCallback, ChatID: p.chatID, MessageID: p.messageID,
		CallbackID: id, Row: p.row, Column: p.column, Answer: &answer,
	})
	return true
}

// forgetSettled keeps the number of callbacks bounded.
func (c *callbacks) forgetSettled(but string) {
	if len(c.byID) <= keptCallbacks {
		return
	}
	maps.DeleteFunc(c.byID, func(id string, p *pressed) bool { return id != but && p.isSettled() })
}
