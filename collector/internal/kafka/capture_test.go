package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
)

// capture keeps what a source emits, over several runs.
type capture struct {
	mu       sync.Mutex
	events   []event.Raw
	progress source.Progress
	gaps     []string
	reasons  []string
	refuse   func(source.Batch) error
}

func newCapture() *capture { return &capture{progress: source.Progress{}} }

func (c *capture) emit(_ context.Context, batch source.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != nil {
		if err := c.refuse(batch); err != nil {
			return err
		}
	}
	c.events = append(c.events, batch.Events...)
	maps.Copy(c.progress, batch.Progress)
	return nil
}

func (c *capture) State(state source.State, why reason.Text) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reasons = append(c.reasons, string(state)+" "+why.String())
}

func (c *capture) Lag(float64) {}

func (c *capture) Backlog(int64) {}

func (c *capture) Gap(cause string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gaps = append(c.gaps, cause)
}

func (c *capture) values() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var values []string
	for _, e := range c.events {
		if e.Type == event.RawType {
			values = append(values, string(e.Value))
		}
	}
	return values
}

func (c *capture) all() []event.Raw {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

func (c *capture) at(t testing.TB, entry string) position {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var at position
	if value, ok := c.progress[entry]; ok {
		if err := json.Unmarshal(value, &at); err != nil {
			t.Fatal(err)
		}
	}
	return at
}

// awaitBegun waits until the run has committed where it begins.
func (c *capture) awaitBegun(t testing.TB) {
	t.Helper()
	testrig.Eventually(t, 30*time.Second, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.progress) == 0 {
			return errors.New("no progress")
		}
		return nil
	})
}

func (c *capture) awaitValues(t testing.TB, want ...string) {
	t.Helper()
	testrig.Eventually(t, 30*time.Second, func() error {
		got := c.values()
		if len(got) > len(want) {
			t.Fatalf("captured %q, not %q", got, want)
		}
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			return fmt.Errorf("captured %q, not %q", got, want)
		}
		return nil
	})
}

// awaitGap waits for a gap event and gives it; kind is what the reporter is to have been told.
func (c *capture) awaitGap(t testing.TB, kind string) (event.Raw, event.Gap) {
	t.Helper()
	var found event.Raw
	testrig.Eventually(t, 30*time.Second, func() error {
		for _, e := range c.all() {
			if e.Type == event.GapType {
				found = e
				return nil
			}
		}
		return errors.New("no gap event")
	})
	var gap event.Gap
	if err := json.Unmarshal(found.Value, &gap); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.gaps, []string{kind}) {
		t.Errorf("the reporter was told of gaps %q, not of one %q", c.gaps, kind)
	}
	if string(found.RecordKey) != string(found.Stream) || gap.Cause == "" || gap.Remedy == "" || gap.From.IsZero() || gap.To.Before(gap.From) {
		t.Errorf("gap %+v in %+v", gap, found)
	}
	return found, gap
}

// committed is the progress so far.
func (c *capture) committed() source.Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.progress)
}

// run runs a source until the returned function is called, which gives what Run returned.
func (c *capture) run(t testing.TB, cfg Config) (stop func() error) {
	t.Helper()
	s := New(Options{Name: "k", Config: cfg, Internal: internal(), Reporter: c})
	s.refresh, s.groupEvery = 100*time.Millisecond, 50*time.Millisecond
	return c.runSource(t, s)
}

func (c *capture) runSource(t testing.TB, s *Source) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	progress := c.committed()
	go func() {
		err := s.Run(ctx, progress, c.emit)
		if ctx.Err() == nil {
			t.Logf("the source ended by itself: %v", err)
		}
		ended <- err
	}()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() {
			select {
			case err = <-ended:
				cancel()
				return
			case <-time.After(10 * time.Millisecond):
			}
			cancel()
			err = <-ended
		})
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

// waitEnd gives what a run ends with by itself.
func waitEnd(t testing.TB, s *Source, c *capture) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	err := s.Run(ctx, c.committed(), c.emit)
	if ctx.Err() != nil {
		t.Fatal("Run didn't end by itself")
	}
	return err
}
