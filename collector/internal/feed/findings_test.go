package feed

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

// byChat is a sender to several chats.
type byChat map[telegram.Chat]*chat

func (s byChat) Send(ctx context.Context, to telegram.Chat, m telegram.Message, p telegram.Priority) (telegram.Ref, error) {
	ref, err := s[to].Send(ctx, to, m, p)
	ref.Chat = to
	return ref, err
}

func (s byChat) Edit(ctx context.Context, ref telegram.Ref, m telegram.Message, p telegram.Priority) error {
	return s[ref.Chat].Edit(ctx, ref, m, p)
}

func violationOf(transaction string, errors ...event.ViolationError) *event.Violation {
	return &event.Violation{Stream: "shop-db/public.orders", EventID: "shop-db/x", Transaction: &transaction, Errors: errors}
}

var wrongTotal = event.ViolationError{Kind: event.RuleViolation, Rule: "total-adds-up", Message: "Order total is not the sum of its items", Actual: "149.98", Expected: "149.97"}

// counts looks at how many verdicts were told.
func (r *running) counts(t *testing.T, verdicts float64) {
	t.Helper()
	if got := testutil.ToFloat64(r.Feed.metrics.verdicts); got != verdicts {
		t.Errorf("%g verdicts are counted, not %g", got, verdicts)
	}
}

func TestVerdictIsWrittenIntoTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0, nil)
		defer r.stop()
		r.Offer(purchase(1, 1))
		time.Sleep(time.Second)
		r.Judge(FindingsOf(violationOf("101", wrongTotal)))
		r.Judge(FindingsOf(violationOf("101", wrongTotal))) // as after a validator's restart
		missing := event.ViolationError{Kind: event.SchemaError, InstanceLocation: "/currency", Message: `"currency" is missing`}
		r.Judge(FindingsOf(violationOf("101", missing)))
		synctest.Wait()
		got, _ := r.chat.told()
		const want = "✗ total-adds-up: 149.98, expected 149.97\n✗ /currency: \"currency\" is missing"
		if len(got) != 1 || !strings.HasSuffix(got[0], "\n"+want) || strings.Count(got[0], "✗") != 2 {
			t.Errorf("told: %q", got)
		}
	})
}

func TestVerdictOnAMessageThatSomebodyDeletedIsToldAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0, nil)
		defer r.stop()
		r.Offer(purchase(1, 1))
		time.Sleep(time.Second)
		r.chat.mu.Lock()
		r.chat.gone = 1
		r.chat.mu.Unlock()
		r.Judge(FindingsOf(violationOf("101", wrongTotal)))
		synctest.Wait()
		if got, _ := r.chat.told(); len(got) != 2 || !strings.HasPrefix(got[1], "✗ shop-db · orders, payments\n✗ total-adds-up: 149.98, expected 149.97") {
			t.Errorf("told: %q", got)
		}
	})
}

func TestVerdictThatComesBeforeTheMessageStandsInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0, nil)
		defer r.stop()
		r.Judge(FindingsOf(violationOf("101", wrongTotal)))
		time.Sleep(time.Second)
		r.Offer(purchase(1, 1))
		time.Sleep(time.Second)
		if got, _ := r.chat.told(); len(got) != 1 || !strings.HasSuffix(got[0], "expected 149.97") {
			t.Errorf("told: %q", got)
		}
		r.counts(t, 1)
	})
}

func TestVerdictOnARecordIsWrittenIntoItsMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0, nil)
		defer r.stop()
		record := recorded("payments.captured", 3, 88172, []byte("1042"), []byte(`{"amount": 1}`))
		r.Offer([]event.Raw{record})
		time.Sleep(time.Second)
		r.Judge(FindingsOf(&event.Violation{Stream: record.Stream, EventID: record.ID, Errors: []event.ViolationError{wrongTotal}}))
		synctest.Wait()
		if got, _ := r.chat.told(); len(got) != 1 || !strings.HasSuffix(got[0], "expected 149.97") {
			t.Errorf("told: %q", got)
		}
		r.counts(t, 1)
	})
}

// Who follows a transaction hears of its verdict even where there were too many to show each.
func TestVerdictOnWhatWasSummedUpIsToldToWhoFollowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 20*time.Second, nil)
		defer r.stop()
		follow(t, r, telegram.Chat{}, "orders")
		for tick := range int64(50) {
			r.Offer(purchase(tick, 1))
		}
		r.Judge(FindingsOf(violationOf("140", wrongTotal)))
		time.Sleep(3 * time.Minute)
		got, _ := r.chat.told()
		alone := 0
		for _, m := range got {
			if strings.HasPrefix(m, "✗ shop-db · orders, payments\n✗ total-adds-up: 149.98, expected 149.97\ntx 140") {
				alone++
			}
		}
		if alone != 1 {
			t.Errorf("told: %q", got)
		}
	})
}

func TestVerdictOnTheWholeRowNamesNoPlace(t *testing.T) {
	missing := event.ViolationError{Kind: event.SchemaError, InstanceLocation: "", Message: `"currency" is missing`}
	blocks := writer{words: &english}.verdict(verdict{findings: FindingsOf(violationOf("101", missing))})
	if got := telegram.NewMessage(blocks...).Plain(); got != `✗ "currency" is missing` {
		t.Errorf("%q", got)
	}
}

func TestBoardForgetsTheOldest(t *testing.T) {
	b := newBoard()
	v := newAudience(telegram.Chat{}, b).of(telegram.Chat{})
	for i := range 2 * maxShowings {
		b.show(&transaction{source: "shop-db", id: string(rune(i)), size: 10}, v, telegram.Ref{ID: i + 1}, 0)
	}
	b.show(&transaction{source: "shop-db", id: "huge", size: maxShowingBytes + 1}, v, telegram.Ref{ID: 1}, 0)
	if len(b.showings) != 1 || b.bytes != maxShowingBytes+1 {
		t.Errorf("%d kept, %d bytes", len(b.showings), b.bytes)
	}
}
