package wal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync/atomic"

	"github.com/jackc/pglogrepl"

	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
	"datawatch/pkg/reason"
)

// change is one event to be made.
type change struct {
	op                 event.Op
	key                []byte
	before, after      []byte
	movedTo, movedFrom bool
	incomplete         *event.Incomplete
	reason             string
}

// takeRow makes the events of an insert, update or delete.
func (r *reader) takeRow(ctx context.Context, m *message) error {
	err := r.row.read(m.data)
	if err != nil {
		return err
	}
	rel, err := r.relation(ctx, r.row.relation)
	if err != nil {
		return err
	}
	if rel.stray || rel.excluded {
		return nil
	}
	if int64(len(m.data)) > 2*r.options.MaxRecordBytes { // both images may be in it
		r.overtakes(rel, nil)
		r.tooLarge(rel, reason.DoRowTooLarge.With())
		return nil
	}
	im, err := rel.images(&r.row)
	if errors.Is(err, errLiteral) { // its type may have been altered since it was looked at
		delete(r.relations, rel.id)
		if rel, err = r.relation(ctx, rel.id); err != nil {
			return err
		}
		im, err = rel.readImages(r.name, &r.row)
	}
	if err == nil {
		var changes []change
		if changes, err = rel.changes(&r.row, im); err == nil {
			r.overtakes(rel, changes)
			for _, c := range changes {
				r.add(rel, c)
			}
			return nil
		}
	}
	if ctx.Err() != nil || r.catalog.db.IsClosed() {
		return err
	}
	r.overtakes(rel, nil)
	r.unreadable(rel, err)
	return nil
}

// changes are those of a row; a changed key gives two, the delete first.
func (r *relation) changes(m *rowMessage, im images) ([]change, error) {
	var incomplete *event.Incomplete
	unavailable := m.op != 'I' && !im.exact
	if unavailable || len(im.missing) > 0 {
		incomplete = &event.Incomplete{Fields: im.missing}
		if unavailable {
			incomplete.Before = "unavailable"
		}
	}
	var from, to json.RawMessage
	var err error
	if im.before != nil {
		if from, err = normalize.RowKey(r.shape, r.key, im.before); err != nil {
			return nil, err
		}
	}
	if im.after != nil {
		if to, err = normalize.RowKey(r.shape, r.key, im.after); err != nil {
			return nil, err
		}
	}
	switch {
	case m.op == 'I':
		return []change{{op: event.Insert, key: to, after: im.after, incomplete: incomplete}}, nil
	case m.op == 'D':
		return []change{{op: event.Delete, key: from, before: im.before, incomplete: incomplete}}, nil
	case im.before != nil && !bytes.Equal(from, to):
		return []change{
			{op: event.Delete, key: from, before: im.before, after: im.after, movedTo: true, incomplete: incomplete},
			{op: event.Insert, key: to, before: im.before, after: im.after, movedFrom: true, incomplete: incomplete},
		}, nil
	case !im.exact:
		im.before = nil
	}
	return []change{{op: event.Update, key: to, before: im.before, after: im.after, incomplete: incomplete}}, nil
}

// takeTruncate makes an event a stream. All partitions of a tree that it names are its root's truncate; some of them were
// truncated by themselves, and what they held isn't in the WAL.
func (r *reader) takeTruncate(ctx context.Context, m *pglogrepl.TruncateMessage) error {
	var streams []event.Stream
	named := map[event.Stream][]uint32{}
	of := map[event.Stream]*relation{}
	for _, id := range m.RelationIDs {
		rel, err := r.relation(ctx, id)
		if err != nil {
			return err
		}
		if rel.stray || rel.excluded {
			continue
		}
		if of[rel.stream] == nil {
			streams, of[rel.stream] = append(streams, rel.stream), rel
		}
		named[rel.stream] = append(named[rel.stream], id)
	}
	for _, stream := range streams {
		r.overtakes(of[stream], nil)
		whole, err := r.truncatesWhole(ctx, named[stream])
		if err != nil {
			return err
		}
		if whole {
			r.add(of[stream], change{op: event.Truncate})
		} else {
			r.partitionTruncated(of[stream])
		}
	}
	return nil
}

// keptBytes is how large the memory is that is kept for what is written next.
const keptBytes = 1 << 20

// add appends an event.
func (r *reader) add(rel *relation, c change) {
	written := r.appendRowChange(r.written[:0], rel, c)
	if r.written = nil; cap(written) <= keptBytes {
		r.written = written
	}
	key := event.RecordKey(rel.stream, c.key)
	if int64(len(written)+len(key)) > r.options.MaxRecordBytes {
		r.tooLarge(rel, reason.DoKeyTooLarge.With(string(c.key)))
		return
	}
	b := r.open()
	b.events = append(b.events, event.Raw{
		Type: event.RawType, Kind: event.Postgres, ID: event.ID(r.name, r.position()), Stream: rel.stream, Time: r.time(),
		RecordKey: key, Key: c.key, Value: bytes.Clone(written), CapturedAt: b.now, // no larger than it is: it is held until it is committed
	})
	b.bytes += len(written)
}

// open is the batch that events are appended to.
func (r *reader) open() *batch {
	if len(r.batch.events) == 0 {
		r.batch.now, r.batch.events = r.now().UTC(), make([]event.Raw, 0, r.usual)
	}
	return r.batch
}

// position is the next event's: of the transaction that is being read, else behind all that were. No transaction commits in
// the last byte of another's record.
func (r *reader) position() string {
	if r.tx != nil {
		r.tx.n++
		return event.WALPosition(r.p.Epoch, uint64(r.tx.lsn), r.tx.n-1)
	}
	r.p.Told++
	return event.WALPosition(r.p.Epoch, uint64(r.p.LSN-1), r.p.Told-1)
}

// appendRowChange writes event.RowChange; what is the same for all rows of a table was written once.
func (r *reader) appendRowChange(b []byte, rel *relation, c change) []byte {
	b = append(b, `{"version":1,"op":"`...)
	b = append(b, c.op...)
	b = append(b, `",`...)
	b = append(b, rel.head...)
	b = appendMember(b, "before", c.before)
	b = appendMember(b, "after", c.after)
	if c.movedTo {
		b = append(b, `,"moved_to":true`...)
	}
	if c.movedFrom {
		b = append(b, `,"moved_from":true`...)
	}
	b = append(b, `,"transaction":"`...)
	if r.tx != nil {
		b = append(b, r.tx.xid...)
	}
	b = append(b, `","transaction_index":`...)
	if r.tx != nil {
		b = strconv.AppendInt(b, r.tx.n, 10)
	} else {
		b = append(b, '0')
	}
	if r.tx != nil && r.tx.tag != "" {
		b = appendMember(b, "tag", event.AppendString(nil, r.tx.tag))
	}
	if c.incomplete != nil {
		text, err := json.Marshal(c.incomplete)
		if err != nil {
			panic(err) // texts always have a JSON form
		}
		b = appendMember(b, "incomplete", text)
	}
	if c.reason != "" {
		b = appendMember(b, "reason", event.AppendString(nil, c.reason))
	}
	return append(b, '}')
}

// appendMember writes a member of an object that isn't its first; a nil value isn't there.
func appendMember(b []byte, name string, value []byte) []byte {
	if value == nil {
		return b
	}
	b = append(b, ',', '"')
	b = append(append(b, name...), '"', ':')
	return append(b, value...)
}

// nearXID makes the 32 bits of a transaction id that the stream tells the 64 of xid8.
type nearXID struct{ known atomic.Uint64 }

// widen takes the id that is nearest to one that is known.
func (n *nearXID) widen(xid uint32) uint64 {
	known := n.known.Load()
	wide := known&^0xffffffff | uint64(xid)
	switch {
	case wide > known && wide-known > 1<<31 && wide >= 1<<32:
		wide -= 1 << 32
	case wide < known && known-wide > 1<<31:
		wide += 1 << 32
	}
	return wide
}
