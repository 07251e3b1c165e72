package pipeline

import (
	"context"
	"crypto/sha256"
	"fmt"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"

	"datawatch/preprocessor/internal/deadletter"
)

// What is known of deletes, a partition of raw.
const (
	maxDeletes = 10_000 // keys whose newest record is the envelope of a delete
	lookBack   = 1_000  // records before a session's first one
)

// tombstones knows which null values only repeat the delete before them: those of a key whose record before is the
// envelope of a delete (Debezium sends such a pair, so that a compacted topic forgets the row).
//
// It knows of the last maxDeletes of a partition, and, of what was before the session's first record of Kafka, those in the
// last lookBack records of raw. A tombstone whose delete is further away is a second delete in clean: nothing is lost.
type tombstones struct {
	history    History
	normalizer Normalizer
	partitions map[int32]*deletes
}

func newTombstones(h History, n Normalizer) *tombstones {
	return &tombstones{history: h, normalizer: n, partitions: map[int32]*deletes{}}
}

// reset begins a session.
func (t *tombstones) reset() { clear(t.partitions) }

// of is what is known of the record's partition, which is to be its newest record of Kafka.
func (t *tombstones) of(ctx context.Context, r *broker.Record) (*deletes, error) {
	if d, ok := t.partitions[r.Partition]; ok {
		return d, nil
	}
	d := &deletes{at: map[rawKey]int64{}}
	err := t.history.Before(ctx, r.Partition, r.Offset, lookBack, func(old broker.Record) error {
		raw, err := event.ParseRaw(old.Key, old.Value, old.Headers)
		if err != nil || raw.Kind != event.Kafka || raw.Type != event.RawType || deadletter.IsReplayed(old.Headers) {
			return nil //nolint:nilerr // what isn't a record of Kafka says nothing of one
		}
		d.saw(old.Key, t.isDelete(ctx, raw))
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("look back in %s/%d: %w", r.Topic, r.Partition, err)
	}
	t.partitions[r.Partition] = d
	return d, nil
}

// isDelete tells what a record was. One that makes a decoder panic was a dead letter.
func (t *tombstones) isDelete(ctx context.Context, raw *event.Raw) (is bool) {
	defer func() {
		if recover() != nil {
			is = false
		}
	}()
	events, err := t.normalizer.Events(ctx, raw)
	return err == nil && isDelete(raw, events)
}

// isDelete tells whether a record is the envelope of a delete, and of that alone.
func isDelete(raw *event.Raw, events []*event.Clean) bool {
	return raw.Value != nil && len(events) == 1 && events[0].Change != nil && events[0].Change.Op == event.Delete
}

type rawKey [sha256.Size]byte

// deletes are keys whose newest record is the envelope of a delete; the oldest go first.
type deletes struct {
	at    map[rawKey]int64
	queue []queued
	next  int64
}

type queued struct {
	key rawKey
	at  int64
}

// has tells whether the key's newest record is the envelope of a delete.
func (d *deletes) has(key []byte) bool {
	if len(d.at) == 0 {
		return false
	}
	_, ok := d.at[sha256.Sum256(key)]
	return ok
}

// saw notes a key's newest record.
func (d *deletes) saw(key []byte, isDelete bool) {
	if !isDelete {
		if len(d.at) > 0 {
			delete(d.at, sha256.Sum256(key))
		}
		return
	}
	k := rawKey(sha256.Sum256(key))
	d.next++
	d.at[k] = d.next
	d.queue = append(d.queue, queued{k, d.next})
	for len(d.queue) > maxDeletes {
		if first := d.queue[0]; d.at[first.key] == first.at {
			delete(d.at, first.key)
		}
		d.queue = d.queue[1:]
	}
}
