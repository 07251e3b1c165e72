package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
)

// batch turns packs into events. It works on a copy of the open tick's progress, which counts only once it is committed.
type batch struct {
	r      *reader
	open   *openTick
	events []event.Raw
	bytes  int
	now    time.Time
}

func (r *reader) newBatch(p progress) *batch {
	open := *p.Open
	if open.Moves != nil {
		moves := *open.Moves
		open.Moves = &moves
	}
	open.Extra = slices.Clone(open.Extra)
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
}

// add makes the events of a pack.
func (b *batch) add(ctx context.Context, p *pack) error {
	shape, err := b.r.shapes.of(ctx, p)
	if err != nil {
		return err
	}
	switch {
	case p.op == packGap:
		b.gap(shape.stream, event.Gap{
			From: p.at, To: p.at, Cause: causeCaptureFailed,
			Remedy: "An error inside capture: " + string(p.after) + ". The write itself went through. " + recapture,
		})
		return nil
	case p.op == packNew:
		b.tableNew(p, shape)
		return nil
	case p.op == packTruncate:
		b.row(p, shape, p.first+b.open.Extra.of(p.txid), change{op: event.Truncate})
		return nil
	case p.held():
		b.tooLarge(p, shape, "rows "+strconv.FormatInt(p.first, 10)+" on of transaction "+p.txid)
		return nil
	}
	changes, err := changesOf(p, shape)
	if err != nil {
		b.unreadable(p, shape, err)
		return nil
	}
	b.addChanges(p, shape, changes)
	return nil
}

func (b *batch) addChanges(p *pack, s *shape, changes []change) {
	offset := b.open.Extra.of(p.txid)
	index := p.first + offset
	if p.rows < p.total { // the deletes were made before, by addMoves
		for _, c := range changes {
			if c.movedTo {
				continue
			}
			b.row(p, s, index, c)
			index++
		}
		return
	}
	var split int64
	for _, deletes := range []bool{true, false} {
		for _, c := range changes {
			if c.movedTo == deletes {
				b.row(p, s, index, c)
				index++
			}
		}
		if deletes {
			split = index - p.first - offset
		}
	}
	if split > 0 {
		b.open.Extra = b.open.Extra.add(p.txid, split)
	}
}

// addMoves makes just the deletes of the rows whose key changed.
func (b *batch) addMoves(ctx context.Context, p *pack) error {
	shape, err := b.r.shapes.of(ctx, p)
	if err != nil {
		return err
	}
	if p.held() {
		return nil // told by add
	}
	changes, err := changesOf(p, shape)
	if err != nil {
		return nil //nolint:nilerr // told by add
	}
	// Before the statement's first row: its first pack has the smallest number.
	if b.open.Moves.Part < 0 {
		b.open.Moves.First = p.first
		b.open.Moves.XID = p.txid
	}
	for _, c := range changes {
		if c.movedTo {
			b.row(p, shape, b.open.Moves.First+b.open.Extra.of(p.txid)+b.open.Moves.Count, c)
			b.open.Moves.Count++
		}
	}
	return nil
}

// movesDone says that the statement's packs may follow.
func (b *batch) movesDone() {
	b.open.Moves.Done = true
	if b.open.Moves.Count > 0 {
		b.open.Extra = b.open.Extra.add(b.open.Moves.XID, b.open.Moves.Count)
	}
}

// changesOf reads a pack's rows. A changed key gives two changes, the delete first.
func changesOf(p *pack, s *shape) ([]change, error) {
	before, err := rowsOf(p.before)
	if err != nil {
		return nil, err
	}
	after, err := rowsOf(p.after)
	if err != nil {
		return nil, err
	}
	rows := max(len(before), len(after))
	if p.op == packUpdate && len(before) != len(after) {
		return nil, fmt.Errorf("%w: %d old rows and %d new ones", errPack, len(before), len(after))
	}
	changes := make([]change, 0, rows)
	for i := range rows {
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

// row appends an event.
func (b *batch) row(p *pack, s *shape, index int64, c change) {
	value := appendRowChange(nil, s, p, index, c)
	key := event.RecordKey(s.stream, c.key)
	if int64(len(value)+len(key)) > b.r.options.MaxRecordBytes {
		b.tooLarge(p, s, "the row with the key "+string(c.key))
		return
	}
	position := b.position()
	b.events = append(b.events, event.Raw{
		Type: event.RawType, Kind: event.Postgres, ID: event.ID(b.r.name, position), Stream: s.stream, Time: p.at.UTC(),
		RecordKey: key, Key: c.key, Value: value, CapturedAt: b.now,
	})
	b.bytes += len(value)
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
	if c.movedTo {
		b = append(b, `,"moved_to":true`...)
	}
	if c.movedFrom {
		b = append(b, `,"moved_from":true`...)
	}
	b = append(b, `,"transaction":"`...)
	b = append(b, p.txid...)
	b = append(b, `","transaction_index":`...)
	b = strconv.AppendInt(b, index, 10)
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
