package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
	"datawatch/pkg/reason"
)

// batch turns packs into events. It works on a copy of the open tick's progress, which counts only once it is committed.
type batch struct {
	r      *reader
	open   *openTick
	events []event.Raw
	bytes  int
	now    time.Time
	begun  Streams         // nil where these are as they were
	also   source.Progress // to be committed with it: of snapshots
}

func (r *reader) newBatch(p progress) *batch {
	open := *p.Open
	open.Path = clonePath(open.Path)
	open.Indexes = slices.Clone(open.Indexes)
	return &batch{r: r, open: &open, now: r.now()}
}

func (b *batch) full() bool {
	return len(b.events) >= b.r.limits.batchEvents || b.bytes >= b.r.limits.batchBytes
}

// change is one event to be made of a pack's row.
type change struct {
	op                 event.Op
	key                []byte
	before, after      []byte
	movedTo, movedFrom bool
	reason             string // of a truncate that is none
}

// add makes the events of a pack's rows from one on to another; moved tells that the deletes of rows whose key changed
// were made before.
func (b *batch) add(ctx context.Context, p *pack, from, to int64, moved bool) error {
	shape, err := b.r.shapes.of(ctx, p)
	if err != nil {
		return err
	}
	if _, known := b.open.Indexes.of(p.txid); !known && p.start != 0 && !p.ofRows() {
		b.open.Indexes = b.open.Indexes.set(p.txid, p.first)
	}
	switch {
	case p.op == packMark:
	case p.op == packGap:
		b.gap(shape.stream, event.Gap{From: p.at, To: p.at, Cause: causeCaptureFailed}.Advising(reason.DoCaptureFailed.With(string(p.after))))
	case p.op == packNew, p.op == packOff:
		b.since(p, shape)
	case p.op == packLeaf:
		b.gap(shape.stream, event.Gap{From: p.at, To: p.at, Cause: causePartitionGone}.Advising(reason.DoPartitionGone.With(string(p.after))))
	case p.op == packKey:
		b.gap(shape.stream, event.Gap{From: p.at, To: p.at, Cause: causeKeyChanged}.Advising(reason.DoKeyChanged.With()))
	case p.op == packAttached:
		return b.attached(p, shape)
	case p.op == packTruncate:
		b.addChanges(p, shape, []change{{op: event.Truncate, reason: string(p.after)}}, false)
	case p.cut && p.rows > 1:
		b.tooLarge(p, shape)
	case p.cut:
		b.addChanges(p, shape, []change{beginningOf(p, shape)}, moved)
	default:
		changes, err := changesOf(p, shape, from, to)
		if err != nil {
			b.unreadable(p, shape, err)
			return nil
		}
		b.addChanges(p, shape, changes, moved)
	}
	return nil
}

// addChanges makes events of changes: first the deletes of rows whose key changed, unless these were made before.
func (b *batch) addChanges(p *pack, s *shape, changes []change, moved bool) {
	first, known := b.open.Indexes.of(p.txid)
	if !known {
		first = p.first
	}
	at := first
	for _, deletes := range []bool{true, false} {
		for _, c := range changes {
			if c.movedTo == deletes && !(deletes && moved) {
				b.row(p, s, at, c)
				at++
			}
		}
	}
	if known || p.start != 0 || p.behind != 0 || at-first != int64(len(changes)) || at-first != p.rows {
		b.open.Indexes = b.open.Indexes.set(p.txid, at)
	}
}

// addMoves makes just the deletes of the rows whose key changed. first is the index of the statement's first row.
func (b *batch) addMoves(ctx context.Context, p *pack, first int64) error {
	shape, err := b.r.shapes.of(ctx, p)
	if err != nil {
		return err
	}
	if p.cut {
		return nil // told by add
	}
	changes, err := changesOf(p, shape, 0, p.rows)
	if err != nil {
		return nil //nolint:nilerr // told by add
	}
	at, known := b.open.Indexes.of(p.txid)
	if !known {
		at = first
	}
	for _, c := range changes {
		if c.movedTo {
			b.row(p, shape, at, c)
			at++
			known = true
		}
	}
	if known {
		b.open.Indexes = b.open.Indexes.set(p.txid, at)
	}
	return nil
}

// changesOf reads a pack's rows from one on to another. A changed key gives two changes, the delete first.
func changesOf(p *pack, s *shape, from, to int64) ([]change, error) {
	before, after, err := imagesOf(p, s, from, to)
	if err != nil {
		return nil, err
	}
	rows := max(len(before), len(after))
	if p.op == packUpdate && len(before) != len(after) {
		return nil, fmt.Errorf("%w: %d old rows and %d new ones", errPack, len(before), len(after))
	}
	changes := make([]change, 0, rows)
	for i := int(from); i < min(rows, int(to)); i++ {
		var c change
		switch p.op {
		case packInsert:
			c = change{op: event.Insert, after: after[i]}
		case packDelete:
			c = change{op: event.Delete, before: before[i]}
		default:
			c = change{op: event.Update, before: before[i], after: after[i]}
		}
		changes, err = appendKeyed(changes, s, c)
		if err != nil {
			return nil, err
		}
	}
	return changes, nil
}

// imagesOf are the rows of a pack as JSON; of binary ones those outside of from and to are left out.
func imagesOf(p *pack, s *shape, from, to int64) (before, after []json.RawMessage, err error) {
	if p.sent() {
		if before, err = s.sentRows(p.olds, from, to); err == nil {
			after, err = s.sentRows(p.news, from, to)
		}
		return before, after, err
	}
	if !utf8.Valid(p.before) || !utf8.Valid(p.after) {
		return nil, nil, errEncoding
	}
	if before, err = rowsOf(p.before); err == nil {
		after, err = rowsOf(p.after)
	}
	return before, after, err
}

func appendKeyed(changes []change, s *shape, c change) ([]change, error) {
	var from, to json.RawMessage
	var err error
	if c.before != nil {
		if from, err = normalize.RowKey(s.columns, s.key, c.before); err != nil {
			return nil, err
		}
	}
	if c.after != nil {
		if to, err = normalize.RowKey(s.columns, s.key, c.after); err != nil {
			return nil, err
		}
	}
	switch {
	case c.op == event.Update && !bytes.Equal(from, to):
		return append(changes,
			change{op: event.Delete, key: from, before: c.before, after: c.after, movedTo: true},
			change{op: event.Insert, key: to, before: c.before, after: c.after, movedFrom: true}), nil
	case c.op == event.Delete:
		c.key = from
	default:
		c.key = to
	}
	return append(changes, c), nil
}

// keptBytes is how large the memory is that is kept for what is written next.
const keptBytes = 1 << 20

// shownOfLarge is how much of a row that is too large goes into its dead letter.
const shownOfLarge = 1 << 20

// row appends an event. What is larger than a record may be is cut, and becomes a dead letter.
func (b *batch) row(p *pack, s *shape, index int64, c change) {
	written := appendRowChange(b.r.written[:0], s, p, index, c)
	if b.r.written = nil; cap(written) <= keptBytes {
		b.r.written = written
	}
	key := event.RecordKey(s.stream, c.key)
	size := int64(len(written) + len(key))
	if p.cut {
		size = max(size, p.size)
	}
	position := b.position()
	e := event.Raw{
		Type: event.RawType, Kind: event.Postgres, ID: event.ID(b.r.name, position), Stream: s.stream, Time: p.at.UTC(),
		RecordKey: key, Key: c.key, CapturedAt: b.now,
	}
	if size > b.r.options.MaxRecordBytes {
		e.Size = size
		written = written[:min(int64(len(written)), shownOfLarge, b.r.options.MaxRecordBytes)]
	}
	e.Value = bytes.Clone(written) // no larger than it is: it is held until it is committed
	if b.events == nil {
		b.events = make([]event.Raw, 0, b.r.usual)
	}
	b.events = append(b.events, e)
	b.bytes += len(e.Value)
	b.tells(s.stream, c)
}

// beginningOf is the change of a row of which only the beginning was read, with its key where that is in there.
func beginningOf(p *pack, s *shape) change {
	c := change{op: event.Update, before: firstRow(p.before), after: firstRow(p.after)}
	switch p.op {
	case packInsert:
		c.op = event.Insert
	case packDelete:
		c.op = event.Delete
	}
	image := c.after
	if image == nil {
		image = c.before
	}
	if key, err := normalize.RowKey(s.columns, s.key, wholeMembers(image)); err == nil {
		c.key = key
	}
	return c
}

func (b *batch) position() string {
	position := event.TickPosition(b.r.p.Epoch, b.r.p.Tick+1, b.open.N)
	b.open.N++
	return position
}

// appendRowChange writes event.RowChange; what is the same for all rows of a shape was written once.
func appendRowChange(b []byte, s *shape, p *pack, index int64, c change) []byte {
	b = append(b, `{"version":1,"op":"`...)
	b = append(b, c.op...)
	b = append(b, `",`...)
	b = append(b, s.head...)
	if c.before != nil {
		b = append(b, `,"before":`...)
		b = append(b, c.before...)
	}
	if c.after != nil {
		b = append(b, `,"after":`...)
		b = append(b, c.after...)
	}
	if s.incomplete != nil && (c.before != nil || c.after != nil) {
		b = append(b, `,"incomplete":`...)
		b = append(b, s.incomplete...)
	}
	if c.movedTo {
		b = append(b, `,"moved_to":true`...)
	}
	if c.movedFrom {
		b = append(b, `,"moved_from":true`...)
	}
	if c.reason != "" {
		b = append(b, ',')
		b = appendText(b, "reason", c.reason)
	}
	b = append(b, `,"transaction":"`...)
	b = append(b, p.txid...)
	b = append(b, `","transaction_index":`...)
	b = strconv.AppendInt(b, index, 10)
	if p.txid == "" { // read, and nobody's doing
		return append(b, '}')
	}
	b = append(b, `,"actor":{`...)
	b = appendText(b, "application", p.application)
	b = append(b, ',')
	b = appendText(b, "user", p.login)
	b = append(b, ',')
	b = appendText(b, "client", p.client)
	b = append(b, '}')
	if p.tag != "" {
		b = append(b, ',')
		b = appendText(b, "tag", p.tag)
	}
	return append(b, '}')
}

// appendText writes a member; an empty text is null.
func appendText(b []byte, name, text string) []byte {
	b = event.AppendString(b, name)
	b = append(b, ':')
	if text == "" {
		return append(b, "null"...)
	}
	return event.AppendString(b, text)
}
