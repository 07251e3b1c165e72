package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/collector/internal/feed"
	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
)

// TestCommandsAndButtonsAreWrittenToTheAuditLog: who said what where, of each command and button, ours or another service's.
func TestCommandsAndButtonsAreWrittenToTheAuditLog(t *testing.T) {
	var log bytes.Buffer // read when the desk has ended
	b := newBot()
	f, err := feed.New(feed.Options{Sender: b, Language: "en", Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	d := New(Options{Broker: configuration(t, testrig.Embedded(t)), Bot: b, Feed: f, Language: "en", Log: slog.New(slog.NewJSONHandler(&log, nil)), Status: ill})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	b.write("/mute k3f9a1 3d", 0)
	b.write("people talking", 0)
	b.updates <- func(ctx context.Context, h telegram.Handlers) error {
		_, err := h.Press(ctx, telegram.Press{User: telegram.User{ID: 1, Name: "@linh"}, Message: telegram.Ref{Chat: here, ID: 8}, Data: "ack:k3f9a1"})
		return err
	}
	b.ask(t, "/unknown")
	b.ask(t, "/help")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}

	var got []string
	for line := range bytes.Lines(log.Bytes()) {
		var entry struct {
			Audit               bool
			UserID              int64 `json:"user_id"`
			Chat                int64
			Command, Args, Data string
		}
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatal(err)
		}
		if entry.Audit && entry.UserID == 1 && entry.Chat == here.ID {
			got = append(got, strings.TrimSpace(entry.Command+" "+entry.Args+entry.Data))
		}
	}
	if all := strings.Join(got, ", "); all != "mute k3f9a1 3d, ack:k3f9a1, unknown, help" {
		t.Errorf("written down: %s", all)
	}
}
