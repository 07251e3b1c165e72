package feed

import (
	"bytes"
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
	tables []*table
	kafka  bool         // what a broker holds, not a database
	record *event.Clean // a Kafka record, which is alone
	bare   bool         // only counted: it holds no rows

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

// add takes a change with its row.
func (t *transaction) add(c *event.Clean) {
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
			t.size += weight(c.Change)
		}
	case len(in.rows) < maxRows:
		in.rows = append(in.rows, &row{change: c.Change})
		t.size += weight(c.Change)
	}
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
