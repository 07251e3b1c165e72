package alerts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts/life"
)

// request is what somebody pressed or wrote, on its way to the sender.
type request struct {
	press   *telegram.Press
	command *telegram.Command
	done    chan string // what the person is answered
}

// press hands a button's press to the sender and waits until it is stored.
func (s *sender) press(ctx context.Context, p telegram.Press) (string, error) {
	return s.ask(ctx, request{press: &p, done: make(chan string, 1)})
}

// command hands a command, or an answer to a message, to the sender.
func (s *sender) command(ctx context.Context, c telegram.Command) error {
	_, err := s.ask(ctx, request{command: &c, done: make(chan string, 1)})
	return err
}

func (s *sender) ask(ctx context.Context, r request) (string, error) {
	select {
	case s.asked <- r:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	select {
	case answer := <-r.done:
		return answer, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// answer does what was asked. An error ends the sender.
func (s *sender) answer(ctx context.Context, r request) error {
	s.step(s.keeper.options.Now())
	if r.command != nil {
		err := s.obey(ctx, *r.command)
		r.done <- ""
		return err
	}
	verb, about := r.press.Action()
	text := s.words.unknownAlert
	if len(about) == 0 {
		r.done <- text
		return nil
	}
	id := s.named(about[0])
	var err error
	switch verb {
	case "samples", "show", "rows":
		text = ""
		err = s.give(ctx, verb, id, r.press.Message)
	default:
		d := life.Decision{Verb: life.Verb(verb), ID: id, User: r.press.User.Name, At: s.keeper.options.Now()}
		if d.Verb == life.Mute {
			until, ok := muteUntil(about[len(about)-1], d.At)
			if !ok {
				r.done <- text
				return nil
			}
			d.Until = until
		}
		text, err = s.decide(ctx, d, strconv.Itoa(r.press.Update))
	}
	r.done <- text
	return err
}

// alias is an ID as a button carries it: those of our own troubles are too long, and may hold spaces.
func alias(id string) string {
	if !isTrouble(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "t-" + hex.EncodeToString(sum[:6])
}

// named is the ID that an alias stands for.
func (s *sender) named(text string) string {
	if s.board.Card(text) != nil {
		return text
	}
	for id := range s.board.Cards() {
		if alias(id) == text {
			return id
		}
	}
	return text
}

// decision is a record of the control topic: what somebody decided of an alert.
type decision struct {
	Version     int       `json:"version"` // 1
	Kind        string    `json:"kind"`
	Verb        life.Verb `json:"verb"`
	Fingerprint string    `json:"fingerprint"`
	User        string    `json:"user"`
	At          time.Time `json:"at"`
	Until       time.Time `json:"until,omitzero"`
	Text        string    `json:"text,omitempty"`
}

// decide takes a decision and stores it, with what it makes of the card; the message follows as with every change.
// Deciding the same twice, as when an update comes again, changes nothing. update is Telegram's number of it.
func (s *sender) decide(ctx context.Context, d life.Decision, update string) (string, error) {
	switch s.board.Decide(d) {
	case life.Unknown:
		return s.words.unknownAlert, nil
	case life.StillWrong:
		return s.words.answers.stillWrong, nil
	}
	value, err := json.Marshal(decision{1, "decision", d.Verb, d.ID, d.User, d.At, d.Until, d.Text})
	if err != nil {
		return "", fmt.Errorf("write decision on %s: %w", d.ID, err)
	}
	if err := s.save(ctx, []broker.Record{{Topic: s.keeper.topics.Control, Key: []byte("decision-" + update), Value: value}}, true); err != nil {
		return "", err
	}
	s.keeper.options.Log.Info("decided", "audit", true, "verb", d.Verb, "alert", d.ID, "user", d.User)
	return s.words.done[d.Verb], nil
}

// takeAccepts takes what was accepted on the command line.
func (s *sender) takeAccepts(ctx context.Context, now time.Time) error {
	for _, a := range s.signs.accepts {
		d := life.Decision{Verb: life.Accept, ID: a.Group, User: a.By, At: now, Until: a.Until, Text: a.Reason, Keys: a.Keys}
		if s.board.Decide(d) != life.Done {
			s.keeper.options.Log.Warn("accepted, but no such group is known", "group", a.Group, "by", a.By)
			continue
		}
		s.keeper.options.Log.Info("decided", "audit", true, "verb", d.Verb, "alert", d.ID, "user", d.User, "keys", len(d.Keys))
	}
	if len(s.signs.accepts) == 0 {
		return nil
	}
	s.signs.accepts = nil
	return s.save(ctx, nil, true)
}

var span = regexp.MustCompile(`^(\d{1,4})(m|h|d|w)$`)

// muteUntil reads how long: 30m, 8h, 3d, 2w, or "schema", until that changes, which is the zero time.
func muteUntil(text string, now time.Time) (time.Time, bool) {
	if text == "schema" {
		return time.Time{}, true
	}
	m := span.FindStringSubmatch(text)
	if m == nil {
		return time.Time{}, false
	}
	n, err := strconv.Atoi(m[1])
	unit := map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}[m[2]]
	if err != nil || n == 0 {
		return time.Time{}, false
	}
	return now.Add(time.Duration(n) * unit), true
}

// say answers in the chat, without a sound. What Telegram refuses is logged: the sender goes on.
func (s *sender) say(ctx context.Context, to telegram.Ref, blocks ...telegram.Block) error {
	m := telegram.NewMessage(blocks...)
	m.More = func(n int) telegram.Block {
		return telegram.Line(telegram.Italic(s.words.more(s.words.number(int64(n)))))
	}
	return s.reply(ctx, to, m)
}

// excuse lets the sender go on where only an answer was lost.
func (s *sender) excuse(ctx context.Context, err error) error {
	var refused *telegram.RefusedError
	if err == nil || ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) || errors.As(err, &refused) || errors.Is(err, telegram.ErrRejected) {
		if err != nil {
			s.keeper.options.Log.Warn("an answer wasn't delivered", "error", err)
		}
		return nil
	}
	return err
}
