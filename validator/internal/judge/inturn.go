package judge

import (
	"context"
	"sync"
)

// inTurn are the batches that were judged and aren't committed yet, the oldest first: one is committed while the next is
// judged.
type inTurn struct {
	mu      sync.Mutex
	waiting []*batch
	fewer   chan struct{} // of capacity one
}

func newInTurn() *inTurn { return &inTurn{fewer: make(chan struct{}, 1)} }

// forget is for a new session: what wasn't committed comes again.
func (t *inTurn) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = nil
}

func (t *inTurn) push(b *batch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = append(t.waiting, b)
}

// pop gives the batch that was committed.
func (t *inTurn) pop() *batch {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.waiting[0]
	t.waiting = t.waiting[1:]
	select {
	case t.fewer <- struct{}{}:
	default:
	}
	return b
}

// settle waits until all are committed: only then the topics hold what they have written. It ends with ctx, which ends with
// the session.
func (t *inTurn) settle(ctx context.Context) error {
	for {
		t.mu.Lock()
		n := len(t.waiting)
		t.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.fewer:
		}
	}
}
