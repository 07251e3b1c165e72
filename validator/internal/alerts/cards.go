package alerts

import (
	"encoding/json"
	"fmt"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts/life"
)

const cardVersion = 2

// readCards reads the cards of groups and of our own troubles, by ID.
func readCards(state map[string][]byte) (map[string]*life.Card, error) {
	all := make(map[string]*life.Card, len(state))
	for key, value := range state {
		c := new(life.Card)
		if err := json.Unmarshal(value, c); err != nil {
			return nil, fmt.Errorf("read state %s: %w", key, err)
		}
		switch {
		case c.Version == 1:
			old := new(firstCard)
			if err := json.Unmarshal(value, old); err != nil {
				return nil, fmt.Errorf("read state %s: %w", key, err)
			}
			c = old.card()
		case c.Version > cardVersion:
			return nil, fmt.Errorf("read state %s: version %d is newer than this program", key, c.Version)
		}
		all[key[len(messagePrefix):]] = c
	}
	return all, nil
}

// firstCard is a card of version 1.
type firstCard struct {
	Message    telegram.Ref  `json:"message"`
	Route      telegram.Chat `json:"route"`
	At         time.Time     `json:"at"`
	Wrong      bool          `json:"wrong"`
	MendedAt   time.Time     `json:"mended_at"`
	AckBy      string        `json:"ack_by"`
	AckAt      time.Time     `json:"ack_at"`
	MutedBy    string        `json:"muted_by"`
	MutedUntil time.Time     `json:"muted_until"`
}

func (f *firstCard) card() *life.Card {
	c := &life.Card{
		Version: cardVersion, Chat: f.Route, Message: f.Message, Sent: true, At: f.At, Phase: life.Open, Opened: f.At, Rows: f.Wrong,
		AckBy: f.AckBy, AckAt: f.AckAt, MutedBy: f.MutedBy, MutedUntil: f.MutedUntil,
	}
	if !f.MendedAt.IsZero() {
		c.Phase, c.OverAt = life.Over, f.MendedAt
	}
	return c
}

// mark is what of a card is stored at once when it changes.
type mark struct {
	message                                                                       telegram.Ref
	chat                                                                          telegram.Chat
	sent, rows, reading, hushed                                                   bool
	severity                                                                      event.Severity
	phase                                                                         life.Phase
	owed                                                                          life.Signal
	incident                                                                      life.Incident
	text, lead, ackBy, mutedBy, mutedFor, resolvedBy                              string
	at, opened, overAt, quietAt, held, escalated, remind, owedSince, muted, since time.Time
	accepted                                                                      *life.Acceptance
	notes, sounds, openings                                                       int
	share                                                                         life.Share
}

func markOf(c *life.Card) mark {
	return mark{
		message: c.Message, chat: c.Chat, sent: c.Sent, rows: c.Rows, reading: c.Reading, hushed: c.Hushed, since: c.Since, severity: c.Severity, phase: c.Phase, owed: c.Owed,
		incident: c.Incident, text: c.Text, lead: c.Lead, ackBy: c.AckBy, mutedBy: c.MutedBy, mutedFor: c.MutedFor, resolvedBy: c.ResolvedBy,
		at: c.At, opened: c.Opened, overAt: c.OverAt, quietAt: c.QuietAt, held: c.HeldUntil, escalated: c.Escalated, remind: c.Remind,
		owedSince: c.OwedSince, muted: c.MutedUntil, accepted: c.Accepted, notes: len(c.Notes), sounds: len(c.Sounds), openings: len(c.Openings),
		share: c.Share,
	}
}
