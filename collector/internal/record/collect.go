package record

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
)

// Place is a moment in clean and violations: the next offset of each partition.
type Place struct {
	At         time.Time       `json:"at"`
	Clean      map[int32]int64 `json:"clean"`
	Violations map[int32]int64 `json:"violations"`
}

// Now is the place behind everything that is committed.
func Now(s *broker.Scanner, topics broker.Topics) (Place, error) {
	p := Place{At: time.Now().UTC()}
	var err error
	if p.Clean, err = ends(s, topics.Clean); err == nil {
		p.Violations, err = ends(s, topics.Violations)
	}
	return p, err
}

func ends(s *broker.Scanner, topic string) (map[int32]int64, error) {
	partitions, err := s.Partitions(topic)
	if err != nil {
		return nil, err
	}
	out := make(map[int32]int64, len(partitions))
	for _, p := range partitions {
		if out[p], err = s.End(topic, p); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Options say what of the traffic is recorded.
type Options struct {
	Name string
	Tag  string // only what carries this tag; empty is everything
	// Sources are recorded; none are all of them.
	Sources []string
	// Source tells whether a source is recorded at all. Nil is all of them.
	Source func(name string) bool
	// MaxBytes bounds the recording; what doesn't fit is counted. Default MaxBytes.
	MaxBytes int
	// Hide gives a change as it may be shown. Nil hides nothing.
	Hide func(event.Stream, *event.Change) *event.Change
}

func (o Options) wants(e *event.Clean) bool {
	return e.Change != nil && e.Change.Op != event.Read && (o.Tag == "" || e.Change.Origin.Tag == o.Tag) &&
		(len(o.Sources) == 0 || slices.Contains(o.Sources, e.Stream.Source())) && (o.Source == nil || o.Source(e.Stream.Source()))
}

// shown is a change as it may be shown.
func (o Options) shown(e *event.Clean) *event.Change {
	if o.Hide == nil {
		return e.Change
	}
	return o.Hide(e.Stream, e.Change)
}

func (o Options) bounded() Options {
	if o.MaxBytes <= 0 {
		o.MaxBytes = MaxBytes
	}
	return o
}

// Collect makes a recording of what was written between two places.
func Collect(ctx context.Context, s *broker.Scanner, topics broker.Topics, from, to Place, o Options) (*Recording, error) {
	c := newCollector(o)
	c.recording.From, c.recording.To = from.At, to.At
	for _, partition := range slices.Sorted(maps.Keys(from.Clean)) {
		begin := from.Clean[partition]
		err := s.Scan(ctx, topics.Clean, partition, begin, to.Clean[partition], func(r broker.Record) error {
			if event.IsCanary(r.Key) {
				return nil
			}
			e, err := event.ParseClean(r.Value)
			if err != nil {
				return fmt.Errorf("%s/%d@%d: %w", r.Topic, r.Partition, r.Offset, err)
			}
			c.add(e)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for partition, begin := range from.Violations {
		err := s.Scan(ctx, topics.Violations, partition, begin, to.Violations[partition], func(r broker.Record) error {
			var v event.Violation
			if err := json.Unmarshal(r.Value, &v); err != nil {
				return fmt.Errorf("%s/%d@%d: %w", r.Topic, r.Partition, r.Offset, err)
			}
			c.find(&v)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	c.sort()
	return &c.recording, nil
}

type collector struct {
	options   Options
	recording Recording
	index     map[string]int // of transactions, by source and id
	events    map[string]int // the transaction of each event
	bytes     int
}

func newCollector(o Options) *collector {
	o = o.bounded()
	return &collector{options: o, recording: Recording{Name: o.Name, Tag: o.Tag}, index: map[string]int{}, events: map[string]int{}}
}

func (c *collector) add(e *event.Clean) {
	if !c.options.wants(e) {
		return
	}
	change := c.options.shown(e)
	_, known := c.index[transactionOf(e)]
	size := sizeOf(e, change, !known)
	if c.bytes+size > c.options.MaxBytes {
		c.recording.Beyond++
		return
	}
	c.bytes += size
	t := c.transaction(e)
	c.events[e.ID] = t
	in := &c.recording.Transactions[t]
	in.Changes = append(in.Changes, Change{
		EventID: e.ID, Stream: e.Stream, Op: change.Op, Key: change.Key, Before: change.Before, After: change.After,
		MovedTo: change.MovedTo, MovedFrom: change.MovedFrom,
	})
}

// transaction is the index of the transaction that an event is of.
func (c *collector) transaction(e *event.Clean) int {
	source, id, name := e.Stream.Source(), e.Change.Origin.Transaction, transactionOf(e)
	if i, ok := c.index[name]; ok {
		return i
	}
	c.recording.Transactions = append(c.recording.Transactions, Transaction{
		Source: source, ID: id, Time: e.Time, Actor: e.Change.Origin.Actor, Tag: e.Change.Origin.Tag,
	})
	c.index[name] = len(c.recording.Transactions) - 1
	return len(c.recording.Transactions) - 1
}

func (c *collector) find(v *event.Violation) {
	t, ok := c.events[v.EventID]
	if !ok {
		return
	}
	in := &c.recording.Transactions[t]
	for _, e := range v.Errors {
		b := Broken{EventID: v.EventID, Rule: e.Rule, Message: e.Message, Actual: e.Actual, Expected: e.Expected, Own: e.Kind == event.RuleViolation}
		if b.Rule == "" {
			b.Rule = e.InstanceLocation
		}
		if slices.Contains(in.Findings, b) {
			continue
		}
		size := sizeOfFinding(b)
		if c.bytes+size > c.options.MaxBytes+c.options.MaxBytes/findingsShare {
			c.recording.BrokenBeyond++
			continue
		}
		c.bytes += size
		in.Findings = append(in.Findings, b)
	}
}

// sort puts the changes of each transaction into the order of their positions, and transactions into that of their first
// changes; those of several sources go by their times.
func (c *collector) sort() {
	for i := range c.recording.Transactions {
		slices.SortStableFunc(c.recording.Transactions[i].Changes, func(a, b Change) int {
			return cmp.Compare(event.PositionOf(a.EventID), event.PositionOf(b.EventID))
		})
	}
	slices.SortStableFunc(c.recording.Transactions, func(a, b Transaction) int {
		return cmp.Or(compareTimes(a.Time, b.Time), cmp.Compare(a.Source, b.Source), cmp.Compare(event.PositionOf(a.Changes[0].EventID), event.PositionOf(b.Changes[0].EventID)))
	})
}

func compareTimes(a, b string) int {
	at, errA := time.Parse(time.RFC3339Nano, a)
	bt, errB := time.Parse(time.RFC3339Nano, b)
	if errA != nil || errB != nil {
		return cmp.Compare(a, b)
	}
	return at.Compare(bt)
}
