// Package infer writes the schema of a stream from its traffic, as a person would have: types, what is required and what
// may be null, formats, enums, lists, maps, and candidates for x-pii.
//
// Every value that was seen fits the schema that was inferred from it: judging the same traffic by it finds nothing, but
// for events that no schema lets pass (numbers and nesting beyond what is judged), which are counted. It refuses to guess
// what it hasn't seen: no bounds unless they are asked for, nothing forbidden, no enum of what looks personal. Memory is
// bounded by the number of different names and places, not of events.
//
// What is new can also be put into a file that people have edited: only places that the file says nothing about are added,
// between what stands there, in the file's own way of writing. Where the traffic contradicts the file, that is told and left.
package infer

import (
	"context"
	"errors"
	"slices"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/validator/internal/replay"
)

// Options say what a schema holds beyond what is always in it.
type Options struct {
	Bounds bool // the least and the greatest number seen
}

// Inference collects what is seen of a stream.
type Inference struct {
	options Options
	stream  event.Stream
	root    *shape
	leftOut map[string]int // events in which the source gave no value of a member

	Events  int // that were learned from
	Skipped int // deletes, truncates, and events of which the row isn't known
	Beyond  int // with numbers or nesting beyond what is judged
	From    time.Time
	To      time.Time
}

// New knows nothing yet.
func New(stream event.Stream, o Options) *Inference {
	return &Inference{options: o, stream: stream, root: newShape(), leftOut: map[string]int{}}
}

// Add learns from one change; at is its time.
func (f *Inference) Add(change *event.Change, at time.Time) error {
	gone := change.Op == event.Delete || change.Op == event.Truncate
	if gone || change.Incomplete != nil && change.Incomplete.After != "" {
		f.Skipped++
		return nil
	}
	v, err := decode(change.After)
	if errors.Is(err, errBeyond) {
		f.Beyond++
		return nil
	}
	if err != nil {
		return err
	}
	f.Events++
	if f.From.IsZero() || at.Before(f.From) {
		f.From = at
	}
	if at.After(f.To) {
		f.To = at
	}
	var without []string
	if change.Incomplete != nil {
		without = change.Incomplete.Fields
		if len(without) > 0 && v.kind == objectKind { // what stands there isn't known to be the row's
			v.members = slices.DeleteFunc(v.members, func(m memberValue) bool { return slices.Contains(without, m.name) })
			for _, name := range without {
				f.leftOut[name]++
			}
		}
	}
	f.root.see(v, 0)
	return nil
}

// Learn learns from what clean holds of the stream, and tells how many records couldn't be read. show is called now and
// then with the number of events learned from; it may be nil.
func (f *Inference) Learn(ctx context.Context, past *replay.Past, show func(events int)) (unreadable int, err error) {
	err = past.Each(ctx, func(record *broker.Record, clean *event.Clean) error {
		switch {
		case clean == nil:
			unreadable++
			return nil
		case clean.Change == nil:
			return nil
		}
		if show != nil && f.Events%1000 == 0 {
			show(f.Events)
		}
		return f.Add(clean.Change, record.Timestamp)
	})
	return unreadable, err
}

// Schema writes the schema of what was seen.
func (f *Inference) Schema() []byte {
	b := &builder{options: f.options}
	return render(b.document(f))
}
