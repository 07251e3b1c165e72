package judge

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"datawatch/pkg/event"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/tally"
)

// clock is one that tests turn.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// setOf is a folder with these files.
func setOf(t *testing.T, files map[string]string) *schemas.Set {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	set, err := schemas.Load(dir)
	if err != nil || len(set.Failures()) > 0 {
		t.Fatal(err, set.Failures())
	}
	return set
}

// looking is a judge that knows of streams, without a broker.
func looking(c *clock, streams ...event.Stream) (*Judge, *bytes.Buffer) {
	var log bytes.Buffer
	j := New(Options{Metrics: prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(&log, nil)), Now: c.Now})
	for _, s := range streams {
		j.names.takeStream(0, s, tally.Entry{Newest: c.Now()})
	}
	j.names.known(0)
	return j, &log
}

// of are the remarks of a kind.
func (j *Judge) of(kind schemas.RemarkKind) []schemas.Remark {
	var all []schemas.Remark
	for _, r := range j.Remarks() {
		if r.Kind == kind {
			all = append(all, r)
		}
	}
	return all
}

func (j *Judge) counted(kind schemas.RemarkKind) float64 {
	return testutil.ToFloat64(j.metrics.remarks.WithLabelValues(string(kind)))
}

func TestFileThatMatchesNoStreamForADayIsToldWithWhatWasMeant(t *testing.T) {
	c := &clock{now: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}
	j, log := looking(c, "shop-db/public.orders", "shop-kafka/Payments.Captured", "shop-db/public.users", "shop-kafka/billing.paid", "other-db/public.stock")
	set := setOf(t, map[string]string{
		"shop-db/public.order.json":          "{}", // orders
		"shop-kafka/payments.captured.json":  "{}", // in other case
		"shop-db/public.users.json":          "{}", // right
		"shop-kafka/billing.*.json":          "{}", // right, a glob
		"shop-kafka/audit.*.json":            "{}", // nothing is near
		"shop-db/public.stock.json":          "{}", // of another source
		"shop-kafka/audit.?.json":            "{}", // hidden, which is told otherwise
		"_common/money.json":                 "{}", // for $ref
		"shop-kafka/*.x*.json":               "{}",
		"shop-kafka/payments.captured2.json": "{}",
	})
	if !j.names.look(set) {
		t.Error("since when is not to be saved")
	}
	c.turn(24*time.Hour - time.Second)
	j.names.look(set)
	if got := j.of(schemas.Unmatched); len(got) != 0 || j.counted(schemas.Unmatched) != 0 {
		t.Errorf("before the day is over: %+v", got)
	}
	c.turn(time.Second)
	j.names.look(set)
	j.names.look(set)
	want := map[string]string{
		"shop-db/public.order.json": "shop-db/public.orders", "shop-kafka/payments.captured.json": "shop-kafka/Payments.Captured", "shop-kafka/audit.*.json": "",
		"shop-db/public.stock.json": "other-db/public.stock", "shop-kafka/*.x*.json": "", "shop-kafka/payments.captured2.json": "",
	}
	got := j.of(schemas.Unmatched)
	for _, r := range got {
		if meant, expected := want[r.File]; !expected || meant != r.Stream {
			t.Errorf("%s: probably %q, want %q", r.File, r.Stream, meant)
		}
	}
	if len(got) != len(want) || j.counted(schemas.Unmatched) != float64(len(want)) {
		t.Errorf("%d are told, %v in the metric, want %d", len(got), j.counted(schemas.Unmatched), len(want))
	}
	const line = `msg="matches no stream seen for a day" file=shop-db/public.order.json hint="did you mean shop-db/public.orders.json?"`
	if n := strings.Count(log.String(), line); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log)
	}

	// Its stream comes after all.
	j.names.takeStream(2, "shop-db/public.order", tally.Entry{})
	j.names.look(set)
	if got := j.of(schemas.Unmatched); len(got) != len(want)-1 {
		t.Errorf("after it has come: %+v", got)
	}
}

func TestDayWithoutAStreamDoesNotBeginAnewWithARestart(t *testing.T) {
	c := &clock{now: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}
	set := setOf(t, map[string]string{"shop-db/public.order.json": "{}"})
	first, _ := looking(c, "shop-db/public.orders")
	first.names.look(set)
	saved, err := first.names.save(first)
	if err != nil || len(saved) != 1 {
		t.Fatal(saved, err)
	}
	if again, err := first.names.save(first); err != nil || len(again) != 0 {
		t.Errorf("saved twice: %v %v", again, err)
	}
	c.turn(25 * time.Hour)
	second, _ := looking(c, "shop-db/public.orders")
	if err := second.takeState(string(saved[0].Key), saved[0].Value); err != nil {
		t.Fatal(err)
	}
	second.names.look(set)
	if len(second.of(schemas.Unmatched)) != 1 {
		t.Error("the day began anew")
	}
}

func TestNothingIsSaidOfNamesBeforeTheStreamsAreKnown(t *testing.T) {
	c := &clock{now: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}
	j := New(Options{Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler), Now: c.Now})
	set := setOf(t, map[string]string{"shop-db/public.order.json": "{}"})
	if j.names.look(set) || len(j.Remarks()) != 0 {
		t.Error("something is said")
	}
}

// TestRuleThatCannotRunIsToldWhenItsFileIsLoaded: what is known of the stream tells, before its next event.
func TestRuleThatCannotRunIsToldWhenItsFileIsLoaded(t *testing.T) {
	c := &clock{now: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}
	j, log := looking(c)
	j.names.takeStream(0, "shop-kafka/payments", tally.Entry{Blind: 7})
	j.names.takeStream(1, "shop-db/public.orders", tally.Entry{})
	const rules = `{"x-rules": [{"id": "grows", "rule": "self.n >= old.n", "message": "m"}, {"id": "positive", "rule": "self.n > 0", "message": "m"}]}`
	set := setOf(t, map[string]string{"shop-kafka/payments.json": rules, "shop-db/public.orders.json": rules})
	j.names.look(set)
	want := schemas.Remark{Kind: schemas.Unrunnable, File: "shop-kafka/payments.json", Rule: "grows", Stream: "shop-kafka/payments"}
	if got := j.of(schemas.Unrunnable); len(got) != 1 || got[0] != want {
		t.Errorf("told: %+v", got)
	}
	if testutil.ToFloat64(j.metrics.unrunnable) != 1 || j.counted(schemas.Unrunnable) != 1 {
		t.Error("no metric says so")
	}
	if !strings.Contains(log.String(), `grows\" can't run on shop-kafka/payments: it names old`) || !strings.Contains(log.String(), "replica identity full") {
		t.Errorf("log:\n%s", log)
	}
	// The source gives before images from now on.
	j.names.takeStream(0, "shop-kafka/payments", tally.Entry{})
	j.names.look(set)
	if len(j.Remarks()) != 0 || testutil.ToFloat64(j.metrics.unrunnable) != 0 {
		t.Error("it is told for ever")
	}
}

// TestLookIsTakenWhenSomethingChanges: neither a new stream nor a new set has to wait for the minute.
func TestLookIsTakenWhenSomethingChanges(t *testing.T) {
	c := &clock{now: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}
	j, _ := looking(c, "shop-db/public.orders")
	saved := make(chan struct{}, 10)
	sets := make(chan *schemas.Set, 1)
	sets <- setOf(t, map[string]string{"shop-db/public.order.json": "{}"})
	var set *schemas.Set
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- j.names.run(ctx, func() *schemas.Set {
			select {
			case set = <-sets:
			default:
			}
			return set
		}, func() { saved <- struct{}{} })
	}()
	<-saved
	sets <- setOf(t, map[string]string{"shop-db/public.order.json": "{}", "shop-db/public.user.json": "{}"})
	j.Wake()
	for len(sets) > 0 {
		<-saved
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
