package replay

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/validator/internal/accept"
	"datawatch/validator/internal/schemas"
)

// TestReplaySaysTheSameWithTheAcceptorAndWithout: valid events, wrong ones, deletes, updates without a before, streams
// without a schema, gaps and records that can't be read, by one folder and by two.
func TestReplaySaysTheSameWithTheAcceptorAndWithout(t *testing.T) {
	folder := func(text string) *schemas.Set {
		dir := t.TempDir()
		path := filepath.Join(dir, "shop-db", "public.orders.json")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		set, err := schemas.Load(dir)
		if err != nil || len(set.Problems()) > 0 {
			t.Fatal(err, set.Problems())
		}
		return set
	}
	now := folder(`{"properties": {"total": {"maximum": 7}}, "x-rules": [{"id": "stays", "rule": "old.total <= self.total", "message": "m"}, {"id": "even", "rule": "self.total >= 0", "message": "m"}]}`)
	before := folder(`{"properties": {"total": {"minimum": 2}}}`)
	var records []*broker.Record
	for i := range 300 {
		c := &event.Change{Op: event.Insert, Key: json.RawMessage(fmt.Sprint(i)), After: json.RawMessage(fmt.Sprintf(`{"total":%d}`, i%11-1)), Origin: event.Origin{Kind: event.Postgres}}
		e := &event.Clean{ID: fmt.Sprint(i), Stream: "shop-db/public.orders", Type: event.ChangeType, Time: "2026-11-22T08:00:00Z", Change: c}
		switch i % 7 {
		case 1:
			c.Op, c.Before = event.Update, json.RawMessage(fmt.Sprintf(`{"total":%d}`, i%3))
		case 2:
			c.Op, c.Incomplete = event.Update, &event.Incomplete{Before: "unavailable"}
		case 3:
			c.Op, c.Before, c.After = event.Delete, c.After, nil
		case 4:
			e.Stream = "shop-db/public.carts"
		}
		r := &broker.Record{Topic: "clean", Offset: int64(i), Key: e.RecordKey(), Value: e.AppendJSON(nil), Timestamp: time.Unix(int64(i), 0)}
		if i%50 == 49 {
			r.Value = []byte("{")
		}
		records = append(records, r)
	}
	for _, against := range []*schemas.Set{nil, before} {
		var said [2]string
		glanced := 0
		for i, reader := range []*accept.Reader{nil, accept.NewReader()} {
			r := &run{options: Options{Schemas: now, Against: against, Samples: 2}, report: &Report{}, streams: map[event.Stream]*StreamReport{}, reader: reader, now: newSide(now), before: newSide(against)}
			if against != nil {
				r.report.Compared = &Comparison{}
			}
			for _, record := range records {
				if _, _, _, enough := r.glance(t.Context(), record); enough {
					glanced++
				}
				if err := r.one(t.Context(), record); err != nil {
					t.Fatal(err)
				}
			}
			r.finish()
			text, err := json.Marshal(r.report)
			if err != nil {
				t.Fatal(err)
			}
			said[i] = string(text)
		}
		if said[0] != said[1] {
			t.Errorf("without\n%s\nwith\n%s", said[0], said[1])
		}
		if glanced < 100 {
			t.Errorf("%d events needed no judge", glanced)
		}
	}
}
