package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

var errDown = errors.New("the system is down")

// system is a system in memory: it counts, and a source of it gives every number once, as far as its progress says.
type system struct {
	mu      sync.Mutex
	count   int
	grown   chan struct{}
	batches func(n int) error // may fail a run before it emits its n-th batch
	after   func(n int) error // and after, before the source hears that it was committed
}

func newSystem() *system { return &system{grown: make(chan struct{})} }

func (s *system) write(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count += n
	close(s.grown)
	s.grown = make(chan struct{})
}

func (s *system) state() (count int, grown <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count, s.grown
}

// numbers is a source of a system.
type numbers struct {
	system   *system
	name     string
	reporter source.Reporter
}

type numbersProgress struct{ Version, Next int }

const perBatch = 10

func (n numbers) Run(ctx context.Context, progress source.Progress, emit source.Emit) error {
	var at numbersProgress
	if value, ok := progress[""]; ok {
		if err := json.Unmarshal(value, &at); err != nil {
			return err
		}
	}
	n.reporter.State(source.Streaming, reason.Text{})
	for batches := 1; ; {
		count, grown := n.system.state()
		if at.Next == count {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-grown:
				continue
			}
		}
		batch := source.Batch{Progress: source.Progress{}}
		for ; at.Next < count && len(batch.Events) < perBatch; at.Next++ {
			batch.Events = append(batch.Events, n.event(at.Next))
		}
		value, err := json.Marshal(numbersProgress{1, at.Next})
		if err != nil {
			return err
		}
		batch.Progress[""] = value
		if n.system.batches != nil {
			if err := n.system.batches(batches); err != nil {
				return err
			}
		}
		if err := emit(ctx, batch); err != nil {
			return fmt.Errorf("emit: %w", err)
		}
		if n.system.after != nil {
			if err := n.system.after(batches); err != nil {
				return err
			}
		}
		batches++
	}
}

func (n numbers) event(number int) event.Raw {
	stream := event.StreamOf(n.name, "numbers")
	key := []byte(strconv.Itoa(number % 3))
	return event.Raw{
		Type: event.RawType, Kind: event.Postgres, Stream: stream, Time: time.Unix(int64(number), 0), CapturedAt: time.Now(),
		ID: event.ID(n.name, fmt.Sprintf("20261122T101500Z.%012d", number)), RecordKey: event.RecordKey(stream, key), Key: key,
		Value: []byte(strconv.Itoa(number)),
	}
}

// shown is a feed that keeps what it is offered.
type shown struct {
	mu     sync.Mutex
	events []event.Raw
}

func (s *shown) Offer(events []event.Raw) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, events...)
}

func (s *shown) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events)
}

func unit(s *system, name string, feed Feed) Unit {
	return Unit{Name: name, Feed: feed, New: func(reporter source.Reporter) source.Source { return numbers{s, name, reporter} }}
}
