package sourcetest

import (
	"errors"
	"testing"
	"time"

	"datawatch/collector/internal/source"
)

func everythingInOrder(t *testing.T, h Harness) {
	c, w := newCommitted(t), newWriter()
	r := start(t, h, c)
	awaitStreaming(t, c, r)
	for _, n := range []int{1, 2, 40, 1, 200, 56} {
		w.write(t, h, n)
	}
	awaitAll(t, h, c, w)
	r.end(t)
}

// failedEmits fails the first two of every three emits, one before and one after its commit, so that no batch goes
// through undisturbed.
func failedEmits(t *testing.T, h Harness) {
	c, w := newCommitted(t), newWriter()
	c.fault = func(n int) fault { return fault(n % 3) }
	r := start(t, h, c)
	const rounds, each = 25, 8
	written := make(chan struct{})
	go func() {
		defer close(written)
		select {
		case <-c.reached(source.Streaming):
		case <-t.Context().Done():
			return
		}
		for range rounds {
			w.write(t, h, each)
			pauseABit()
		}
	}()
	deadline := time.After(2 * patience)
	for done := false; !done; {
		select {
		case err := <-r.ended:
			if !errors.Is(err, errInjected) {
				t.Fatalf("Run returned %v, not the failure of emit", err)
			}
			r = start(t, h, c)
		case <-written:
			if len(c.copyEvents()) >= rounds*each {
				done = true
			} else {
				pauseABit()
			}
		case <-deadline:
			t.Fatalf("%d of %d changes are captured after %v", len(c.copyEvents()), w.total(), 2*patience)
		}
	}
	c.setFault(nil)
	r.stop()
	_ = r.wait(t, stopTimeout) // a stop, or a last injected failure
	r = start(t, h, c)
	w.write(t, h, 1)
	awaitAll(t, h, c, w)
	r.end(t)
}

func resume(t *testing.T, h Harness) {
	c, w := newCommitted(t), newWriter()
	r := start(t, h, c)
	awaitStreaming(t, c, r)
	for range 3 {
		w.write(t, h, 50)
		r.end(t) // wherever it is
		w.write(t, h, 30)
		r = start(t, h, c)
	}
	awaitAll(t, h, c, w)
	r.end(t)

	before := len(c.copyEvents())
	r = start(t, h, c)
	w.write(t, h, 1)
	awaitAll(t, h, c, w)
	r.end(t)
	if got := len(c.copyEvents()) - before; got != 1 {
		t.Fatalf("a run from the end of progress gave %d events, not the one that was new", got)
	}
}

func stop(t *testing.T, h Harness) {
	c := newCommitted(t)
	start(t, h, c).end(t) // while it connects
	r := start(t, h, c)
	awaitStreaming(t, c, r)
	r.end(t) // while it is idle
}

func stopBlocked(t *testing.T, h Harness) {
	c, w := newCommitted(t), newWriter()
	r := start(t, h, c)
	awaitStreaming(t, c, r)
	arrived, release := c.block()
	w.write(t, h, 10)
	await(t, arrived, "no emit")
	r.end(t)
	release()
	r = start(t, h, c)
	awaitAll(t, h, c, w)
	r.end(t)
}

func backPressure(t *testing.T, h Harness) {
	c, w := newCommitted(t), newWriter()
	r := start(t, h, c)
	awaitStreaming(t, c, r)
	arrived, release := c.block()
	w.write(t, h, 1)
	await(t, arrived, "no emit")
	emits := c.countEmits()
	for range 20 {
		w.write(t, h, 100)
	}
	if got := c.countEmits(); got != emits { // a second one at a time is broken anyway
		t.Fatalf("%d emits began while one was blocked", got-emits)
	}
	release()
	awaitAll(t, h, c, w)
	r.end(t)
}

func lostSystem(t *testing.T, h Harness) {
	c, w := newCommitted(t), newWriter()
	r := start(t, h, c)
	awaitStreaming(t, c, r)
	w.write(t, h, 20)
	mend := h.Cut(t)
	if err := r.wait(t, patience); errors.Is(err, errInjected) {
		t.Fatalf("Run returned %v", err)
	}
	mend()
	r = start(t, h, c)
	w.write(t, h, 20)
	awaitAll(t, h, c, w)
	r.end(t)
}

func await(t testing.TB, arrived <-chan struct{}, otherwise string) {
	t.Helper()
	select {
	case <-arrived:
	case <-time.After(patience):
		t.Fatalf("%s within %v", otherwise, patience)
	}
}

// pauseABit spreads writes and looks over time, so that they fall into different batches.
func pauseABit() { time.Sleep(10 * time.Millisecond) }
