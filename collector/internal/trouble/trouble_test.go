package trouble

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
)

// chat keeps what was sent.
type chat struct{ sent []string }

func (c *chat) Send(_ context.Context, _ telegram.Chat, m telegram.Message, _ telegram.Priority) (telegram.Ref, error) {
	c.sent = append(c.sent, m.HTML())
	return telegram.Ref{}, nil
}

// tell runs a teller in a bubble of time; then what was sent may be looked at.
func tell(t *testing.T, language string, happen func(t *Teller, sent func() []string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &chat{}
		teller := New(Options{Sender: c, Language: language, Zone: time.UTC, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- teller.Run(ctx) }()
		happen(teller, func() []string { synctest.Wait(); return c.sent })
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("stopped with %v", err)
		}
	})
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("sent %q, not %q", got, want)
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("sent\n%s\nnot\n%s", got[i], want[i])
		}
	}
}

func TestWhatLastsAMinuteIsToldOnceAndAgainWhenItIsOver(t *testing.T) {
	tell(t, "en", func(teller *Teller, sent func() []string) {
		teller.State("shop-mongo", source.Connecting, reason.Quote(""), reason.Quote(""))
		teller.State("shop-mongo", source.Failed, reason.Quote("no route to host\nand a stack"), reason.Quote("check uri"))
		time.Sleep(50 * time.Second)
		expect(t, sent())
		for range 100 { // it is tried again and again
			teller.State("shop-mongo", source.Connecting, reason.Quote(""), reason.Quote(""))
			teller.State("shop-mongo", source.Failed, reason.Quote("no route to host"), reason.Quote("check uri"))
			time.Sleep(time.Second)
		}
		trouble := "🟠 <b>shop-mongo is not being read</b> since 00:00\nno route to host\n" +
			"Nothing is lost yet: reading goes on where it stopped, as long as the source still holds what came since.\nDo: check uri"
		expect(t, sent(), trouble)
		teller.State("shop-mongo", source.Streaming, reason.Quote(""), reason.Quote(""))
		time.Sleep(5 * time.Second)
		teller.State("shop-mongo", source.Failed, reason.Quote("no route to host"), reason.Quote("check uri"))
		time.Sleep(time.Minute)
		expect(t, sent(), trouble)
		teller.State("shop-mongo", source.Streaming, reason.Quote(""), reason.Quote(""))
		time.Sleep(time.Minute)
		expect(t, sent(), trouble, "🟢 <b>shop-mongo is being read again</b> after 4 min")
	})
}

func TestWhatMendsItselfIsNotTold(t *testing.T) {
	tell(t, "en", func(teller *Teller, sent func() []string) {
		for range 5 {
			teller.State("shop-db", source.Stalled, reason.Quote("no leader"), reason.Quote(""))
			time.Sleep(40 * time.Second)
			teller.State("shop-db", source.Streaming, reason.Quote(""), reason.Quote(""))
			time.Sleep(20 * time.Second)
		}
		expect(t, sent())
	})
}

func TestASourceThatMovedIsNotLeftInTrouble(t *testing.T) {
	tell(t, "vi", func(teller *Teller, sent func() []string) {
		teller.State("shop-db", source.Failed, reason.Quote("x"), reason.Quote(""))
		time.Sleep(2 * time.Minute)
		teller.Gone("shop-db")
		time.Sleep(2 * time.Minute)
		expect(t, sent(), "shop-db hiện không được đọc", "một collector khác đang đọc")
	})
}

func TestASourceThatTheConfigurationHasNoMoreIsNotLeftInTrouble(t *testing.T) {
	tell(t, "en", func(teller *Teller, sent func() []string) {
		for _, name := range []string{"shop-db", "shop-kafka"} {
			teller.State(name, source.Failed, reason.Quote("x"), reason.Quote(""))
		}
		time.Sleep(2 * time.Minute)
		teller.State("shop-mongo", source.Failed, reason.Quote("x"), reason.Quote(""))
		teller.Removed("shop-db", false)
		teller.Removed("shop-kafka", true) // its shards are told of
		teller.Removed("shop-mongo", false)
		time.Sleep(2 * time.Minute)
		expect(t, sent(), "shop-db is not being read", "shop-kafka is not being read", "shop-db is no longer in the configuration")
	})
}

func TestAWrongConfigurationIsToldAtOnceAndOnce(t *testing.T) {
	tell(t, "en", func(teller *Teller, sent func() []string) {
		wrong := errors.New("datawatch.yaml:14: topcs: unknown key (topics?)")
		for range 3 {
			teller.Configuration(wrong)
			time.Sleep(2 * time.Second)
		}
		told := "🟠 <b>datawatch.yaml not loaded</b>: datawatch.yaml:14: topcs: unknown key (topics?)\nThe configuration of 00:00 stays in force.\nDo: mend the file and send SIGHUP again"
		expect(t, sent(), told)
		teller.Configuration(nil)
		time.Sleep(2 * time.Second)
		expect(t, sent(), told, "🟢 <b>datawatch.yaml is loaded</b>")
	})
}
