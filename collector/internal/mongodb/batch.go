package mongodb

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/x/bsonx/bsoncore"

	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
)

// batch turns what the stream gives into events. It works on a copy of progress, which counts only once it is committed.
type batch struct {
	r         *reader
	next      progress
	pending   []*happening
	bytes     int
	fragments []bson.Raw  // of an event that came in parts, so far
	arrived   []namespace // collections that weren't known
}

func (r *reader) newBatch() *batch { return &batch{r: r, next: r.p} }

// newBatchBehind goes on behind a batch that was committed, in the middle of an event where it ended there.
func (r *reader) newBatchBehind(b *batch) *batch {
	return &batch{r: r, next: r.p, fragments: b.fragments}
}

func (b *batch) full() bool {
	return len(b.pending) >= b.r.limits.events || b.bytes >= b.r.limits.bytes
}

// add takes what the stream gave, and keeps it; whole tells whether an event ended with it.
func (b *batch) add(current bson.Raw) (whole bool, err error) {
	b.bytes += len(current)
	if split, ok := current.Lookup("splitEvent").DocumentOK(); ok {
		fragment, of := split.Lookup("fragment").AsInt64(), split.Lookup("of").AsInt64()
		if fragment == 1 {
			b.fragments = nil
		}
		b.fragments = append(b.fragments, current)
		if fragment < of {
			return false, nil
		}
		if of > 1 {
			if current, err = join(b.fragments); err != nil {
				return false, err
			}
		}
		b.fragments = nil
	}
	h, err := parse(current)
	if err != nil {
		return false, fmt.Errorf("read an event of the change stream: %w", err)
	}
	b.pending = append(b.pending, h)
	if to := h.to; h.op == opRename && b.r.selection.includes(to) {
		b.next.Reading = &reading{Database: to.database, Collection: to.collection}
	}
	return true, nil
}

// join makes one event of its parts, each of which holds other members
// (https://www.mongodb.com/docs/manual/reference/operator/aggregation/changeStreamSplitLargeEvent/).
func join(fragments []bson.Raw) (bson.Raw, error) {
	start, whole := bsoncore.AppendDocumentStart(nil)
	for _, f := range fragments {
		elements, err := f.Elements()
		if err != nil {
			return nil, fmt.Errorf("read a part of an event: %w", err)
		}
		for _, e := range elements {
			if e.Key() != "_id" && e.Key() != "splitEvent" {
				whole = append(whole, e...)
			}
		}
	}
	return bsoncore.AppendDocumentEnd(whole, start)
}

// flush makes events of what was added and commits them.
func (b *batch) flush(ctx context.Context) error {
	if len(b.pending) == 0 {
		return nil
	}
	markLater(b.pending)
	events := make([]event.Raw, 0, len(b.pending))
	now := b.r.now()
	for _, h := range b.pending {
		if h.at.before(b.next.At) {
			return &rewoundError{h.at, b.next.At}
		}
		events = b.append(events, h, now)
	}
	b.r.chunk.pass(b.pending)
	return b.r.commit(ctx, b.next, events, nil)
}

func (b *batch) append(events []event.Raw, h *happening, now time.Time) []event.Raw {
	known := b.r.known
	b.next.Time, b.next.Witnesses = h.time, h.forget(b.next.Witnesses)
	switch h.op {
	case opInsert, opUpdate, opReplace, opDelete:
		if !b.r.selection.includes(h.ns) {
			return events
		}
		b.arrive(h.ns)
		return append(events, b.change(h, now))
	case opDrop:
		if !b.r.selection.includes(h.ns) {
			return events
		}
		delete(known, h.ns)
		return append(events, b.truncate(h, h.ns, now))
	case opRename:
		if b.r.selection.includes(h.ns) {
			delete(known, h.ns)
			events = append(events, b.truncate(h, h.ns, now))
		}
		if b.r.selection.includes(h.to) { // it may have replaced one of that name
			b.arrive(h.to)
			events = append(events, b.truncate(h, h.to, now))
		}
	case opDropDatabase: // behind a drop of each collection, says the manual; whatever had none is told here
		gone := slices.SortedFunc(maps.Keys(known), func(a, b namespace) int { return strings.Compare(a.String(), b.String()) })
		for _, n := range gone {
			if n.database == h.ns.database {
				delete(known, n)
				events = append(events, b.truncate(h, n, now))
			}
		}
	}
	return events // invalidate, and kinds of events that change no document
}

func (b *batch) arrive(n namespace) {
	if !b.r.known[n] {
		b.r.known[n] = true
		b.arrived = append(b.arrived, n)
	}
}

// change is the event of one document.
func (b *batch) change(h *happening, now time.Time) event.Raw {
	d := event.DocumentChange{
		Op: h.cleanOp(), Key: h.key, Before: h.before, After: h.after, UpdateDescription: h.description, Transaction: h.transaction,
	}
	if h.op != opInsert && h.before == nil {
		d.Incomplete.Before = beforeUnavailable
	}
	switch {
	case h.op == opUpdate && h.after == nil:
		d.Incomplete.After = afterMissing
	case h.later:
		d.Incomplete.After = afterLater
	}
	key, err := normalize.DocumentKey(h.key)
	if err != nil { // a gap in place of what nobody could read
		return b.r.unreadable(h, b.next.place(h.at), err, now)
	}
	return b.raw(h, h.ns, d, key, now)
}

func (b *batch) truncate(h *happening, n namespace, now time.Time) event.Raw {
	return b.raw(h, n, event.DocumentChange{Op: event.Truncate, Reason: h.op, Transaction: h.transaction}, nil, now)
}

func (b *batch) raw(h *happening, n namespace, d event.DocumentChange, key []byte, now time.Time) event.Raw {
	d.Version, d.Database, d.Collection = event.DocumentVersion, n.database, n.collection
	d.ClusterTime.T, d.ClusterTime.I = h.at.T, h.at.I
	d.TransactionIndex = b.next.index(h.transaction)
	stream := b.r.stream(n)
	return event.Raw{
		Type: event.RawType, Kind: event.MongoDB, ID: event.ID(b.r.name, b.next.place(h.at)), Stream: stream, Time: h.time,
		RecordKey: event.RecordKey(stream, key), Key: key, Value: d.AppendBSON(make([]byte, 0, h.size+256)), CapturedAt: now,
	}
}

// Values of event.Incomplete.
const (
	beforeUnavailable = "unavailable"
	afterMissing      = "missing"
	afterLater        = "later"
)
