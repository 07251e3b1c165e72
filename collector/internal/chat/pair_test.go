package chat

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
)

// knock is a command in a chat that isn't in the configuration.
func (b *bot) knock(t *testing.T, chat telegram.Chat, name, args string) error {
	t.Helper()
	b.number++
	heard := make(chan error, 1)
	c := telegram.Command{Update: b.number, Message: telegram.Ref{Chat: chat, ID: 9}, User: telegram.User{ID: 77, Name: "@an"}, Name: name, Args: args}
	b.updates <- func(ctx context.Context, h telegram.Handlers) error {
		heard <- h.Stranger(ctx, c)
		return nil
	}
	return <-heard
}

func codeFor(t *testing.T, c config.Broker) string {
	t.Helper()
	code, err := NewPairing(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// A code from the terminal, written into any chat, is answered with that chat's configuration, once.
func TestChatIsPairedByACode(t *testing.T) {
	c := configuration(t, testrig.Embedded(t))
	b, _, stop := sit(t, c, "en")
	defer stop()
	code := codeFor(t, c)
	chat := telegram.Chat{ID: -1009, Thread: 4}
	if err := b.knock(t, chat, "pair", strings.ToLower(code)); err != nil {
		t.Fatal(err)
	}
	got := b.answer(t)
	for _, want := range []string{"telegram:\n  feed: {chat: -1009, thread: 4}\n  alerts: {chat: -1009, thread: 4}\n  allow: [-1009]", "users: [77]"} {
		if !strings.Contains(got, want) {
			t.Errorf("answered: %s", got)
		}
	}
	if err := b.knock(t, chat, "pair", code); err != nil {
		t.Fatal(err)
	}
	if got := b.answer(t); !strings.Contains(got, "isn't known, or not any more") {
		t.Errorf("a second time: %s", got)
	}
	if err := b.knock(t, chat, "status", ""); !errors.Is(err, telegram.ErrIgnored) {
		t.Errorf("a stranger's /status: %v", err)
	}
	if got := b.ask(t, "/pair "+codeFor(t, c)); !strings.Contains(got, "feed: {chat: -5, thread: 3}") { // also in a chat that is known
		t.Errorf("answered: %s", got)
	}
}

func TestCodeExpires(t *testing.T) {
	c := configuration(t, testrig.Embedded(t))
	b, _, stop := sit(t, c, "en")
	defer stop()
	p, err := broker.OpenPublisher(t.Context(), c, c.TopicPrefix+"-pair")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	value, err := json.Marshal(pairing{1, time.Now().Add(-time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(t.Context(), []broker.Record{{Topic: broker.TopicsOf(c.TopicPrefix).State, Key: []byte(pairKey("ABCDEFGH")), Value: value}}); err != nil {
		t.Fatal(err)
	}
	if err := b.knock(t, telegram.Chat{ID: -9}, "pair", "ABCD-EFGH"); err != nil {
		t.Fatal(err)
	}
	if got := b.answer(t); !strings.Contains(got, "isn't known, or not any more") {
		t.Errorf("answered: %s", got)
	}
}

func TestCodesCannotBeTriedOut(t *testing.T) {
	var a attempts
	now := time.Now()
	count := func(chat int64, tries int, now time.Time) (heard int) {
		for range tries {
			if a.admit(chat, now) {
				heard++
			}
		}
		return heard
	}
	if n := count(-1, 100, now); n != pairAttempts {
		t.Errorf("%d heard of one chat", n)
	}
	a = attempts{}
	all := 0
	for chat := range int64(100) {
		all += count(chat, 1, now)
	}
	if all != allPairAttempts {
		t.Errorf("%d heard of all chats", all)
	}
	if n := count(-1, 1, now.Add(time.Minute)); n != 1 {
		t.Error("nobody is heard a minute later")
	}
}
