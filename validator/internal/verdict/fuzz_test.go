package verdict_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/validator/internal/verdict"
)

// FuzzNoEventStopsTheJudge judges whatever JSON by the schemas of the golden files: no panic, not even one that Judge
// turns into a violation, and always a violation that is JSON and bounded.
func FuzzNoEventStopsTheJudge(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		f.Fatal(err)
	}
	all := map[string]json.RawMessage{}
	var streams []event.Stream
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var c testCase
		if err := json.Unmarshal(text, &c); err != nil {
			f.Fatal(err)
		}
		for name, schema := range c.Schemas {
			all[name] = schema
		}
		for _, e := range c.Events {
			streams = append(streams, e.Stream)
			f.Add(len(streams)-1, string(e.Op), []byte(e.Before), []byte(e.After))
		}
	}
	f.Add(1, "update", []byte(`{"total": -0}`), []byte(`{"total": 1E+2, "items": [[[]], {"price": 1e-400}], "id": 1.0}`))
	f.Add(1, "insert", []byte(nil), []byte(`{"a/b~c%41": {"": {"\u0000": "x"}}, "items": {"0": {"price": -1}}}`))
	set := load(f, all)
	f.Fuzz(func(t *testing.T, stream int, op string, before, after []byte) {
		null := func(b []byte) json.RawMessage {
			if !json.Valid(b) || string(b) == "null" {
				return nil
			}
			return b
		}
		e := testEvent{Name: "fuzz", Stream: streams[uint(stream)%uint(len(streams))], Op: event.Op(op), Key: json.RawMessage(`{"id":1}`), Before: null(before), After: null(after)}
		clean := e.clean()
		v, err := verdict.Judge(t.Context(), set.For(clean.Stream), clean, event.ViolationPosition{}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if v.Violation == nil {
			return
		}
		text, err := json.Marshal(v.Violation)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 128<<10 {
			t.Errorf("a violation of %d bytes", len(text))
		}
		for _, e := range v.Violation.Errors {
			if e.Kind == event.InternalError || e.Kind == event.InvalidError {
				t.Errorf("%s: %s", e.Kind, e.Message)
			}
		}
	})
}
