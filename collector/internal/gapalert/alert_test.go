package gapalert

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

// chat keeps what was sent, and refuses while it is down.
type chat struct {
	sent []string
	down bool
}

func (c *chat) Send(_ context.Context, _ telegram.Chat, m telegram.Message, p telegram.Priority) (telegram.Ref, error) {
	if c.down {
		return telegram.Ref{}, errors.New("refused")
	}
	if p != telegram.Critical || m.Silent {
		return telegram.Ref{}, errors.New("a gap must ring")
	}
	c.sent = append(c.sent, m.HTML())
	return telegram.Ref{}, nil
}

func gapIn(t *testing.T, stream event.Stream, cause string, lost *int64, from, to time.Time) event.Raw {
	t.Helper()
	value, err := json.Marshal(event.Gap{From: from, To: to, Cause: cause, Lost: lost, Remedy: "make the outbox larger"})
	if err != nil {
		t.Fatal(err)
	}
	return event.Raw{Type: event.GapType, Stream: stream, ID: string(stream) + "/x", Value: value}
}

func alerter(c *chat, language string) *Alerter {
	return New(Options{Sender: c, Language: language, Zone: time.UTC, Log: slog.New(slog.DiscardHandler)})
}

func run(t *testing.T, a *Alerter) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- a.Run(ctx) }()
	time.Sleep(time.Minute) // of the bubble's clock
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("stopped with %v", err)
	}
}

func TestGapsOfOneReasonAreOneMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now, three := time.Now(), int64(3)
		c := &chat{}
		a := alerter(c, "en")
		a.Offer([]event.Raw{
			{Type: event.RawType, Stream: "shop-db/public.orders"},
			gapIn(t, "shop-db/public.orders", "the outbox is full", &three, now.Add(-time.Minute), now),
			gapIn(t, "shop-db/public.payments", "the outbox is full", &three, now.Add(-2*time.Minute), now),
			gapIn(t, "shop-kafka/payments.captured", "records expired", nil, now.Add(-time.Hour), now),
		})
		run(t, a)
		if len(c.sent) != 2 {
			t.Fatalf("sent %q", c.sent)
		}
		want := "🟠 <b>shop-db: a gap in 2 streams</b> 23:58:00 – 00:00:00\npublic.orders, public.payments\nthe outbox is full\n" +
			"6 changes from then are not in the clean stream.\nDo: make the outbox larger"
		want = strings.Replace(want, "23:58:00 – 00:00:00", "31 Dec 23:58:00 – 1 Jan 00:00:00", 1)
		if c.sent[0] != want {
			t.Errorf("got\n%s\nwant\n%s", c.sent[0], want)
		}
		if !strings.Contains(c.sent[1], "<b>shop-kafka: a gap</b>") || !strings.Contains(c.sent[1], "may not be") {
			t.Errorf("got %s", c.sent[1])
		}
	})
}

func TestVietnamese(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &chat{}
		a := alerter(c, "vi")
		a.Offer([]event.Raw{gapIn(t, "shop-db/public.orders", "x", nil, time.Now(), time.Now())})
		run(t, a)
		if len(c.sent) != 1 || !strings.Contains(c.sent[0], "có khoảng thiếu") {
			t.Errorf("sent %q", c.sent)
		}
	})
}

func TestAChatThatRefusesDoesntHoldTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &chat{down: true}
		a := alerter(c, "en")
		a.Offer([]event.Raw{gapIn(t, "s/a", "one", nil, time.Now(), time.Now())})
		run(t, a)
		c.down = false
		a.Offer([]event.Raw{gapIn(t, "s/a", "two", nil, time.Now(), time.Now())})
		run(t, a)
		if len(c.sent) != 1 || !strings.Contains(c.sent[0], "two") {
			t.Errorf("sent %q", c.sent)
		}
	})
}

// TestAGapWaitsUntilItIsKnownWhoTellsOfIt: of a collector's first second too people hear once.
func TestAGapWaitsUntilItIsKnownWhoTellsOfIt(t *testing.T) {
	for _, alone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, began := &chat{}, time.Now()
			known := func() bool { return time.Since(began) > 15*time.Second }
			a := New(Options{
				Sender: c, Language: "en", Zone: time.UTC, Log: slog.New(slog.DiscardHandler), Known: known,
				Alone: func() bool {
					if !known() {
						t.Error("asked before it is known")
					}
					return alone
				},
			})
			a.Offer([]event.Raw{gapIn(t, "shop-db/public.orders", "the outbox is full", nil, began.Add(-time.Minute), began)})
			run(t, a)
			if told := len(c.sent) == 1; told != alone {
				t.Errorf("alone: %v, sent %q", alone, c.sent)
			}
		})
	}
}
