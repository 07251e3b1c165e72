package sourcetest

import (
	"fmt"
	"maps"
	"sync"
	"testing"

	"datawatch/pkg/event"
)

const keys = 7

// writer makes changes over a few keys, and knows what it made.
type writer struct {
	mu      sync.Mutex
	numbers map[string]int
	count   int
}

func newWriter() *writer { return &writer{numbers: map[string]int{}} }

// write makes n changes.
func (w *writer) write(t testing.TB, h Harness, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	changes := make([]Change, n)
	for i := range changes {
		key := fmt.Sprintf("key-%d", w.count%keys)
		w.numbers[key]++
		w.count++
		changes[i] = Change{key, w.numbers[key]}
	}
	h.Write(t, changes)
}

func (w *writer) total() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

// last is the last change of each key.
func (w *writer) last() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.numbers)
}

// check compares events with what was written: every change once, those of one key in order.
func (w *writer) check(t testing.TB, h Harness, events []event.Raw) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := map[string]bool{}
	got := map[string]int{}
	for _, e := range events {
		if e.ID == "" || e.Stream == "" || e.Kind == "" || e.Time.IsZero() || e.CapturedAt.IsZero() || len(e.RecordKey) == 0 {
			t.Fatalf("an event lacks what every event has: %+v", e)
		}
		if ids[e.ID] {
			t.Fatalf("event %s came twice", e.ID)
		}
		ids[e.ID] = true
		change := h.Read(t, e)
		if change.Number != got[change.Key]+1 {
			t.Fatalf("%s: change %d came behind change %d (event %s)", change.Key, change.Number, got[change.Key], e.ID)
		}
		got[change.Key] = change.Number
	}
	for key, n := range w.numbers {
		if got[key] != n {
			t.Fatalf("%s: %d changes were written, %d captured", key, n, got[key])
		}
	}
}
