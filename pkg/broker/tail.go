package broker

import (
	"context"
	"log/slog"
	"maps"
	"time"

	"datawatch/pkg/config"
)

const (
	// tailPause is how often a topic that is followed is asked for more.
	tailPause = 200 * time.Millisecond
	// longTailPause is the longest pause while the broker is away.
	longTailPause = 5 * time.Second
)

// Tail hands every committed record of a topic to each, in the order of each partition, until ctx is done; it returns ctx's
// error, or each's. It begins at the offsets of from, by partition, and in a partition that isn't named with what is written
// after the call. It joins no group and keeps no place. While the broker is away it waits, and then goes on where it was.
func Tail(ctx context.Context, c config.Broker, clientID, topic string, from map[int32]int64, log *slog.Logger, each func(Record) error) error {
	t := tail{topic: topic, each: each, next: maps.Clone(from)}
	if t.next == nil {
		t.next = map[int32]int64{}
	}
	pause := tailPause
	for {
		err := t.session(ctx, c, clientID)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case t.failed != nil:
			return t.failed
		case t.moved:
			pause, t.moved = tailPause, false
		}
		log.Debug("topic not followed; trying again", "topic", topic, "error", err, "pause", pause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, longTailPause)
	}
}

type tail struct {
	topic  string
	each   func(Record) error
	next   map[int32]int64 // by partition
	moved  bool            // something was read since the last failure
	failed error           // of each
}

// session reads until something fails.
func (t *tail) session(ctx context.Context, c config.Broker, clientID string) error {
	scanner, err := NewScanner(c, clientID)
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }() // it only read
	partitions, err := scanner.Partitions(t.topic)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(tailPause)
	defer ticker.Stop()
	for {
		for _, p := range partitions {
			if err := t.read(ctx, scanner, p); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func (t *tail) read(ctx context.Context, scanner *Scanner, partition int32) error {
	end, err := scanner.End(t.topic, partition)
	if err != nil {
		return err
	}
	from, known := t.next[partition]
	if !known || from > end {
		written, err := scanner.Written(t.topic, partition)
		if err == nil && (!known || from > written) { // a topic that was made anew begins anew
			t.next[partition] = written
		}
		return err
	}
	if oldest, err := scanner.Oldest(t.topic, partition); err != nil {
		return err
	} else if from < oldest {
		from = oldest
	}
	if from == end {
		return nil
	}
	err = scanner.Scan(ctx, t.topic, partition, from, end, func(r Record) error {
		if t.failed = t.each(r); t.failed == nil {
			t.next[partition] = r.Offset + 1
		}
		return t.failed
	})
	if err == nil {
		t.next[partition], t.moved = end, true
	}
	return err
}
