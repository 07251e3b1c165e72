package sourcetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
)

// committed plays the broker: what was committed, and how the next emit goes.
type committed struct {
	mu       sync.Mutex
	events   []event.Raw
	progress source.Progress
	emits    int
	inside   int                            // emits under way
	fault    func(n int) fault              // how the n-th emit goes; nil: well
	blocked  chan struct{}                  // while set, emits wait until it is closed
	arrived  chan struct{}                  // closed when an emit waits at blocked
	broken   func(error)                    // told of what no source may do
	onState  map[source.State]chan struct{} // closed when a source has reported it
	gaps     int                            // that were reported
	mayLose  bool                           // a gap is no mistake
}

// fault is what an emit does instead of committing and returning nil.
type fault int

const (
	well       fault = iota
	failBefore       // nothing is committed, and an error comes back
	failAfter        // everything is committed, and an error comes back
)

var errInjected = errors.New("injected failure of emit")

func newCommitted(t testing.TB) *committed {
	c := &committed{progress: source.Progress{}, onState: map[source.State]chan struct{}{}}
	c.broken = func(err error) { t.Error(err) }
	return c
}

// Emit implements source.Emit.
func (c *committed) Emit(ctx context.Context, batch source.Batch) error {
	c.mu.Lock()
	if c.inside++; c.inside > 1 {
		c.broken(errors.New("two emits at a time"))
	}
	c.emits++
	n, blocked := c.emits, c.blocked
	if blocked != nil && c.arrived != nil {
		close(c.arrived)
		c.arrived = nil
	}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.inside--
		c.mu.Unlock()
	}()
	if blocked != nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-blocked:
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	how := well
	if c.fault != nil {
		how = c.fault(n)
	}
	if how == failBefore {
		return errInjected
	}
	for entry, value := range batch.Progress {
		if value == nil {
			delete(c.progress, entry)
			continue
		}
		var version struct{ Version int }
		if err := json.Unmarshal(value, &version); err != nil || version.Version < 1 {
			c.broken(fmt.Errorf("progress entry %q has no version: %s", entry, value))
		}
		c.progress[entry] = append(json.RawMessage(nil), value...)
	}
	c.events = append(c.events, batch.Events...)
	if how == failAfter {
		return errInjected
	}
	return nil
}

func (c *committed) setFault(f func(n int) fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = f
}

func (c *committed) countEmits() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.emits
}

// copyProgress is what the supervisor reads from the broker.
func (c *committed) copyProgress() source.Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.progress)
}

func (c *committed) copyEvents() []event.Raw {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]event.Raw(nil), c.events...)
}

// block has emits wait; arrived is closed when the first does.
func (c *committed) block() (arrived <-chan struct{}, release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	blocked, waits := make(chan struct{}), make(chan struct{})
	c.blocked, c.arrived = blocked, waits
	return waits, func() {
		c.mu.Lock()
		c.blocked = nil
		c.mu.Unlock()
		close(blocked)
	}
}

// State implements source.Reporter.
func (c *committed) State(state source.State, _ reason.Text) {
	c.mu.Lock()
	defer c.mu.Unlock()
	reached := c.reachedLocked(state)
	select {
	case <-reached:
	default:
		close(reached)
	}
}

// Lag implements source.Reporter.
func (c *committed) Lag(seconds float64) {
	if seconds < 0 {
		c.broken(fmt.Errorf("a lag of %v seconds", seconds))
	}
}

// Backlog implements source.Reporter.
func (c *committed) Backlog(int64) {}

// Gap implements source.Reporter.
func (c *committed) Gap(cause string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gaps++; !c.mayLose {
		c.broken(fmt.Errorf("a gap: %s", cause))
	}
}

func (c *committed) countGaps() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gaps
}

func (c *committed) reached(state source.State) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reachedLocked(state)
}

func (c *committed) reachedLocked(state source.State) chan struct{} {
	if c.onState[state] == nil {
		c.onState[state] = make(chan struct{})
	}
	return c.onState[state]
}

// run is a source at work.
type run struct {
	stop  context.CancelFunc
	ended chan error
}

// start runs a new source from what is committed.
func start(t testing.TB, h Harness, c *committed) *run {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &run{stop: cancel, ended: make(chan error, 1)}
	s := h.Source(t, c)
	go func() { r.ended <- s.Run(ctx, c.copyProgress(), c.Emit) }()
	t.Cleanup(cancel)
	return r
}

const (
	stopTimeout = 10 * time.Second // a service has 15 for everything
	patience    = 2 * time.Minute
)

// wait gives what the run ended with.
func (r *run) wait(t testing.TB, timeout time.Duration) error {
	t.Helper()
	select {
	case err := <-r.ended:
		if err == nil {
			t.Fatal("Run returned nil: an end that looks like success")
		}
		return err
	case <-time.After(timeout):
		t.Fatalf("Run has not returned within %v", timeout)
		return nil
	}
}

// end stops the run and checks how it ends.
func (r *run) end(t testing.TB) {
	t.Helper()
	r.stop()
	if err := r.wait(t, stopTimeout); !errors.Is(err, context.Canceled) {
		t.Fatalf("a stopped Run returned %v, not its context's error", err)
	}
}

func awaitStreaming(t testing.TB, c *committed, r *run) {
	t.Helper()
	select {
	case <-c.reached(source.Streaming):
	case err := <-r.ended:
		t.Fatalf("Run ended before it was streaming: %v", err)
	case <-time.After(patience):
		t.Fatalf("not streaming within %v", patience)
	}
}

// awaitAll waits until everything that was written is committed, and checks that it is there once and in order.
func awaitAll(t testing.TB, h Harness, c *committed, w *writer) {
	t.Helper()
	testrig.WhileMoving(t, time.Minute, func() (got int, err error) {
		if got = len(c.copyEvents()); got < w.total() {
			err = fmt.Errorf("%d of %d changes are captured", got, w.total())
		}
		return got, err
	})
	w.check(t, h, c.copyEvents())
}
