package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"

	"datawatch/pkg/event"
)

// Change is an event, of raw or of clean, as far as a replay looks at it.
type Change struct {
	ID         string
	Stream     event.Stream
	Op         event.Op
	Key        string
	Before     string // of updates and deletes; "" where there is none
	After      string
	Incomplete *event.Incomplete
	// Transaction and Index are its transaction, and its place in it.
	Transaction string
	Index       int64
	Reason      string // of a truncate that is none
	// Gap is the JSON of a gap, which is nothing else.
	Gap string
}

// OfRaw gives the change that a row's event in raw tells.
func OfRaw(e event.Raw) (Change, error) {
	if e.Type == event.GapType {
		return Change{ID: e.ID, Stream: e.Stream, Gap: string(e.Value)}, nil
	}
	var r event.RowChange
	if err := json.Unmarshal(e.Value, &r); err != nil {
		return Change{}, fmt.Errorf("%s: %w", e.ID, err)
	}
	return Change{
		ID: e.ID, Stream: e.Stream, Op: r.Op, Key: string(e.Key), Before: string(r.Before), After: string(r.After), Incomplete: r.Incomplete,
		Transaction: r.Transaction, Index: r.TransactionIndex, Reason: r.Reason,
	}, nil
}

// OfClean gives the change that an event of clean tells.
func OfClean(e *event.Clean) Change {
	if e.Change == nil {
		return Change{ID: e.ID, Stream: e.Stream, Gap: fmt.Sprintf("%+v", e.Gap)}
	}
	c := e.Change
	return Change{
		ID: e.ID, Stream: e.Stream, Op: c.Op, Key: string(c.Key), Before: string(c.Before), After: string(c.After), Incomplete: c.Incomplete,
		Transaction: c.Origin.Transaction, Index: c.Origin.TransactionIndex, Reason: c.Origin.Reason,
	}
}

func (c Change) String() string {
	return fmt.Sprintf("%s %s %s before %s after %s (%s, number %d of transaction %s)", c.Stream, c.Op, c.Key, c.Before, c.After, c.ID, c.Index, c.Transaction)
}

// Replay is how changes are replayed.
type Replay struct {
	// Unknown tells that there were rows before the first change, which snapshots read.
	Unknown bool
	// Partial tells that the source may not know old rows: then an event may say that before is unavailable.
	Partial bool
}

// Tables are the rows that the changes of one source leave behind, by stream and key. It is an error where positions don't
// ascend, where a change is there twice or doesn't follow from what is known of its row by then, and where there is a gap.
func (r Replay) Tables(changes []Change) (map[event.Stream]map[string]string, error) {
	streams, last := map[event.Stream]*table{}, ""
	for _, c := range changes {
		position := event.PositionOf(c.ID)
		if position <= last {
			return nil, fmt.Errorf("%s came twice, or behind %s", c, last)
		}
		last = position
		if c.Gap != "" {
			return nil, fmt.Errorf("a gap in %s: %s", c.Stream, c.Gap)
		}
		if streams[c.Stream] == nil {
			streams[c.Stream] = &table{rows: map[string]string{}, whole: !r.Unknown}
		}
		if err := streams[c.Stream].apply(c, r.Partial); err != nil {
			return nil, fmt.Errorf("%s: %w", c, err)
		}
	}
	state := map[event.Stream]map[string]string{}
	for stream, t := range streams {
		maps.DeleteFunc(t.rows, func(_, row string) bool { return row == gone })
		state[stream] = t.rows
	}
	return state, nil
}

// Whole is an error where the changes of a transaction, in their order, don't count from zero or have holes.
func Whole(changes []Change) error {
	next := map[string]int64{}
	for _, c := range changes {
		if c.Op == event.Read || c.Gap != "" || c.Op == event.Truncate && c.Transaction == "" {
			continue // of no transaction
		}
		if c.Index != next[c.Transaction] {
			return fmt.Errorf("%s isn't number %d", c, next[c.Transaction])
		}
		next[c.Transaction]++
	}
	return nil
}

// table is what is known of one.
type table struct {
	rows  map[string]string // of rows that were deleted: gone
	whole bool              // what isn't in rows isn't there
}

const gone = ""

// replaced is why a stream ends that a snapshot reads anew.
const replaced = "snapshot"

func (t *table) apply(c Change, partial bool) error {
	row, known := t.rows[c.Key]
	known = known || t.whole
	there := row != gone
	exact := c.Incomplete == nil
	if !exact && (!partial || c.Incomplete.Before == "" || len(c.Incomplete.Fields) > 0) {
		return fmt.Errorf("incomplete is %+v", *c.Incomplete)
	}
	switch c.Op {
	case event.Truncate:
		clear(t.rows)
		t.whole = c.Reason != replaced // whose rows are read from here on
		return nil
	case event.Read:
		if known && (!there || !follows(row, c.After)) {
			return fmt.Errorf("the row was %q", row)
		}
	case event.Insert:
		if known && there {
			return fmt.Errorf("the row was there: %s", row)
		}
	case event.Update, event.Delete:
		if known && (!there || exact && !follows(row, c.Before)) {
			return fmt.Errorf("the row was %q", row)
		}
	default:
		return fmt.Errorf("no change of a row")
	}
	if c.Op == event.Delete {
		t.rows[c.Key] = gone
	} else {
		t.rows[c.Key] = c.After
	}
	return nil
}

// Equal says what differs between the rows of a table and those that a replay gave, by key; nil where nothing does.
func Equal(rows, replayed map[string]string) error {
	for key, row := range rows {
		if was, there := replayed[key]; !there || !follows(was, row) {
			return fmt.Errorf("the row %s is %s, by replay it is %q", key, row, was)
		}
	}
	for key, row := range replayed {
		if _, there := rows[key]; !there {
			return fmt.Errorf("the row %s isn't there, by replay it is %s", key, row)
		}
	}
	return nil
}

// follows tells whether two images are of the same row, unchanged: columns that were dropped are in the earlier one alone,
// those that were added are null.
func follows(earlier, later string) bool {
	if earlier == later {
		return true
	}
	var was, is map[string]json.RawMessage
	if json.Unmarshal([]byte(earlier), &was) != nil || json.Unmarshal([]byte(later), &is) != nil {
		return false
	}
	for name, value := range is {
		if old, there := was[name]; there && !bytes.Equal(old, value) || !there && string(value) != "null" {
			return false
		}
	}
	return true
}
