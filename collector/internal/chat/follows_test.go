package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/collector/internal/feed"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
)

// elsewhereSit is a collector whose desk hears no commands.
func elsewhereSit(t *testing.T, c config.Broker) (f *feed.Feed, stop func()) {
	t.Helper()
	f, err := feed.New(feed.Options{Sender: newBot(), Language: "en", Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	d := New(Options{Broker: c, Bot: newBot(), Feed: f, Language: "en", Zone: time.UTC, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Watch(ctx) }()
	return f, func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch returned %v", err)
		}
	}
}

func awaitFollows(t *testing.T, f *feed.Feed, want string) {
	t.Helper()
	testrig.Eventually(t, 30*time.Second, func() error {
		now := f.Following(here)
		var texts []string
		for _, what := range now.Follows {
			texts = append(texts, what.Text)
		}
		if got := fmt.Sprint(strings.Join(texts, ", "), " ", !now.Paused.IsZero()); got != want {
			return fmt.Errorf("followed: %s", got)
		}
		return nil
	})
}

// Whichever collector hears a command, the one that runs the source shows what is followed; and the desk may move.
func TestWhatAChatFollowsReachesEveryCollector(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c := configuration(t, addr)
		b, _, stop := sit(t, c, "en")
		other, stopOther := elsewhereSit(t, c)
		defer stopOther()
		b.ask(t, "/follow orders user_id=42")
		b.ask(t, "/follow tag=checkout")
		awaitFollows(t, other, "orders user_id=42, tag=checkout false")
		b.ask(t, "/unfollow tag=checkout")
		b.ask(t, "/pause 10m")
		awaitFollows(t, other, "orders user_id=42 true")
		late, stopLate := elsewhereSit(t, c)
		defer stopLate()
		awaitFollows(t, late, "orders user_id=42 true")
		stop()
		b, _, stop = sit(t, c, "en") // the desk has moved
		defer stop()
		b.ask(t, "/unfollow")
		b.ask(t, "/resume")
		awaitFollows(t, other, " false")
		awaitFollows(t, late, " false")
	})
}

// What a feed left unshown is told by the next desk, once.
func TestWhatWasLeftUnshownIsToldOnce(t *testing.T) {
	c := configuration(t, testrig.Embedded(t))
	whole := feed.Whole{First: time.Now(), Last: time.Now(), Until: time.Now(), Changes: 314}
	left := []feed.Left{{Version: 1, Chat: here, Transactions: 42, Changes: 314, Whole: whole.Action(), At: time.Now()}}
	if err := StoreLeft(t.Context(), c, left); err != nil {
		t.Fatal(err)
	}
	b, _, stop := sit(t, c, "en")
	if got := b.answer(t); !strings.Contains(got, "42 transactions weren't shown before the collector stopped at ") {
		t.Errorf("told: %s", got)
	}
	testrig.Eventually(t, 30*time.Second, func() error { return forgotten(t, c) })
	stop()
	b, _, stop = sit(t, c, "en")
	defer stop()
	left[0].Chat, left[0].Transactions = telegram.Chat{ID: -6}, 7
	if err := StoreLeft(t.Context(), c, left); err != nil { // while a desk is there
		t.Fatal(err)
	}
	if got := b.answer(t); !strings.Contains(got, "7 transactions") {
		t.Errorf("told: %s", got)
	}
}

func forgotten(t *testing.T, c config.Broker) error {
	t.Helper()
	scanner, err := broker.NewScanner(c, "test")
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }()
	state, err := scanner.State(t.Context(), broker.TopicsOf(c.TopicPrefix).State, leftPrefix)
	if err == nil && len(state) > 0 {
		text, _ := json.Marshal(state)
		err = fmt.Errorf("kept: %s", text)
	}
	return err
}
