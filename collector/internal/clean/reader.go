// Package clean reads datawatch.clean for people's commands: from a time on, or from now on, and on as it grows. It joins
// no group, leaves no trace, and says since when what it reads holds.
package clean

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
)

// Reader goes through the topic once.
type Reader struct {
	scanner *broker.Scanner
	topic   string
	parts   []part
	// HeldSince is the time from which on no partition lacks what was taken away; zero where there is no record.
	HeldSince time.Time
}

type part struct {
	number       int32
	oldest, next int64
	first        time.Time // the time of the oldest record; zero where there is none
}

// Open begins with the oldest event.
func Open(ctx context.Context, c config.Broker, clientID string) (*Reader, error) {
	scanner, err := broker.OpenScanner(ctx, c, clientID)
	if err != nil {
		return nil, err
	}
	r := &Reader{scanner: scanner, topic: broker.TopicsOf(c.TopicPrefix).Clean}
	if err := r.find(ctx); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close ends the connection.
func (r *Reader) Close() { _ = r.scanner.Close() } // it only read

var errEnough = errors.New("enough")

func (r *Reader) find(ctx context.Context) error {
	partitions, err := r.scanner.Partitions(r.topic)
	if errors.Is(err, broker.ErrUnknownTopic) {
		return fmt.Errorf("topic %s isn't there yet: nothing was captured (see broker.topic_prefix)", r.topic)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", r.topic, err)
	}
	for _, number := range partitions {
		p := part{number: number}
		if p.oldest, err = r.scanner.Oldest(r.topic, number); err != nil {
			return fmt.Errorf("read %s: %w", r.topic, err)
		}
		end, err := r.scanner.End(r.topic, number)
		if err != nil {
			return fmt.Errorf("read %s: %w", r.topic, err)
		}
		err = r.scanner.Scan(ctx, r.topic, number, p.oldest, end, func(record broker.Record) error {
			p.first = record.Timestamp
			return errEnough
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
		p.next = p.oldest
		r.parts = append(r.parts, p)
	}
	r.HeldSince = heldSince(r.parts)
	return nil
}

// heldSince is the time of the latest of the records before which others were taken away, else that of the first one at all.
func heldSince(parts []part) (since time.Time) {
	whole := true
	for _, p := range parts {
		switch {
		case p.first.IsZero():
		case p.oldest > 0:
			if whole || p.first.After(since) {
				since = p.first
			}
			whole = false
		case whole && (since.IsZero() || p.first.Before(since)):
			since = p.first
		}
	}
	return since
}

// Held says since when clean holds events.
func (r *Reader) Held() string {
	if r.HeldSince.IsZero() {
		return "clean holds no events"
	}
	return "clean holds events since " + r.HeldSince.UTC().Format(time.RFC3339)
}

// Whole tells whether nothing was ever taken away from clean.
func (r *Reader) Whole() bool {
	for _, p := range r.parts {
		if p.oldest > 0 {
			return false
		}
	}
	return true
}

// All tells whether clean holds everything since then. Nobody knows it of a partition that was emptied.
func (r *Reader) All(since time.Time) bool {
	emptied := slices.ContainsFunc(r.parts, func(p part) bool { return p.oldest > 0 && p.first.IsZero() })
	return r.Whole() || !emptied && !since.Before(r.HeldSince)
}

// Since begins with the first event that was written at that time or later. Where clean holds less it begins with what there is,
// and that is daemon.ErrTooFarBack.
func (r *Reader) Since(since time.Time) error {
	for i := range r.parts {
		p := &r.parts[i]
		offset, err := r.scanner.Since(r.topic, p.number, since)
		if err != nil {
			return fmt.Errorf("read %s: %w", r.topic, err)
		}
		p.next = max(offset, p.oldest)
	}
	if r.HeldSince.IsZero() || since.Before(r.HeldSince.Truncate(time.Second)) {
		return fmt.Errorf("%w: since %s; %s", daemon.ErrTooFarBack, since.UTC().Format(time.RFC3339), r.Held())
	}
	return nil
}

// FromNow begins with the next event that is written.
func (r *Reader) FromNow() error {
	for i := range r.parts {
		p := &r.parts[i]
		end, err := r.scanner.End(r.topic, p.number)
		if err != nil {
			return fmt.Errorf("read %s: %w", r.topic, err)
		}
		p.next = end
	}
	return nil
}

// On hands over what was written since the last call: the events whose record's key is wanted, partition after partition, in
// order within each. With settled, transactions that are open now are waited for.
func (r *Reader) On(ctx context.Context, settled bool, wanted func(key []byte) bool, each func(*event.Clean) error) error {
	for i := range r.parts {
		p := &r.parts[i]
		end, err := r.scanner.End(r.topic, p.number)
		if settled && err == nil {
			end, err = r.scanner.Settled(ctx, r.topic, p.number)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", r.topic, err)
		}
		err = r.scanner.Scan(ctx, r.topic, p.number, p.next, end, func(record broker.Record) error {
			if event.IsCanary(record.Key) || !wanted(record.Key) {
				return nil
			}
			e, err := event.ParseClean(record.Value)
			if err != nil {
				return fmt.Errorf("%s/%d at %d: %w", r.topic, p.number, record.Offset, err)
			}
			return each(e)
		})
		if err != nil {
			return err
		}
		p.next = max(p.next, end)
	}
	return nil
}
