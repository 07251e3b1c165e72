package chat

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"datawatch/collector/internal/record"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// beats writes what another collector's sign of life tells of changes.
func beats(t *testing.T, c config.Broker, at time.Time, changes map[event.Stream]control.Changes) {
	t.Helper()
	p, err := broker.OpenPublisher(t.Context(), c, c.TopicPrefix+"-beat")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	r := control.BeatRecord(broker.TopicsOf(c.TopicPrefix).Control, control.Beat{Service: "collector", Instance: "other", At: at, Changes: changes})
	if err := p.Publish(t.Context(), []broker.Record{r}); err != nil {
		t.Fatal(err)
	}
}

// Whichever collector reads a source, also one that has stopped since: /tables counts its changes, /last shows the newest,
// without what no one may be shown.
func TestWhatOtherCollectorsCapturedIsTold(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c := configuration(t, addr)
		now := time.Now().UTC()
		var rows []event.Raw
		for n := range int64(8) {
			rows = append(rows, inserted(t, 1+n, 1+n, "orders", fmt.Sprint(n), now.Add(time.Duration(n)*time.Millisecond)))
		}
		rows = append(rows, inserted(t, 20, 20, "payments", "20", now))
		commit(t, c, rows)
		orders, payments := event.Stream("shop-db/public.orders"), event.Stream("shop-db/public.payments")
		beats(t, c, time.Now(), map[event.Stream]control.Changes{ // two signs of life, of which the second repeats nothing
			orders: {Count: 5, First: now, Last: now}, payments: {Count: 1, First: now, Last: now},
		})
		beats(t, c, time.Now(), map[event.Stream]control.Changes{orders: {Count: 3, First: now, Last: now.Add(7 * time.Millisecond)}})
		b, f, stop := sit(t, c, "en")
		defer stop()
		testrig.Eventually(t, 30*time.Second, func() error { // until the transactions' ends are written
			if got := b.ask(t, "/tables"); !strings.Contains(got, "<b>shop-db</b>\n<code>public.orders</code>  8 changes, the last at ") || !strings.Contains(got, "<code>public.payments</code>  1 change, at ") {
				return errors.New(got)
			}
			return nil
		})
		rest := func(answer string) []string {
			t.Helper()
			var ids []string
			for _, line := range strings.Split(answer, "\n") {
				_, id, ok := strings.Cut(line, "<b>orders</b> <code>")
				if !ok || strings.Contains(line, "secret") {
					t.Fatalf("answered: %s", answer)
				}
				id, _, _ = strings.Cut(id, "<")
				ids = append(ids, id)
			}
			return ids
		}
		if got := fmt.Sprint(rest(b.ask(t, "/last orders 2")), rest(b.ask(t, "/last shop-db/public.orders 20"))); got != "[7 8] [1 2 3 4 5 6 7 8]" {
			t.Errorf("the last: %s", got)
		}
		// And what this one captures, before any sign of life tells it.
		more := []event.Raw{inserted(t, 30, 30, "orders", "30", time.Now().UTC())}
		commit(t, c, more)
		f.Offer(more)
		testrig.Eventually(t, 30*time.Second, func() error {
			if got := fmt.Sprint(rest(b.ask(t, "/last orders 2"))); got != "[8 30]" {
				return errors.New(got)
			}
			return nil
		})
		if got := b.ask(t, "/last order"); !strings.Contains(got, "Did you mean orders?") {
			t.Errorf("answered: %s", got)
		}
	})
}

// What has expired from raw is said to be gone, not silently left out.
func TestWhatRawHoldsNoLongerIsSaid(t *testing.T) {
	c := configuration(t, testrig.Embedded(t))
	now := time.Now()
	beats(t, c, now, map[event.Stream]control.Changes{"shop-db/public.orders": {Count: 5, First: now.Add(-time.Second), Last: now}})
	b, _, stop := sit(t, c, "en")
	defer stop()
	testrig.Eventually(t, 30*time.Second, func() error {
		if got := b.ask(t, "/last orders"); !strings.Contains(got, "None of it is held any more") {
			return errors.New(got)
		}
		return nil
	})
}

// No more of raw is read than holds the changes that are asked for.
func TestOnlyTheStretchesThatHoldTheNewestAreRead(t *testing.T) {
	at := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	beat := func(n int, count int64, lasted time.Duration) stretch {
		until := at.Add(time.Duration(n) * 5 * time.Second)
		return stretch{"shop-db/public.orders", control.Changes{Count: count, First: until.Add(-lasted), Last: until}, until}
	}
	of := []stretch{beat(1, 100, time.Second), beat(2, 3, time.Second), beat(3, 1, time.Second), beat(3, 1, 2*time.Second), beat(9, 2, time.Second)}
	want := []record.Wanted{
		{First: at.Add(44 * time.Second), Until: at.Add(45 * time.Second)},
		{First: at.Add(13 * time.Second), Until: at.Add(15 * time.Second)},
		{First: at.Add(9 * time.Second), Until: at.Add(10 * time.Second)},
	}
	for n, spansNeeded := range map[int]int{1: 1, 2: 1, 3: 2, 4: 2, 5: 3, 7: 3} {
		got := spans(of, n)
		if len(got) != spansNeeded {
			t.Errorf("the last %d lie in %+v", n, got)
			continue
		}
		for i := range got {
			if !got[i].First.Equal(want[i].First) || !got[i].Until.Equal(want[i].Until) {
				t.Errorf("the last %d lie in %+v", n, got)
			}
		}
	}
}

// However long the day was, what is kept of it is bounded, and holds the newest.
func TestOnlyTheNewestStretchesAreKept(t *testing.T) {
	h := &history{means: func(s event.Stream) bool { return s == "shop-db/public.orders" }, tables: map[event.Stream]control.Changes{}}
	at := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	const all = 5*mostMeant + 1
	for i := range all {
		until := at.Add(time.Duration(i) * time.Second)
		h.add(stretch{"shop-db/public.orders", control.Changes{Count: 2, First: until, Last: until}, until})
		h.add(stretch{"shop-db/public.payments", control.Changes{Count: 1, First: until, Last: until}, until})
	}
	h.sort()
	if n := len(h.meant); n < mostMeant || n > 2*mostMeant || !h.meant[n-1].until.Equal(at.Add((all-1)*time.Second)) || h.tables["shop-db/public.orders"].Count != 2*all || h.tables["shop-db/public.payments"].Count != all {
		t.Errorf("%d kept of %d: %+v", n, all, h.tables)
	}
}
