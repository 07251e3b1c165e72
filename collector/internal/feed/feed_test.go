package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/event"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
)

// chat is a sender that takes a message every so often.
type chat struct {
	every time.Duration
	mu    sync.Mutex
	got   []string
	at    []time.Time
	fail  []error // of the next sends
	gone  int     // the message that somebody deleted
}

func (c *chat) Send(ctx context.Context, _ telegram.Chat, m telegram.Message, p telegram.Priority) (telegram.Ref, error) {
	if p != telegram.Feed {
		return telegram.Ref{}, fmt.Errorf("priority %d", p)
	}
	timer := time.NewTimer(c.every)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return telegram.Ref{}, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.fail) > 0 {
		err := c.fail[0]
		c.fail = c.fail[1:]
		return telegram.Ref{}, err
	}
	c.got = append(c.got, m.Plain())
	c.at = append(c.at, time.Now())
	return telegram.Ref{ID: len(c.got)}, nil
}

func (c *chat) Edit(_ context.Context, ref telegram.Ref, m telegram.Message, _ telegram.Priority) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ref.ID == c.gone {
		return telegram.ErrMessageGone
	}
	c.got[ref.ID-1] = m.Plain()
	return nil
}

// told are the messages so far, and when they came.
func (c *chat) told() ([]string, []time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got), slices.Clone(c.at)
}

// running is a feed at work in front of a chat.
type running struct {
	*Feed
	chat     *chat
	registry *prometheus.Registry
	stop     func()
}

func run(t *testing.T, every time.Duration, change func(*Options)) *running {
	t.Helper()
	r := &running{chat: &chat{every: every}, registry: prometheus.NewRegistry()}
	o := Options{Sender: r.chat, Language: "en", Log: slog.New(slog.DiscardHandler), Metrics: r.registry}
	if change != nil {
		change(&o)
	}
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Feed = f
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// counted is the metric by result.
func (r *running) counted(t *testing.T, result string) int {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "datawatch_collector_feed_transactions_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == result {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	t.Fatalf("no result %q", result)
	return 0
}

func TestTransactionIsToldOnceItsChangesStopComing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0, nil)
		defer r.stop()
		row := func(n int64) event.Raw {
			return did{tick: 1, n: n, table: "orders", op: event.Insert, key: []string{"id"}, after: fmt.Sprintf(`{"id":%d}`, n), tx: "7"}.raw()
		}
		began := time.Now()
		r.Offer([]event.Raw{row(1)})
		time.Sleep(100 * time.Millisecond)
		r.Offer([]event.Raw{row(2)}) // of a batch that was too large for one
		time.Sleep(time.Second)
		got, times := r.chat.told()
		if len(got) != 1 || !strings.Contains(got[0], "2 changes") {
			t.Fatalf("told: %q", got)
		}
		if took := times[0].Sub(began); took < 250*time.Millisecond || took > 300*time.Millisecond {
			t.Errorf("told after %s", took)
		}
	})
}

func TestTransactionIsToldAtOnceWhenItsSourceGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0, func(o *Options) { o.Linger = time.Hour })
		defer r.stop()
		r.Offer([]event.Raw{insertOf(1, 1), insertOf(2, 2)})
		synctest.Wait()
		got, _ := r.chat.told()
		if len(got) != 1 || !strings.Contains(got[0], "tx 80001") {
			t.Errorf("told: %q", got)
		}
	})
}

func TestTransactionsThatInterleaveInATickStayWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0, nil)
		defer r.stop()
		var events []event.Raw
		for n := range int64(6) {
			events = append(events, did{
				tick: 1, n: n, table: "orders", op: event.Insert, key: []string{"id"}, after: fmt.Sprintf(`{"id":%d}`, n), tx: fmt.Sprint(n % 2),
			}.raw())
		}
		r.Offer(events)
		time.Sleep(time.Second)
		got, _ := r.chat.told()
		if len(got) != 2 || !strings.Contains(got[0], "3 changes") || !strings.Contains(got[1], "3 changes") {
			t.Errorf("told: %q", got)
		}
	})
}

func TestReadsGapsAndWhatCannotBeReadAreNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0, nil)
		defer r.stop()
		read := did{tick: 1, table: "orders", op: event.Read, key: []string{"id"}, after: `{"id":1}`, tx: "1"}.raw()
		spaced := read // as another writer of JSON might put it
		spaced.Value = []byte(strings.Replace(string(read.Value), `"op":"read"`, `"op" : "read"`, 1))
		gap := event.Raw{Type: event.GapType, Kind: event.Postgres, Stream: "shop-db/public.orders", ID: "shop-db/x.1.1", Value: []byte(`{}`)}
		broken := insertOf(2, 2)
		broken.Value = []byte(`{"version":1,"op":"insert"`)
		r.Offer([]event.Raw{read, spaced, gap, broken})
		time.Sleep(time.Minute)
		got, _ := r.chat.told()
		if len(got) != 0 {
			t.Errorf("told: %q", got)
		}
	})
}

func TestBurstBecomesADigestInItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 500*time.Millisecond, nil)
		defer r.stop()
		r.Offer([]event.Raw{insertOf(1, 1)})
		time.Sleep(300 * time.Millisecond) // it is on its way
		for i := range 100 {
			r.Offer([]event.Raw{insertOf(int64(i+2), i+2)})
		}
		time.Sleep(10 * time.Second)
		r.Offer([]event.Raw{insertOf(200, 200)})
		time.Sleep(10 * time.Second)
		got, _ := r.chat.told()
		if len(got) != 3 {
			t.Fatalf("told: %q", got)
		}
		if !strings.Contains(got[0], "tx 80001") || !strings.Contains(got[2], "tx 80200") {
			t.Errorf("order: %q", got)
		}
		if !strings.Contains(got[1], "shop-db · 100 transactions in 1 s\norders +100") {
			t.Errorf("digest: %q", got[1])
		}
		if shown, summed := r.counted(t, "shown"), r.counted(t, "summed_up"); shown != 2 || summed != 100 {
			t.Errorf("%d shown, %d summed up", shown, summed)
		}
	})
}

func TestEveryTransactionOfALongFloodIsShownOrCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 4*time.Second, nil) // as a group takes them
		defer r.stop()
		const all = 20_000
		for i := range all {
			r.Offer([]event.Raw{insertOf(int64(i+1), i+1)})
			time.Sleep(30 * time.Millisecond) // ten minutes
		}
		time.Sleep(5 * time.Minute)
		shown, summed := 0, 0
		number := regexp.MustCompile(`shop-db · ([0-9,]+) transactions? in`)
		got, _ := r.chat.told()
		for _, m := range got {
			if found := number.FindStringSubmatch(m); found != nil {
				n := 0
				_, _ = fmt.Sscan(strings.ReplaceAll(found[1], ",", ""), &n)
				summed += n
			} else {
				shown++
			}
		}
		if shown+summed != all || r.counted(t, "shown") != shown || r.counted(t, "summed_up") != summed {
			t.Errorf("%d shown and %d summed up of %d", shown, summed, all)
		}
		if len(got) > 60 {
			t.Errorf("%d messages in ten minutes of flood", len(got))
		}
	})
}

func TestOfferNeverBlocksAndTellsWhatDidNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &chat{}
		registry := prometheus.NewRegistry()
		f, err := New(Options{Sender: c, Language: "en", Log: slog.New(slog.DiscardHandler), Metrics: registry, MaxEvents: 100})
		if err != nil {
			t.Fatal(err)
		}
		var events []event.Raw
		for i := range 150 {
			events = append(events, insertOf(int64(i+1), i+1))
		}
		f.Offer(events)
		f.Offer([]event.Raw{recorded("t", 0, 1, nil, []byte("1"))}) // nothing runs yet
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		time.Sleep(time.Minute)
		r := &running{Feed: f, chat: c, registry: registry}
		got, _ := c.told()
		last := got[len(got)-1]
		if !strings.Contains(last, "50 more changes came too fast") || !strings.Contains(last, "shop-kafka\n1 more change") {
			t.Errorf("told: %q", last)
		}
		if shown, summed, dropped := r.counted(t, "shown"), r.counted(t, "summed_up"), r.counted(t, "dropped"); shown+summed != 100 || dropped != 51 {
			t.Errorf("%d shown, %d summed up, %d dropped", shown, summed, dropped)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
}

func TestWhatAChatRefusesIsToldAsNumbersLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0, nil)
		defer r.stop()
		r.chat.mu.Lock()
		r.chat.fail = []error{&telegram.RefusedError{Reason: "kicked"}, &telegram.RefusedError{Reason: "kicked"}}
		r.chat.mu.Unlock()
		r.Offer([]event.Raw{insertOf(1, 1)})
		time.Sleep(time.Second)
		r.Offer([]event.Raw{insertOf(2, 2)})
		time.Sleep(5 * time.Minute)
		got, _ := r.chat.told()
		if len(got) != 1 || !strings.Contains(got[0], "2 transactions") || r.counted(t, "summed_up") != 2 {
			t.Errorf("told: %q", got)
		}
	})
}

// fallback hears what can't be told where it belongs.
type fallback struct {
	*chat
	own   telegram.Chat
	heard []string
}

func (s *fallback) Send(ctx context.Context, to telegram.Chat, m telegram.Message, p telegram.Priority) (telegram.Ref, error) {
	if to == s.own {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.heard = append(s.heard, m.Plain())
		return telegram.Ref{ID: 1}, nil
	}
	return s.chat.Send(ctx, to, m, p)
}

// TestFeedWhoseChatIsBrokenSaysSoInTheAlertsOnce, and again only when it broke anew.
func TestFeedWhoseChatIsBrokenSaysSoInTheAlertsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kicked := &telegram.RefusedError{Reason: "Forbidden: bot was kicked", Remedy: reason.DoTelegramAdd.With()}
		alerts := &fallback{chat: &chat{fail: []error{kicked, kicked, errors.New("away")}}, own: telegram.Chat{ID: -9}}
		r := run(t, 0, func(o *Options) { o.Sender, o.Chat, o.Fallback = alerts, telegram.Chat{ID: -5}, alerts.own })
		defer r.stop()
		r.Offer(purchase(1, 1))
		time.Sleep(5 * time.Minute)
		heard := func(want int) {
			t.Helper()
			alerts.mu.Lock()
			defer alerts.mu.Unlock()
			if len(alerts.heard) != want || !strings.Contains(alerts.heard[0], "The live feed's chat can't be written to since ") || !strings.HasSuffix(alerts.heard[0], "Do: add the bot to the chat and let it write there") {
				t.Errorf("the alerts heard %q", alerts.heard)
			}
		}
		heard(1)
		if got, _ := alerts.told(); len(got) != 1 || !strings.HasPrefix(got[0], "📦 shop-db · 1 transaction in") {
			t.Errorf("the feed told %q", got)
		}
		alerts.mu.Lock()
		alerts.fail = []error{kicked}
		alerts.mu.Unlock()
		r.Offer(purchase(2, 1))
		time.Sleep(5 * time.Minute)
		heard(2)
	})
}

func TestWhatWaitsWhenTheFeedStopsIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, time.Hour, nil)
		for i := range 10 {
			r.Offer([]event.Raw{insertOf(int64(i+1), i+1)})
		}
		time.Sleep(time.Minute)
		r.stop()
		if dropped := r.counted(t, "dropped"); dropped != 10 {
			t.Errorf("%d dropped", dropped)
		}
		left := r.Left()
		if len(left) != 1 || left[0].Transactions != 10 || left[0].Changes != 10 {
			t.Fatalf("left: %+v", left)
		}
		m := r.LeftMessage(left[0])
		if whole, err := ParseWhole(strings.Fields(m.Buttons[0][0].Data)[1:]); err != nil || whole.Changes != 10 || !strings.Contains(m.Plain(), "10 transactions weren't shown") {
			t.Errorf("told: %s; %+v, %v", m.Plain(), whole, err)
		}
	})
}

func TestWhatWasNotEvenReadWhenTheFeedStopsIsCounted(t *testing.T) {
	f, err := New(Options{Sender: &chat{}, Language: "vi", Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), MaxEvents: 7})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		f.Offer([]event.Raw{insertOf(int64(i+1), i+1)})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if left := f.Left(); len(left) != 1 || left[0].Changes != 10 {
		t.Errorf("left: %+v", left)
	}
}

func TestGlanceSeesWhatNormalizingSees(t *testing.T) {
	odd := `{"id":1,"a":"\",\"transaction\":\"9\",\"op\":\"read\"","before":{"transaction":"9"}}`
	cases := []did{
		{op: event.Insert, after: odd, key: []string{"id"}, tx: "5", tag: `"transaction":"8"`, app: `","transaction":"8"`},
		{op: event.Delete, before: odd, after: `{"id":2}`, to: true, key: []string{"id"}, tx: "5"},
		{op: event.Insert, before: odd, after: `{"id":2}`, from: true, key: []string{"id"}, tx: "5"},
		{op: event.Truncate, tx: "5"},
	}
	for _, c := range cases {
		c.tick, c.table = 1, "t"
		r := c.raw()
		if got, want := glance(&r), (sight{c.op, "5", c.from, c.to, c.tag != ""}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}
