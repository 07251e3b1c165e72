package ddl

import (
	"strings"
	"testing"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig/model"
)

// changesOf are changes of one stream, each "op key before after", - for none; or "gap".
func changesOf(lines []string) (changes []model.Change) {
	for _, line := range lines {
		words := append(strings.Fields(line), "-", "-", "-")
		for i := range words {
			words[i] = strings.Trim(words[i], "-")
		}
		c := model.Change{Stream: "shop-db/s1.t1", Op: event.Op(words[0]), Key: words[1], Before: words[2], After: words[3]}
		if line == "gap" {
			c = model.Change{Stream: c.Stream, Gap: "{}"}
		}
		changes = append(changes, c)
	}
	return changes
}

// TestWhatAStreamLeavesBehindIsHeldAgainstItsTable: what was lost, what is left, and what only a gap may hide.
func TestWhatAStreamLeavesBehindIsHeldAgainstItsTable(t *testing.T) {
	const a, b = `{"id":1,"v":"a"}`, `{"id":1,"v":"b"}`
	for name, c := range map[string]struct {
		told    []string
		rows    []string
		exact   bool
		differs bool
	}{
		"the same":                     {told: []string{"insert 1 - " + a, "update 1 - " + b}, rows: []string{b}},
		"a lost insert":                {rows: []string{a}, differs: true},
		"a lost update":                {told: []string{"insert 1 - " + a}, rows: []string{b}, differs: true},
		"a lost delete":                {told: []string{"insert 1 - " + a}, differs: true},
		"by two keys":                  {told: []string{"insert 1 - " + a, "update 2 - " + a}, rows: []string{a}, differs: true},
		"behind a gap":                 {told: []string{"insert 1 - " + a, "gap"}, rows: []string{b, b}},
		"since a gap":                  {told: []string{"gap", "insert 1 - " + a}, rows: []string{b}, differs: true},
		"a gap of before the end":      {told: []string{"gap", "truncate"}, rows: []string{b}, differs: true},
		"read anew":                    {told: []string{"insert 1 - " + a, "gap"}, rows: []string{b}, exact: true, differs: true},
		"without a key":                {told: []string{"insert - - " + a, "insert - - " + a, "update - " + a + " " + b, "delete - " + b}, rows: []string{a}},
		"without a key, a lost row":    {told: []string{"insert - - " + a}, rows: []string{a, a}, differs: true},
		"without a key, none before":   {told: []string{"delete - " + a}, differs: true},
		"without a key, told and read": {told: []string{"insert - - " + a, "read - - " + a}, rows: []string{a}},
		"a column that came":           {told: []string{"insert 1 - " + a}, rows: []string{`{"id":1,"v":"a","new":null}`}},
		"what isn't known":             {told: []string{"insert 1 - " + `{"id":1,"v":"a","rewritten":1}`}, rows: []string{`{"id":1,"v":"a","rewritten":2}`}},
	} {
		t.Run(name, func(t *testing.T) {
			known := []string{"id", "new", "v"}
			var rows []string
			for _, row := range c.rows {
				rows = append(rows, image(row, known))
			}
			if text := replay(changesOf(c.told), known).differs(rows, c.exact); (text != "") != c.differs {
				t.Errorf("differs: %q", text)
			}
		})
	}
}
