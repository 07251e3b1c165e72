package telegramsim

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/config"
	"datawatch/pkg/telegram"
)

// TestFilesThatPeopleSendReachTheBot is so where the bot hears of them: a file with a command beneath, or one that answers
// the bot, in a group; any in a private chat.
func TestFilesThatPeopleSendReachTheBot(t *testing.T) {
	const group, alone, stranger = -100, 42, 7
	sim := New(Options{Chats: []Chat{{ID: group, Type: Supergroup, Title: "Alerts"}, {ID: alone, Type: Private}}, Person: Person{ID: alone, FirstName: "Linh", Username: "linh"}})
	defer sim.Close()
	server := httptest.NewServer(sim)
	defer server.Close()
	c, err := telegram.New(telegram.Options{
		Config:  config.Telegram{Token: config.Secret(sim.Token()), APIURL: server.URL, Alerts: config.Chat{ID: group}, Allow: []int64{alone}, Users: []int64{alone}},
		Service: "test", Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := c.Send(t.Context(), telegram.Chat{ID: group}, telegram.NewMessage(telegram.Line(telegram.Plain("an alert"))), telegram.Warning)
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan telegram.Command, 10)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Poll(ctx, telegram.Handlers{Command: func(_ context.Context, c telegram.Command) error {
			heard <- c
			return nil
		}})
	}()
	file := &Sent{Name: "public.orders.json", Content: []byte(`["no object"]`)}
	for _, w := range []struct {
		chat int64
		Written
	}{
		{group, Written{File: file}}, // nobody's: a bot in a group doesn't hear of it
		{group, Written{File: file, Text: "/schema orders", From: &Person{ID: stranger, FirstName: "Somebody"}}},
		{group, Written{File: file, Text: "/schema orders"}},
		{group, Written{File: file, ReplyTo: int64(ref.ID)}},
		{alone, Written{File: file}},
	} {
		if _, err := sim.Type(w.chat, w.Written); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []telegram.Command{{Name: "schema", Args: "orders"}, {ReplyTo: ref.ID}, {}} {
		select {
		case got := <-heard:
			if got.Name != want.Name || got.Args != want.Args || got.ReplyTo != want.ReplyTo || got.File == nil || got.File.Name != file.Name || got.File.Size != int64(len(file.Content)) {
				t.Errorf("%d: heard %+v", i, got)
				continue
			}
			if content, err := c.Download(t.Context(), *got.File, 1000); err != nil || string(content) != string(file.Content) {
				t.Errorf("%d: downloaded %q %v", i, content, err)
			}
		case <-time.After(2 * time.Minute):
			t.Fatalf("%d isn't heard", i)
		}
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Poll returned %v", err)
	}
	if len(heard) > 0 {
		t.Errorf("heard %+v too", <-heard)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	for _, w := range []Written{{File: &Sent{Name: "a"}}, {File: file, Text: strings.Repeat("x", 1025)}} {
		if _, err := sim.Type(alone, w); err == nil {
			t.Errorf("Telegram takes a file of %d bytes with %d characters beneath", len(w.File.Content), len(w.Text))
		}
	}
}
