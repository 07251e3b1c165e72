package record

import (
	"context"
	"fmt"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
)

// Wanted says what of raw is wanted.
type Wanted struct {
	// All of it was captured from First on, and was in raw by Until.
	First, Until time.Time
	// Source tells whether a source is wanted at all. Nil is all of them.
	Source func(name string) bool
	// Stream tells whether a stream is. Nil is all of them.
	Stream func(event.Stream) bool
	// Only tells whether an event is. Nil is all of them.
	Only func(*event.Clean) bool
	// Around, where it isn't nil, leaves transactions with a change that it tells true of.
	Around func(context.Context, *event.Clean) bool
}

// before is how much earlier than it was captured a record may seem to be written: its time is in whole milliseconds.
const before = 10 * time.Millisecond

// Captured makes a recording of what was captured, from raw: so it needn't have come to clean yet, and nobody judged it. It
// leaves out what can't be read, as the feed does: the preprocessor tells why.
func Captured(ctx context.Context, s *broker.Scanner, topics broker.Topics, w Wanted, read Reader, o Options) (*Recording, error) {
	c := newCollector(o)
	each := func(take func(*event.Clean)) error {
		return Events(ctx, s, topics, w, read, func(_ *event.Raw, e *event.Clean) { take(e) })
	}
	var chosen map[string]bool // by name of the transaction
	if w.Around != nil {
		chosen = map[string]bool{}
		err := each(func(e *event.Clean) {
			if w.Around(ctx, e) {
				chosen[transactionOf(e)] = true
			}
		})
		if err != nil {
			return nil, err
		}
	}
	err := each(func(e *event.Clean) {
		if chosen == nil || chosen[transactionOf(e)] {
			c.add(e)
		}
	})
	if err != nil {
		return nil, err
	}
	c.sort()
	return &c.recording, nil
}

// Events hands over what was captured, as it was and as it comes to clean, partition after partition. What can't be read is
// left out.
func Events(ctx context.Context, s *broker.Scanner, topics broker.Topics, w Wanted, read Reader, take func(*event.Raw, *event.Clean)) error {
	return w.eachRaw(ctx, s, topics.Raw, func(r *event.Raw) {
		cleans, err := read.Events(ctx, r)
		if err != nil {
			return
		}
		for _, e := range cleans {
			if w.Only == nil || w.Only(e) {
				take(r, e)
			}
		}
	})
}

// Reader makes clean events of a raw one; *normalize.Normalizer is one.
type Reader interface {
	Events(ctx context.Context, r *event.Raw) ([]*event.Clean, error)
}

// transactionOf tells transactions apart; a change without one is alone.
func transactionOf(e *event.Clean) string {
	if e.Change == nil || e.Change.Origin.Transaction == "" {
		return e.ID
	}
	return e.Stream.Source() + "\n" + e.Change.Origin.Transaction
}

func (w Wanted) wants(stream event.Stream) bool {
	return (w.Source == nil || w.Source(stream.Source())) && (w.Stream == nil || w.Stream(stream))
}

func (w Wanted) eachRaw(ctx context.Context, s *broker.Scanner, topic string, each func(*event.Raw)) error {
	partitions, err := s.Partitions(topic)
	if err != nil {
		return err
	}
	for _, p := range partitions {
		from, err := s.Since(topic, p, w.First.Add(-before))
		if err != nil {
			return fmt.Errorf("%s/%d: %w", topic, p, err)
		}
		to, err := s.Since(topic, p, w.Until.Add(before))
		if err != nil {
			return fmt.Errorf("%s/%d: %w", topic, p, err)
		}
		err = s.Scan(ctx, topic, p, from, to, func(r broker.Record) error {
			raw, err := event.ParseRaw(r.Key, r.Value, r.Headers)
			if err == nil && raw.Type == event.RawType && w.wants(raw.Stream) {
				each(raw)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
