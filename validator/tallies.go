package validator

import (
	"sync"

	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/validator/internal/verdict"
)

// tallies count verdicts by stream between two signs of life, which carry them to the keeper of alerts.
type tallies struct {
	mu     sync.Mutex
	counts map[string]control.Tally
}

func newTallies() *tallies { return &tallies{counts: map[string]control.Tally{}} }

func (t *tallies) add(stream event.Stream, result verdict.Result, n int) {
	more := control.Tally{Unchecked: int64(n)}
	switch result {
	case verdict.Valid:
		more = control.Tally{Valid: int64(n)}
	case verdict.Invalid:
		more = control.Tally{Invalid: int64(n)}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[string(stream)] = t.counts[string(stream)].Add(more)
}

func (t *tallies) take() map[string]control.Tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := t.counts
	t.counts = map[string]control.Tally{}
	return counts
}
