package feed

import (
	"sync"

	"datawatch/pkg/control"
	"datawatch/pkg/event"
)

// intake holds what was offered and not read yet. Once something didn't fit, nothing more is taken until all of it was read:
// so what was lost lies behind everything that was taken.
type intake struct {
	maxEvents, maxBytes int
	some                chan struct{} // of capacity one

	mu     sync.Mutex
	events []event.Raw
	bytes  int
	lost   map[string]*loss // by source
	// changed is what was offered and no sign of life has told yet, whether it fitted or not.
	changed map[event.Stream]control.Changes
}

// loss is what of a source didn't fit.
type loss struct {
	changes, transactions int
	last                  string // the transaction of the last change
	caught                stretch
}

func newIntake(maxEvents, maxBytes int) *intake {
	return &intake{maxEvents: maxEvents, maxBytes: maxBytes, some: make(chan struct{}, 1), changed: map[event.Stream]control.Changes{}}
}

func (q *intake) offer(events []event.Raw) {
	q.mu.Lock()
	for i := range events {
		q.add(&events[i])
	}
	some := len(q.events) > 0 || len(q.lost) > 0
	q.mu.Unlock()
	if some {
		select {
		case q.some <- struct{}{}:
		default:
		}
	}
}

func (q *intake) add(r *event.Raw) {
	g := glance(r)
	if r.Type != event.RawType || g.op == event.Read {
		return
	}
	q.note(r)
	size := len(r.Value) + len(r.Key) + len(r.RecordKey)
	if len(q.lost) == 0 && len(q.events) < q.maxEvents && q.bytes+size <= q.maxBytes {
		q.events = append(q.events, *r)
		q.bytes += size
		return
	}
	if q.lost == nil {
		q.lost = map[string]*loss{}
	}
	source := r.Stream.Source()
	l, ok := q.lost[source]
	if !ok {
		l = &loss{}
		q.lost[source] = l
	}
	l.changes++
	l.caught.add(r.CapturedAt, r.CapturedAt)
	if g.transaction == "" || g.transaction != l.last {
		l.transactions++
		l.last = g.transaction
	}
}

// take empties the intake.
func (q *intake) take() ([]event.Raw, map[string]*loss) {
	q.mu.Lock()
	defer q.mu.Unlock()
	events, lost := q.events, q.lost
	q.events, q.lost, q.bytes = nil, nil, 0
	return events, lost
}
