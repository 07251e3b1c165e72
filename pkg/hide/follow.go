package hide

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
)

const (
	// patience is how long the first record is waited for, where no validator has ever written one.
	patience = 10 * time.Second
	// pause lies between two looks, longPause behind a failure.
	pause     = time.Second
	longPause = 3 * time.Second
)

// Follower knows what is hidden now, as the validator last said. Before it knows, everything is.
type Follower struct {
	broker   config.Broker
	client   string
	patience time.Duration
	log      *slog.Logger

	current atomic.Pointer[Set]
	known   chan struct{}
	once    sync.Once
}

// NewFollower makes a Follower, which knows nothing before Run.
func NewFollower(c config.Broker, clientID string, log *slog.Logger) *Follower {
	f := &Follower{broker: c, client: clientID, patience: patience, log: log, known: make(chan struct{})}
	f.current.Store(Everything())
	return f
}

// Known is closed once it is known what is hidden: the record was read, or there is none and nobody has written one for
// some seconds.
func (f *Follower) Known() <-chan struct{} { return f.known }

// For are the places that are hidden in a stream now.
func (f *Follower) For(stream event.Stream) *Places { return f.current.Load().For(stream) }

// Run follows the record until ctx is done, and returns its error. While the broker is away, what was read last holds.
func (f *Follower) Run(ctx context.Context) error {
	began := time.Now()
	for {
		err := f.session(ctx, began)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.log.Warn("what is hidden can't be read; what was known holds", "record", Key, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(longPause):
		}
	}
}

// session reads what is new again and again, until something fails.
func (f *Follower) session(ctx context.Context, began time.Time) error {
	scanner, err := broker.NewScanner(f.broker, f.client)
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }() // it only read
	topic := broker.TopicsOf(f.broker.TopicPrefix).State
	next, err := scanner.Oldest(topic, 0)
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	first := true
	for {
		end, err := f.end(ctx, scanner, topic, first)
		if err != nil {
			return fmt.Errorf("read state: %w", err)
		}
		if end < next {
			return errors.New("the state topic was made anew")
		}
		var newest []byte
		err = scanner.Scan(ctx, topic, 0, next, end, func(r broker.Record) error {
			if string(r.Key) == Key {
				newest = r.Value
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := f.take(newest, began); err != nil {
			return err
		}
		next, first = end, false
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// end is where to read to: at first behind every transaction that is open, later as far as they have ended.
func (f *Follower) end(ctx context.Context, scanner *broker.Scanner, topic string, first bool) (int64, error) {
	if first {
		return scanner.Settled(ctx, topic, 0)
	}
	return scanner.End(topic, 0)
}

func (f *Follower) take(value []byte, began time.Time) error {
	if value == nil {
		if time.Since(began) >= f.patience {
			f.once.Do(func() { // no validator has ever run here
				f.current.Store(&Set{})
				close(f.known)
			})
		}
		return nil
	}
	files, err := Decode(value)
	if err != nil {
		return err
	}
	set, err := NewSet(files)
	if err != nil {
		return err
	}
	f.current.Store(set)
	f.once.Do(func() { close(f.known) })
	return nil
}
