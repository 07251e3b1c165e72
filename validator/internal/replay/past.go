package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
)

// Range says which part of the past is asked for.
type Range struct {
	Stream event.Stream // empty: all
	// Last is how many of the newest events; Since is the time from which on. One of them is zero; where both are it is
	// all that clean holds.
	Last  int
	Since time.Time
	// Lenient takes what there is where clean holds less.
	Lenient bool
}

// Past is what clean holds of the past, fixed when it was opened: what comes later isn't in it, and each reading of it
// gives the same events.
type Past struct {
	scanner    *broker.Scanner
	topic      string
	stream     event.Stream
	partitions []span
	events     int // where it is known
	// HeldSince is the time of the oldest record that clean holds; zero where it holds none.
	HeldSince time.Time
}

// span is the part of a partition that is read.
type span struct {
	partition  int32
	oldest     int64 // what the partition still holds begins here
	start, end int64
}

// Open finds where in clean a range begins. It is daemon.ErrTooFarBack where clean holds less than is asked for.
func Open(ctx context.Context, scanner *broker.Scanner, topic string, r Range) (*Past, error) {
	partitions, err := scanner.Partitions(topic)
	if err != nil {
		if errors.Is(err, broker.ErrUnknownTopic) {
			return nil, fmt.Errorf("topic %s isn't there yet: nothing was captured (see broker.topic_prefix)", topic)
		}
		return nil, fmt.Errorf("read %s: %w", topic, err)
	}
	p := &Past{scanner: scanner, topic: topic, stream: r.Stream}
	for _, partition := range partitions {
		s := span{partition: partition}
		if s.oldest, err = scanner.Oldest(topic, partition); err != nil {
			return nil, fmt.Errorf("read %s: %w", topic, err)
		}
		if s.end, err = scanner.Settled(ctx, topic, partition); err != nil {
			return nil, fmt.Errorf("read %s: %w", topic, err)
		}
		s.start = s.oldest
		p.partitions = append(p.partitions, s)
	}
	if err := p.findHeldSince(ctx); err != nil {
		return nil, err
	}
	switch {
	case r.Last > 0:
		return p, p.last(ctx, r)
	case !r.Since.IsZero():
		return p, p.since(r)
	}
	return p, nil
}

// Held says since when clean holds data.
func (p *Past) Held() string {
	if p.HeldSince.IsZero() {
		return "clean holds no events"
	}
	return "clean holds events since " + p.HeldSince.UTC().Format(time.RFC3339)
}

var errEnough = errors.New("enough")

func (p *Past) findHeldSince(ctx context.Context) error {
	for _, s := range p.partitions {
		err := p.scanner.Scan(ctx, p.topic, s.partition, s.oldest, s.end, func(r broker.Record) error {
			if p.HeldSince.IsZero() || r.Timestamp.Before(p.HeldSince) {
				p.HeldSince = r.Timestamp
			}
			return errEnough
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
	}
	return nil
}

func (p *Past) since(r Range) error {
	held := p.HeldSince.Truncate(time.Second) // as Held says it
	if !r.Lenient && (p.HeldSince.IsZero() || r.Since.Before(held)) {
		return fmt.Errorf("%w: since %s; %s", daemon.ErrTooFarBack, r.Since.UTC().Format(time.RFC3339), p.Held())
	}
	for i := range p.partitions {
		s := &p.partitions[i]
		offset, err := p.scanner.Since(p.topic, s.partition, r.Since)
		if err != nil {
			return fmt.Errorf("read %s: %w", p.topic, err)
		}
		s.start = min(max(offset, s.oldest), s.end)
	}
	return nil
}

// step is how many offsets are read at once on the way back.
const step = 4096

// back is a partition on the way back from its end.
type back struct {
	*span
	at       int64 // read back to here
	frontier int64 // the time of the oldest record seen: what lies before is no newer
	times    []mark
}

// mark is an event's time and offset.
type mark struct{ time, offset int64 }

// last goes back until the newest events of all partitions together are known, and begins each partition there.
func (p *Past) last(ctx context.Context, r Range) error {
	backs := make([]*back, len(p.partitions))
	for i := range p.partitions {
		backs[i] = &back{span: &p.partitions[i], at: p.partitions[i].end, frontier: math.MaxInt64}
	}
	for {
		var next *back // the one that may hide the newest event
		for _, b := range backs {
			if b.at > b.oldest && (next == nil || b.frontier > next.frontier) {
				next = b
			}
		}
		if next == nil || known(backs, next.frontier) >= r.Last {
			return p.begin(backs, r)
		}
		if err := p.goBack(ctx, next); err != nil {
			return err
		}
	}
}

// known counts the events that are newer than everything not seen yet.
func known(backs []*back, frontier int64) int {
	n := 0
	for _, b := range backs {
		n += sort.Search(len(b.times), func(i int) bool { return b.times[i].time < frontier })
	}
	return n
}

func (p *Past) goBack(ctx context.Context, b *back) error {
	from := max(b.oldest, b.at-step)
	var found []mark
	err := p.scanner.Scan(ctx, p.topic, b.partition, from, b.at, func(r broker.Record) error {
		b.frontier = min(b.frontier, r.Timestamp.UnixMilli())
		if p.wanted(r.Key) {
			found = append(found, mark{r.Timestamp.UnixMilli(), r.Offset})
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.at = from
	slices.Reverse(found)
	for _, m := range found { // times as if they never went back: the order is that of the offsets
		if n := len(b.times); n > 0 {
			m.time = min(m.time, b.times[n-1].time)
		}
		b.times = append(b.times, m)
	}
	return nil
}

// begin sets where each partition begins, so that together they hold the newest events that are asked for.
func (p *Past) begin(backs []*back, r Range) error {
	found := 0
	for _, b := range backs {
		found += len(b.times)
	}
	if found < r.Last && !r.Lenient {
		what := "events"
		if r.Stream != "" {
			what += " of " + string(r.Stream)
		}
		return fmt.Errorf("%w: the last %d %s; it holds %d, and %s", daemon.ErrTooFarBack, r.Last, what, found, p.Held())
	}
	p.events = min(found, r.Last)
	taken := make([]int, len(backs)) // of each: its times are in their order, the newest first
	for range min(found, r.Last) {
		next := -1
		for i, b := range backs {
			if taken[i] < len(b.times) && (next < 0 || b.times[taken[i]].time > backs[next].times[taken[next]].time) {
				next = i
			}
		}
		taken[next]++
	}
	for i, b := range backs {
		p.partitions[i].start = p.partitions[i].end
		if taken[i] > 0 {
			p.partitions[i].start = b.times[taken[i]-1].offset
		}
	}
	return nil
}

// wanted tells whether a record is of the stream that is asked for: its key begins with the stream.
func (p *Past) wanted(key []byte) bool {
	if p.stream == "" {
		return !event.IsCanary(key)
	}
	stream, _, _ := bytes.Cut(key, []byte{'\n'})
	return string(stream) == string(p.stream)
}

// Each hands every event of the past to each, partition by partition, in order within each. A record that can't be read
// is handed on with a nil event.
func (p *Past) Each(ctx context.Context, each func(*broker.Record, *event.Clean) error) error {
	return p.records(ctx, func(r *broker.Record) error { return each(r, parse(r)) })
}

// parse reads a record; nil where it can't be.
func parse(r *broker.Record) *event.Clean {
	clean, err := event.ParseClean(r.Value)
	if err != nil {
		return nil
	}
	return clean
}

// records hands on what Each does, not yet read.
func (p *Past) records(ctx context.Context, each func(*broker.Record) error) error {
	for _, s := range p.partitions {
		err := p.scanner.Scan(ctx, p.topic, s.partition, s.start, s.end, func(r broker.Record) error {
			if !p.wanted(r.Key) {
				return nil
			}
			return each(&r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Most is how many events there are at most, for whoever shows progress.
func (p *Past) Most() int {
	if p.events > 0 {
		return p.events
	}
	n := 0
	for _, s := range p.partitions {
		n += int(s.end - s.start)
	}
	return n
}
