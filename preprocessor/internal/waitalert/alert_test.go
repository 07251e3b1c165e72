package waitalert

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
	"datawatch/pkg/telegram"
)

// chat keeps what was sent and edited, and refuses while it is down.
type chat struct {
	sent, edited []string
	answers      []int // what each sent message replies to
	down         atomic.Bool
}

func (c *chat) Send(_ context.Context, to telegram.Chat, m telegram.Message, p telegram.Priority) (telegram.Ref, error) {
	if c.down.Load() {
		return telegram.Ref{}, errors.New("refused")
	}
	if p != telegram.Critical || m.Silent {
		return telegram.Ref{}, errors.New("it must ring")
	}
	c.sent, c.answers = append(c.sent, m.HTML()), append(c.answers, m.ReplyTo)
	return telegram.Ref{Chat: to, ID: len(c.sent)}, nil
}

func (c *chat) Edit(_ context.Context, ref telegram.Ref, m telegram.Message, _ telegram.Priority) error {
	if ref.ID == 0 {
		return errors.New("an edit of nothing")
	}
	c.edited = append(c.edited, m.HTML())
	return nil
}

// story runs an alerter in a bubble whose clock begins at midnight, UTC.
func story(t *testing.T, language string, tell func(a *Alerter, c *chat, waiting *atomic.Int64)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c, waiting := &chat{}, &atomic.Int64{}
		waiting.Store(214)
		a := New(Options{
			Sender: c, Language: language, Zone: time.UTC, Log: slog.New(slog.DiscardHandler),
			Count: func(context.Context, event.Stream) (int, bool, error) {
				return int(min(waiting.Load(), 20_000)), waiting.Load() > 20_000, nil
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		tell(a, c, waiting)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("stopped with %v", err)
		}
	})
}

// pass lets the bubble's clock run, until everybody waits again.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func missing(schema int, lost bool) []Wait {
	since := time.Now()
	w := Wait{
		Stream: "shop-kafka/payments.captured", Since: since, Until: since.Add(15 * time.Minute), Lost: lost,
		For: &normalize.Unavailable{What: "schema registry http://r", Registry: "http://r", Err: errors.New("503")},
	}
	if schema != 0 {
		w.For = &normalize.Unavailable{What: "schema 41 of http://r", Schema: schema, Registry: "http://r", Err: errors.New("404")}
	}
	return []Wait{w}
}

func TestPeopleAreToldWhatWaitsSinceWhenAndWhenItIsOver(t *testing.T) {
	story(t, "en", func(a *Alerter, c *chat, waiting *atomic.Int64) {
		a.Update(missing(41, false))
		pass(30 * time.Second)
		want := "🟠 <b>214 records of payments.captured wait</b> since 00:00\n" +
			"Schema id 41 is not in the registry. Nothing is lost: they come when it is there, and so does what is behind them.\n" +
			"If it isn't there by 00:15, they become dead letters.\nDo: register that schema, or see why it is gone."
		if len(c.sent) != 1 || c.sent[0] != want {
			t.Fatalf("sent %q, not %q", c.sent, want)
		}
		waiting.Store(1_842_000)
		pass(2 * time.Minute)
		if len(c.edited) != 1 || !strings.HasPrefix(c.edited[0], "🟠 <b>20,000+ records of payments.captured wait</b> since 00:00\n") {
			t.Errorf("edited to %q", c.edited)
		}
		a.Update(nil)
		pass(time.Second)
		if want := "🟢 <b>payments.captured goes on</b>, 00:02\nIts records have waited 2 min. Nothing was lost."; len(c.sent) != 2 || c.sent[1] != want || c.answers[1] != 1 {
			t.Errorf("sent %q, in answer to %v", c.sent, c.answers)
		}
	})
}

func TestDeadLettersForWantOfASchemaAreNews(t *testing.T) {
	story(t, "en", func(a *Alerter, c *chat, _ *atomic.Int64) {
		waits := missing(0, false)
		a.Update(waits)
		pass(15 * time.Minute)
		waits[0].Lost = true
		a.Update(waits)
		pass(10 * time.Second)
		want := "🟠 <b>Records of payments.captured become dead letters</b> since 00:15\nThe schema registry http://r doesn&#39;t answer (503). They are kept there.\n" +
			"Do: when it is there, run preprocessor deadletters replay --class schema_unavailable --stream shop-kafka/payments.captured"
		if len(c.sent) != 2 || strings.ReplaceAll(c.sent[1], "'", "&#39;") != want {
			t.Fatalf("sent %q, not %q", c.sent, want)
		}
		a.Update(nil)
		pass(time.Second)
		if len(c.sent) != 3 || !strings.Contains(c.sent[2], "What came since 00:15 is in the dead letters.\nDo: run preprocessor deadletters replay") {
			t.Errorf("sent %q", c.sent)
		}
	})
}

func TestAMomentIsNobodysTrouble(t *testing.T) {
	story(t, "en", func(a *Alerter, c *chat, _ *atomic.Int64) {
		a.Update(missing(0, false))
		pass(4 * time.Second)
		a.Update(nil)
		pass(time.Hour)
		if len(c.sent)+len(c.edited) != 0 {
			t.Errorf("sent %q", c.sent)
		}
	})
}

func TestAChatThatRefusedIsToldLater(t *testing.T) {
	story(t, "vi", func(a *Alerter, c *chat, waiting *atomic.Int64) {
		c.down.Store(true)
		waiting.Store(1842)
		a.Update(missing(41, false))
		pass(30 * time.Second)
		c.down.Store(false)
		pass(time.Minute)
		if len(c.sent) != 1 || !strings.HasPrefix(c.sent[0], "🟠 <b>1.842 bản ghi của payments.captured đang chờ</b> từ 00:00\nSchema id 41 không có trong registry.") {
			t.Errorf("sent %q", c.sent)
		}
	})
}
