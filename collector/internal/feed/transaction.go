package feed

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"datawatch/pkg/event"
)

// maxRows is how many rows of a table a message shows; the rest is counted.
const maxRows = 5

// transaction is what one transaction did, or one Kafka record. It holds no more rows than are shown.
type transaction struct {
	source string
	id     string // empty for a record
	actor  *event.Actor
	tag    string
	first  time.Time // times of the source
	last   time.Time
	caught stretch // times of the capture
	tables []*table
	kafka  bool         // what a broker holds, not a database
	record *event.Clean // a Kafka record, which is alone
	bare   bool         // only counted: it holds no rows

	to     []*viewer // who is shown it
	wanted []*viewer // of these, who follows a change of it

	touched time.Time // when the last change came
	tick    string    // the position without its last part
	size    int       // bytes of the rows
}

// table is what a transaction did to one stream.
type table struct {
	stream event.Stream
	name   string
	rows   []*row
	tally  tally
}

// row is one change of one row; a row whose key moved is one change, not two.
type row struct {
	change *event.Change
	moved  *event.Change // the insert that ends a move
	wanted []*viewer     // who follows it
}

// tally counts changes by what they did.
type tally struct {
	inserts, updates, deletes, truncates, messages int
}

func (t *tally) add(other tally) {
	t.inserts += other.inserts
	t.updates += other.updates
	t.deletes += other.deletes
	t.truncates += other.truncates
	t.messages += other.messages
}

func (t tally) changes() int {
	return t.inserts + t.updates + t.deletes + t.truncates + t.messages
}

// count adds one change; a moved key counts as one update.
func (t *tally) count(op event.Op, movedTo, movedFrom bool) {
	switch {
	case movedFrom:
	case movedTo:
		t.updates++
	case op == event.Insert:
		t.inserts++
	case op == event.Update:
		t.updates++
	case op == event.Delete:
		t.deletes++
	case op == event.Truncate:
		t.truncates++
	case op == event.Message:
		t.messages++
	}
}

func (t *transaction) table(stream event.Stream) *table {
	for _, known := range t.tables {
		if known.stream == stream {
			return known
		}
	}
	made := &table{stream: stream, name: shortName(stream)}
	t.tables = append(t.tables, made)
	return made
}

// see counts a change without its row.
func (t *transaction) see(stream event.Stream, s sight) {
	t.bare = true
	t.table(stream).tally.count(s.op, s.movedTo, s.movedFrom)
}

// show has viewers shown the transaction.
func (t *transaction) show(to []*viewer) {
	for _, v := range to {
		if !slices.Contains(t.to, v) {
			t.to = append(t.to, v)
		}
	}
}

// want has viewers shown the transaction who follow a change of it.
func (t *transaction) want(by []*viewer) {
	t.show(by)
	for _, v := range by {
		if !slices.Contains(t.wanted, v) {
			t.wanted = append(t.wanted, v)
		}
	}
}

// name is what verdicts call the transaction, or the record.
func (t *transaction) name() name {
	if t.record != nil {
		return name{t.source, t.record.ID}
	}
	return name{t.source, t.id}
}

// add takes a change with its row, and who follows it.
func (t *transaction) add(c *event.Clean, wanted []*viewer) {
	if t.actor == nil {
		t.actor = c.Change.Origin.Actor
	}
	if t.tag == "" {
		t.tag = c.Change.Origin.Tag
	}
	in := t.table(c.Stream)
	movedTo, movedFrom := c.Change.MovedTo != nil, c.Change.MovedFrom != nil
	in.tally.count(c.Change.Op, movedTo, movedFrom)
	switch {
	case movedFrom:
		if r := in.moving(c.Change); r != nil {
			r.moved = c.Change
			r.wanted = append(r.wanted, wanted...)
			t.size += weight(c.Change)
		}
	case len(in.rows) < maxRows || in.lacks(wanted):
		in.rows = append(in.rows, &row{change: c.Change, wanted: wanted})
		t.size += weight(c.Change)
	}
}

// lacks tells whether one of the viewers has fewer rows that it follows than a message shows.
func (t *table) lacks(viewers []*viewer) bool {
	return slices.ContainsFunc(viewers, func(v *viewer) bool { return len(t.wantedBy(v)) < maxRows })
}

func (t *table) wantedBy(v *viewer) []*row {
	var out []*row
	for _, r := range t.rows {
		if slices.Contains(r.wanted, v) {
			out = append(out, r)
		}
	}
	return out
}

// shownTo are the rows for a viewer, in their order: those that it follows, and others where there is room.
func (t *table) shownTo(v *viewer) []*row {
	room := maxRows - len(t.wantedBy(v))
	var out []*row
	for _, r := range t.rows {
		switch wanted := slices.Contains(r.wanted, v); {
		case len(out) == maxRows:
			return out
		case !wanted && room <= 0:
			continue
		case !wanted:
			room--
		}
		out = append(out, r)
	}
	return out
}

// moving is the row whose move this insert ends, where it is among those shown.
func (t *table) moving(insert *event.Change) *row {
	for _, r := range t.rows {
		if r.moved == nil && r.change.MovedTo != nil && bytes.Equal(r.change.MovedTo, insert.Key) && bytes.Equal(r.change.Key, insert.MovedFrom) {
			return r
		}
	}
	return nil
}

func weight(c *event.Change) int { return len(c.Before) + len(c.After) + len(c.Key) }

func (t *transaction) changes() int {
	n := 0
	for _, in := range t.tables {
		n += in.tally.changes()
	}
	return n
}

// shortName is what people call a table: its name, with the schema where that isn't PostgreSQL's usual one.
func shortName(stream event.Stream) string {
	return strings.TrimPrefix(stream.Readable(), "public.")
}
