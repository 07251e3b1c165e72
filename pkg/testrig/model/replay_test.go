package model

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"datawatch/pkg/event"
)

// changesOf are changes of one stream and transaction, each "op key before after", - for none.
func changesOf(lines ...string) []Change {
	changes := make([]Change, len(lines))
	for i, line := range lines {
		word := func(n int) string { return strings.Trim(strings.Fields(line)[n], "-") }
		changes[i] = Change{
			ID: event.ID("shop-db", fmt.Sprintf("e.%04d", i)), Stream: "shop-db/public.t", Op: event.Op(word(0)), Key: word(1), Before: word(2), After: word(3),
			Transaction: "7", Index: int64(i),
		}
	}
	return changes
}

// TestWhatDoesNotFollowIsFound: a replay finds what was lost, came twice, or is out of order.
func TestWhatDoesNotFollowIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		replay Replay
		lines  []string
		edit   func([]Change)
		want   string
	}{
		"a lost insert":            {lines: []string{"update 1 a b"}, want: "the row was"},
		"a lost update":            {lines: []string{"insert 1 - a", "update 1 b c"}, want: "the row was"},
		"a lost delete":            {lines: []string{"insert 1 - a", "insert 1 - b"}, want: "the row was there"},
		"a delete twice":           {lines: []string{"insert 1 - a", "delete 1 a -", "delete 1 a -"}, want: "the row was"},
		"an update after truncate": {lines: []string{"insert 1 - a", "truncate - - -", "update 1 a b"}, want: "the row was"},
		"the same id twice":        {lines: []string{"insert 1 - a", "insert 2 - a"}, edit: func(c []Change) { c[1].ID = c[0].ID }, want: "came twice"},
		"a position behind":        {lines: []string{"insert 1 - a", "insert 2 - a"}, edit: func(c []Change) { c[0].ID, c[1].ID = c[1].ID, c[0].ID }, want: "or behind"},
		"a gap":                    {lines: []string{"insert 1 - a"}, edit: func(c []Change) { c[0].Gap = "{}" }, want: "a gap"},
		"an old read":              {Replay{Unknown: true}, []string{"read 1 - a", "update 1 a b", "read 1 - a"}, nil, "the row was"},
		"a read of a deleted row":  {Replay{Unknown: true}, []string{"delete 1 a -", "read 1 - a"}, nil, "the row was"},
		"no old row":               {lines: []string{"insert 1 - a", "update 1 - b"}, edit: func(c []Change) { c[1].Incomplete = &event.Incomplete{Before: "unavailable"} }, want: "incomplete"},
		"nothing wrong":            {lines: []string{"insert 1 - a", "update 1 a b", "delete 1 b -", "insert 1 - c"}},
		"rows that were there":     {Replay{Unknown: true}, []string{"update 1 a b", "read 1 - b", "read 2 - x", "delete 2 x -"}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			changes := changesOf(c.lines...)
			if c.edit != nil {
				c.edit(changes)
			}
			_, err := c.replay.Tables(changes)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestARowThatIsMissingFromATransactionIsFound(t *testing.T) {
	changes := changesOf("insert 1 - a", "insert 2 - a", "insert 3 - a")
	if err := Whole(changes); err != nil {
		t.Error(err)
	}
	if err := Whole(append(changes[:1:1], changes[2])); err == nil {
		t.Error("a lost change isn't found")
	}
}

func TestTablesAreComparedByTheirColumns(t *testing.T) {
	rows := map[string]string{`{"id":1}`: `{"id":1,"added":null}`}
	if err := Equal(rows, map[string]string{`{"id":1}`: `{"id":1,"dropped":5}`}); err != nil {
		t.Error(err)
	}
	for name, replayed := range map[string]map[string]string{
		"missing":   {},
		"different": {`{"id":1}`: `{"id":1,"added":7}`},
		"extra":     {`{"id":1}`: `{"id":1}`, `{"id":2}`: `{"id":2}`},
	} {
		if err := Equal(maps.Clone(rows), replayed); err == nil {
			t.Errorf("%s: no difference", name)
		}
	}
}
