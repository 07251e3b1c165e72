package telegram

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestProbeTellsWhatSomebodyMustMend(t *testing.T) {
	cases := map[string]struct {
		method  string
		planned reply
	}{
		"check telegram.token":    {"getMe", reply{code: 401, text: "Unauthorized"}},
		"check the chat's id":     {"getChat", reply{code: 400, text: "Bad Request: chat not found"}},
		"add the bot to the chat": {"getChat", reply{code: 403, text: "Forbidden: bot was kicked from the supergroup chat"}},
	}
	for remedy, c := range cases {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			defer r.stop(t)
			r.api.plan(c.method, c.planned)
			var refused *RefusedError
			if err := r.Probe(t.Context(), Chat{}, Chat{ID: -5}); !errors.As(err, &refused) || !strings.Contains(refused.Remedy.String(), remedy) {
				t.Errorf("got %v, want the remedy %q", err, remedy)
			}
			if len(r.reports) == 0 || r.reports[len(r.reports)-1] == "" {
				t.Errorf("reports: %q", r.reports)
			}
			if err := r.Probe(t.Context(), Chat{}, Chat{ID: -5}); err != nil {
				t.Errorf("mended, and still %v", err)
			}
			if r.reports[len(r.reports)-1] != "" {
				t.Errorf("mended, and told %q", r.reports)
			}
		})
	}
}

func TestReachIsAwaitedWhileTelegramIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.stop(t)
		r.api.always = &reply{err: errors.New("no route to host")}
		go func() {
			time.Sleep(5 * time.Minute)
			r.api.mu.Lock()
			r.api.always = nil
			r.api.mu.Unlock()
		}()
		if err := r.AwaitReach(t.Context(), Chat{ID: -5}); err != nil {
			t.Error(err)
		}
		if len(r.reports) != 2 || !strings.Contains(r.reports[0], "no route to host") || r.reports[1] != "" {
			t.Errorf("reports: %q", r.reports)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.AwaitReach(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled, and %v", err)
		}
	})
}

func TestNothingIsAskedWithoutAToken(t *testing.T) {
	c, err := New(Options{Service: "tester", Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Probe(t.Context(), Chat{ID: 1}); err != nil {
		t.Error(err)
	}
}
