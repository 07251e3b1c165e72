package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"datawatch/pkg/event"
)

// table has one row, which is another at each walk: the last one stays.
type table struct{ rows []string }

func (t *table) Walk(_ context.Context, each func([]event.Raw) error) error {
	row := t.rows[0]
	if len(t.rows) > 1 {
		t.rows = t.rows[1:]
	}
	return each([]event.Raw{{Key: json.RawMessage(`{"id":1}`), Value: json.RawMessage(row)}})
}

func (t *table) Row(context.Context, json.RawMessage) (*event.Raw, error) {
	return &event.Raw{Key: json.RawMessage(`{"id":1}`), Value: json.RawMessage(t.rows[len(t.rows)-1])}, nil
}

// A column that is dropped while tables are compared is no difference, though clean has it: another is one.
func TestAColumnThatIsDroppedMeanwhileIsNoDifference(t *testing.T) {
	for _, c := range []struct {
		name                   string
		rows                   []string
		differences, unsettled int
	}{
		{"dropped", []string{`{"id":1,"v":"a","extra":5}`, `{"id":1,"v":"a"}`}, 0, 1},
		{"dropped before", []string{`{"id":1,"v":"a"}`}, 0, 0},
		{"added", []string{`{"id":1,"v":"a","extra":5}`, `{"id":1,"v":"a","extra":5,"new":1}`}, 0, 0},
		{"different", []string{`{"id":1,"v":"b","extra":5}`}, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			told := false
			clean := func(key, after json.RawMessage) *event.Clean {
				return &event.Clean{ID: "s/1.1", Stream: "s/t", Change: &event.Change{Op: event.Insert, Key: key, After: after}}
			}
			r, err := Run(t.Context(), Options{
				Stream: "s/t", Table: &table{c.rows}, Complete: true,
				Clean: func(_ context.Context, raw *event.Raw) (*event.Clean, error) { return clean(raw.Key, raw.Value), nil },
				On: func(_ context.Context, each func(*event.Clean) error) error {
					if told {
						return nil
					}
					told = true
					return each(clean(json.RawMessage(`{"id":1}`), json.RawMessage(`{"id":1,"v":"a","extra":5}`)))
				},
				Settle: func(context.Context) error { return nil },
			})
			if err != nil || len(r.Differences) != c.differences || r.Unsettled != int64(c.unsettled) {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// TestAValueThatIsLeftOutIsTheOneThatWasToldBefore, where it was: a difference in it is one.
func TestAValueThatIsLeftOutIsTheOneThatWasToldBefore(t *testing.T) {
	long := func(of string) string { return `"` + strings.Repeat(of, 300) + `"` }
	row := func(v int, text string) string { return fmt.Sprintf(`{"id":1,"v":%d,"text":%s}`, v, text) }
	told := func(op event.Op, after string, left ...string) event.Change {
		c := event.Change{Op: op, Key: json.RawMessage(`{"id":1}`), After: json.RawMessage(after)}
		if left != nil {
			c.Incomplete = &event.Incomplete{Fields: left}
		}
		return c
	}
	whole, left := told(event.Insert, row(1, long("a"))), told(event.Update, `{"id":1,"v":2}`, "text")
	for name, c := range map[string]struct {
		told        []event.Change
		row         string
		differences int
	}{
		"as it was":            {[]event.Change{whole, left}, row(2, long("a")), 0},
		"another":              {[]event.Change{whole, left}, row(2, long("b")), 1},
		"another, left twice":  {[]event.Change{whole, left, left}, row(2, long("b")), 1},
		"null":                 {[]event.Change{whole, left}, row(2, "null"), 1},
		"never told":           {[]event.Change{left}, row(2, long("b")), 0},
		"of a row that went":   {[]event.Change{whole, told(event.Delete, "null"), left}, row(2, long("b")), 0},
		"told anew":            {[]event.Change{whole, left, told(event.Update, row(2, long("b")))}, row(2, long("b")), 0},
		"told anew, and wrong": {[]event.Change{whole, left, told(event.Update, row(2, long("b")))}, row(2, long("a")), 1},
	} {
		t.Run(name, func(t *testing.T) {
			read := false
			r, err := Run(t.Context(), Options{
				Stream: "s/t", Table: &table{[]string{c.row}}, Complete: true,
				Clean: func(_ context.Context, raw *event.Raw) (*event.Clean, error) {
					return &event.Clean{Stream: "s/t", Change: &event.Change{Op: event.Read, Key: raw.Key, After: raw.Value}}, nil
				},
				On: func(_ context.Context, each func(*event.Clean) error) error {
					if read {
						return nil
					}
					read = true
					for i := range c.told {
						if err := each(&event.Clean{ID: fmt.Sprint("s/1.", i), Stream: "s/t", Change: &c.told[i]}); err != nil {
							return err
						}
					}
					return nil
				},
				Settle: func(context.Context) error { return nil },
			})
			if err != nil || len(r.Differences) != c.differences {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// busy is a table with n rows that all change while they are compared; clean has the changes once they were waited for, but those of
// the last wrong ones.
type busy struct {
	n, wrong int
	settled  bool
	told     bool // what is in clean now
	unknown  bool // clean has no rows of before
}

func (b *busy) row(i, v int) event.Raw {
	return event.Raw{Key: fmt.Appendf(nil, `{"id":%d}`, i), Value: fmt.Appendf(nil, `{"id":%d,"v":%d}`, i, v)}
}

func (b *busy) Walk(_ context.Context, each func([]event.Raw) error) error {
	for i := range b.n {
		if err := each([]event.Raw{b.row(i, 2)}); err != nil {
			return err
		}
	}
	return nil
}

func (b *busy) Row(_ context.Context, key json.RawMessage) (*event.Raw, error) {
	var at struct{ ID int }
	err := json.Unmarshal(key, &at)
	row := b.row(at.ID, 2)
	return &row, err
}

func (b *busy) options() Options {
	tell := func(each func(*event.Clean) error, n, v int) error {
		for i := range n {
			row := b.row(i, v)
			if err := each(&event.Clean{ID: fmt.Sprint("s/1.", v), Stream: "s/t", Change: &event.Change{Op: event.Update, Key: row.Key, After: row.Value}}); err != nil {
				return err
			}
		}
		return nil
	}
	return Options{
		Stream: "s/t", Table: b, Complete: !b.unknown,
		Clean: func(_ context.Context, raw *event.Raw) (*event.Clean, error) {
			return &event.Clean{Stream: "s/t", Change: &event.Change{Op: event.Read, Key: raw.Key, After: raw.Value}}, nil
		},
		On: func(_ context.Context, each func(*event.Clean) error) error {
			switch {
			case b.settled && !b.told:
				b.told = true
				return tell(each, b.n-b.wrong, 2)
			case b.settled || b.unknown:
				return nil
			}
			return tell(each, b.n, 1)
		},
		Settle: func(context.Context) error { b.settled = true; return nil },
	}
}

// TestAllThatDiffersIsLookedAtAgain: however many rows change meanwhile, the wrong ones are found among them, and of those that
// clean doesn't know no more are counted than there are. A thousand differences say enough.
func TestAllThatDiffersIsLookedAtAgain(t *testing.T) {
	for _, c := range []struct {
		name                string
		table               busy
		differences, untold int
		more                bool
	}{
		{"few", busy{n: 900, wrong: 1}, 1, 0, false},
		{"many", busy{n: 5000, wrong: 1}, 1, 0, false},
		{"all right", busy{n: 5000}, 0, 0, false},
		{"all wrong", busy{n: 5000, wrong: 5000}, 1000, 0, true},
		{"of before capture", busy{n: 5000, wrong: 5000, unknown: true}, 0, 5000, false},
		{"on their way", busy{n: 5000, wrong: 10, unknown: true}, 0, 10, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Run(t.Context(), c.table.options())
			if err != nil || len(r.Differences) != c.differences || r.Untold != int64(c.untold) || r.More != c.more || r.Unsettled != 0 {
				t.Fatalf("%d differ, %d untold, %d unsettled, more %v: %v", len(r.Differences), r.Untold, r.Unsettled, r.More, err)
			}
			if last := fmt.Sprintf(`{"id":%d}`, c.table.n-1); c.differences == 1 && string(r.Differences[0].Key) != last {
				t.Errorf("%s differs instead of %s", r.Differences[0].Key, last)
			}
		})
	}
}
