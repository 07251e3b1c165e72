package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/telegram"
)

// Verbs of buttons and of records in the control topic.
const (
	verbAck    = "ack"
	verbUnack  = "unack"
	verbMute   = "mute"
	verbUnmute = "unmute"
)

const shortMute = time.Hour

// decision is a record of the control topic, by the number of Telegram's update: what somebody decided of an alert.
type decision struct {
	Version     int       `json:"version"` // 1
	Verb        string    `json:"verb"`
	Fingerprint string    `json:"fingerprint"`
	User        string    `json:"user"`
	At          time.Time `json:"at"`
	Until       time.Time `json:"until,omitzero"` // of a mute

	update int
	done   chan string // what the person is answered
}

// press hands a button's press to the sender and waits until it is stored.
func (s *sender) press(ctx context.Context, p telegram.Press) (string, error) {
	verb, about := p.Action()
	if len(about) != 1 {
		return "", fmt.Errorf("a button that isn't ours: %q", p.Data)
	}
	now := s.keeper.options.Now()
	d := decision{Version: 1, Verb: verb, Fingerprint: about[0], User: p.User.Name, At: now, update: p.Update, done: make(chan string, 1)}
	if verb == verbMute {
		d.Until = now.Add(shortMute)
	}
	select {
	case s.decisions <- d:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	select {
	case answer := <-d.done:
		return answer, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// decide stores a decision, with what it makes of the message; the message itself follows as with every change. Deciding
// the same twice, as when Telegram brings an update again, changes nothing.
func (s *sender) decide(ctx context.Context, d decision) error {
	record, known := s.sent[d.Fingerprint]
	if !known {
		d.done <- s.words.unknownAlert
		return nil
	}
	switch d.Verb {
	case verbAck:
		record.AckBy, record.AckAt = d.User, d.At
	case verbUnack:
		record.AckBy, record.AckAt = "", time.Time{}
	case verbMute:
		record.MutedBy, record.MutedUntil = d.User, d.Until
	case verbUnmute:
		record.MutedBy, record.MutedUntil = "", time.Time{}
	default:
		d.done <- s.words.unknownAlert
		return nil
	}
	record.At = time.Time{} // people see at once what they have decided
	value, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("write state of message %s: %w", d.Fingerprint, err)
	}
	decided, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("write decision on %s: %w", d.Fingerprint, err)
	}
	err = s.publisher.Publish(ctx, []broker.Record{
		{Topic: s.keeper.topics.Control, Key: []byte(strconv.Itoa(d.update)), Value: decided},
		{Topic: s.keeper.topics.State, Key: []byte(messagePrefix + d.Fingerprint), Value: value},
	})
	if err != nil {
		return fmt.Errorf("store decision on alert %s: %w", d.Fingerprint, err)
	}
	s.sent[d.Fingerprint] = record
	s.keeper.options.Log.Info("decided", "verb", d.Verb, "alert", d.Fingerprint, "user", d.User)
	d.done <- s.words.done[d.Verb]
	return nil
}

// buttons are what can be decided of an alert now.
func (w writer) buttons(g *Group, record sent) [][]telegram.Button {
	button := func(verb string) telegram.Button {
		return telegram.Button{Text: w.words.buttons[verb], Data: telegram.Action(verb, g.Fingerprint)}
	}
	row := []telegram.Button{button(verbAck), button(verbMute)}
	if record.AckBy != "" {
		row[0] = button(verbUnack)
	}
	if record.MutedBy != "" {
		row[1] = button(verbUnmute)
	}
	return [][]telegram.Button{row}
}
