package verify

import (
	"context"
	"encoding/json"
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
