package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/collector/internal/source"
	"datawatch/pkg/daemon"
	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
)

// watcher notes what it is told of sources.
type watcher struct {
	mu   sync.Mutex
	told []string
}

func (w *watcher) note(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, text)
}

func (w *watcher) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told)
}

func (w *watcher) State(source string, state source.State, _, _ reason.Text) {
	w.note(source + " " + string(state))
}
func (w *watcher) Gone(source string) { w.note(source + " gone") }

func (w *watcher) Removed(source string, split bool) {
	w.note(fmt.Sprintf("%s removed, split: %v", source, split))
}

// stubborn is a source that says something yet when it is stopped.
type stubborn struct{ reporter source.Reporter }

func (s stubborn) Run(ctx context.Context, _ source.Progress, _ source.Emit) error {
	s.reporter.State(source.Streaming, reason.Text{})
	<-ctx.Done()
	s.reporter.State(source.Stalled, reason.Quote("stopping"))
	return ctx.Err()
}

// TestNothingIsLeftOfASourceThatTheConfigurationHasNoMore: neither in /readyz, nor in the metrics, nor with those who watch it.
func TestNothingIsLeftOfASourceThatTheConfigurationHasNoMore(t *testing.T) {
	c, w := brokerConfig(t, testrig.Embedded(t)), &watcher{}
	units := func(shards int) []Unit {
		var all []Unit
		for shard := range shards {
			all = append(all, Unit{Name: "one", Shard: shard, Shards: shards, New: func(r source.Reporter) source.Source { return stubborn{r} }})
		}
		return all
	}
	s := New(Options{
		Broker: c, Units: units(1), Watch: w, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Health: daemon.NewHealth(),
	})
	s.times = shortTimes
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
	runs := func(shards int) {
		t.Helper()
		testrig.Eventually(t, time.Minute, func() error {
			s.mu.Lock()
			defer s.mu.Unlock()
			streaming := 0
			for _, told := range w.all() {
				if strings.HasSuffix(told, " streaming") {
					streaming++
				}
			}
			if len(s.running) != shards || streaming < shards {
				return fmt.Errorf("%d run; told %q", len(s.running), w.all())
			}
			return nil
		})
	}
	runs(1)
	s.Change(units(2))
	runs(2)
	if !slices.Contains(w.all(), "one removed, split: true") {
		t.Errorf("told %q", w.all())
	}
	s.Change(nil)
	runs(0)
	for _, label := range []string{"one", "one/0", "one/1"} {
		last := ""
		for _, told := range w.all() {
			if strings.HasPrefix(told, label+" ") {
				last = told
			}
		}
		if want := fmt.Sprintf("%s removed, split: %v", label, label == "one"); last != want {
			t.Errorf("told last is %q, not %q", last, want)
		}
	}
	if parts := s.Health.Parts(); slices.ContainsFunc(parts, func(p daemon.Part) bool { return strings.HasPrefix(p.Name, "source ") }) {
		t.Errorf("/readyz has %+v", parts)
	}
	families, err := s.Metrics.(*prometheus.Registry).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if name := f.GetName(); strings.Contains(name, "source_state") || strings.Contains(name, "lag") {
			t.Errorf("metrics have %s", f)
		}
	}
}

// TestNobodyIsSaidToRunWhatIsLostWithTheBroker: a collector that was cut off from the group doesn't know who runs its sources.
func TestNobodyIsSaidToRunWhatIsLostWithTheBroker(t *testing.T) {
	w := &watcher{}
	s := New(Options{
		Units: []Unit{unit(newSystem(), "one", nil)}, Watch: w, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Health: daemon.NewHealth(),
	})
	s.ctx = t.Context()
	s.lose(errors.New("the broker is away"))
	if told := w.all(); len(told) > 0 {
		t.Errorf("told %q", told)
	}
	s.assign(nil)
	if told := w.all(); !slices.Equal(told, []string{"one gone"}) {
		t.Errorf("told %q", told)
	}
}

// TestASourceThatComesIsNotReadyUntilTheGroupHasPlacedIt: until then nobody runs it, here or elsewhere.
func TestASourceThatComesIsNotReadyUntilTheGroupHasPlacedIt(t *testing.T) {
	s := New(Options{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Health: daemon.NewHealth()})
	s.ctx = t.Context()
	status := func(want daemon.Status) {
		t.Helper()
		if got := s.Health.Parts(); len(got) != 1 || got[0].Name != "source one" || got[0].Status != want {
			t.Errorf("%+v, not %s", got, want)
		}
	}
	one := []Unit{{Name: "one"}}
	s.assign(nil)
	s.Change(one)
	status(daemon.NotReady)
	s.assign(nil) // as the group was put in order before
	status(daemon.NotReady)
	s.describe()
	s.assign(nil) // another collector runs it
	status(daemon.Ready)
	s.Change(nil)
	s.Change(one)
	status(daemon.NotReady)
}
