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

func (t *tallies) add(stream event.Stream, result verdict.Result) {
	one := control.Tally{Unchecked: 1}
	switch result {
	case verdict.Valid:
		one = control.Tally{Valid: 1}
	case verdict.Invalid:
		one = control.Tally{Invalid: 1}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[string(stream)] = t.counts[string(stream)].Add(one)
}

func (t *tallies) take() map[string]control.Tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := t.counts
	t.counts = map[string]control.Tally{}
	return counts
}
