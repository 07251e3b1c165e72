package normalize

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"datawatch/pkg/config"
	"datawatch/pkg/event"
)

// nasty are texts that have broken readers of JSON.
var nasty = []string{
	``, ` `, `null`, `{}`, `[]`, `{"":{}}`, `[[[]]]`, `"`, `"\`, `"\u12`, `"\ud800"`, `"\ud83d\ude00"`, `"\ud83d\ud83d"`, `{"a":1,"a":2}`,
	`-`, `-0`, `01`, `1.`, `.5`, `1e`, `1e+`, `1e1000001`, `NaN`, `tru`, `truex`, "\"\x00\"", "\"\xff\"", "\ufeff{}", `{"a" : [1 , 2 ] }`, `{"a":1]`, `[1}`, `{"a"}`,
	`{"a":1,}`, `[1,]`, `{} {}`, "\"\u2028\"", `"\u2028"`,
	`{"id":1,"at":"2026-11-22T00:00:00+00:00"}`, `{"at":"infinity"}`, `{"at":"0044-03-15T12:00:00+00:00 BC"}`, `{"raw":"\\xff"}`, `{"list":[[1,null]]}`,
}

func kafkaRaw(key, value []byte) *event.Raw {
	return &event.Raw{
		Type: event.RawType, Kind: event.Kafka, ID: "shop-kafka/t/0/20261122T101500Z.0000000000000000041", Stream: "shop-kafka/t",
		Time: time.Unix(0, 0), CapturedAt: time.Unix(0, 0), Key: key, Value: value,
	}
}

// readable fails where a clean event isn't what its readers can read.
func readable(t *testing.T, e *event.Clean) {
	t.Helper()
	text := e.AppendJSON(nil)
	if !json.Valid(text) {
		t.Fatalf("not JSON: %s", text)
	}
	if _, err := event.ParseClean(text); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// FuzzRecord holds a Kafka record against encoding/json: what that finds to be JSON comes out as json.Compact has it,
// anything else as its text or its bytes.
func FuzzRecord(f *testing.F) {
	for _, s := range nasty {
		f.Add([]byte(s), []byte(s))
	}
	n := New(Options{})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		events, err := n.Events(t.Context(), kafkaRaw(key, value))
		if err != nil {
			if wrong, ok := errors.AsType[*Error](err); !ok || wrong.Class != Limit {
				t.Fatal(err)
			}
			return
		}
		c := events[0].Change
		readable(t, events[0])
		if c.Key != nil {
			if canonical, err := event.Canonical(c.Key); err != nil || !bytes.Equal(canonical, c.Key) {
				t.Fatalf("key %s isn't canonical: %s, %v", c.Key, canonical, err)
			}
		}
		if c.Op != event.Message && value != nil {
			return // an envelope: see FuzzDebezium
		}
		if as, _ := oneValue(value); utf8.Valid(value) && cloudEventOf(as) != nil {
			return // see FuzzCloudEvents
		}
		var compact bytes.Buffer
		switch {
		case value == nil:
			if c.Op != event.Delete {
				t.Fatalf("a tombstone is %s", c.Op)
			}
		case !utf8.Valid(value):
			var s string
			if json.Unmarshal(c.After, &s) != nil || s != base64.StdEncoding.EncodeToString(value) || c.Encoding != base64Encoding {
				t.Fatalf("bytes %x are %s, %s", value, c.After, c.Encoding)
			}
		case json.Compact(&compact, value) == nil:
			if !bytes.Equal(c.After, compact.Bytes()) {
				t.Fatalf("JSON %s is %s", value, c.After)
			}
		default:
			var s string
			if json.Unmarshal(c.After, &s) != nil || s != string(value) {
				t.Fatalf("text %q is %s", value, c.After)
			}
		}
	})
}

// FuzzDebezium gives any bytes for an envelope and its key.
func FuzzDebezium(f *testing.F) { fuzzEnvelopes(f, "testdata/events/kafka-debezium*.json") }

// FuzzCloudEvents gives any bytes for a CloudEvent in structured mode and its key.
func FuzzCloudEvents(f *testing.F) { fuzzEnvelopes(f, "testdata/events/kafka-cloudevents*.json") }

// FuzzRows gives any bytes for an envelope of Maxwell or Canal and its key.
func FuzzRows(f *testing.F) {
	fuzzEnvelopes(f, "testdata/events/kafka-maxwell*.json", "testdata/events/kafka-canal*.json")
}

// fuzzEnvelopes begins with the records of golden files. Whatever comes out can be read, by canonical keys.
func fuzzEnvelopes(f *testing.F, globs ...string) {
	var files []string
	for _, glob := range globs {
		found, err := filepath.Glob(glob)
		if err != nil || len(found) == 0 {
			f.Fatalf("no golden files %s: %v", glob, err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var c eventCase
		if err := json.Unmarshal(text, &c); err != nil {
			f.Fatal(err)
		}
		var key, value string
		if c.Raw.Key != nil {
			key = *c.Raw.Key
		}
		if c.Raw.Text != nil {
			value = *c.Raw.Text
		}
		f.Add([]byte(key), []byte(value))
	}
	n := New(Options{MaxShapes: 8})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		events, err := n.Events(t.Context(), kafkaRaw(key, value))
		if err != nil {
			return
		}
		for _, e := range events {
			readable(t, e)
			for _, key := range []json.RawMessage{e.Change.Key, e.Change.MovedTo, e.Change.MovedFrom} {
				if key == nil {
					continue
				}
				if canonical, err := event.Canonical(key); err != nil || !bytes.Equal(canonical, key) {
					t.Fatalf("key %s isn't canonical: %s, %v", key, canonical, err)
				}
			}
		}
	})
}

// FuzzRowValue gives a value to every form of PostgreSQL types: it comes out as JSON or not at all.
func FuzzRowValue(f *testing.F) {
	for _, s := range nasty {
		f.Add([]byte(s))
	}
	files, err := filepath.Glob("testdata/postgres/*.json")
	if err != nil {
		f.Fatal(err)
	}
	var columns []event.Column
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var c typeCase
		if err := json.Unmarshal(text, &c); err != nil {
			f.Fatal(err)
		}
		columns = append(columns, c.Column)
		for _, v := range c.Values {
			f.Add([]byte(v.Raw))
		}
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		if !utf8.Valid(value) {
			return
		}
		row := []byte(`{"v":` + string(value) + `}`)
		for _, c := range columns {
			clean, err := cleanRow([]event.Column{c}, row)
			if err == nil && !json.Valid(clean) {
				t.Fatalf("%s: %s became %s", c.Type, value, clean)
			}
			if key, err := RowKey([]event.Column{c}, []string{"v"}, row); err == nil {
				if canonical, err := event.Canonical(key); err == nil && !bytes.Equal(canonical, key) {
					t.Fatalf("%s: key %s isn't canonical: %s", c.Type, key, canonical)
				}
			}
		}
	})
}

// FuzzRow gives any bytes for a row of raw.
func FuzzRow(f *testing.F) {
	files, err := filepath.Glob("testdata/events/postgres-*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var c eventCase
		if err := json.Unmarshal(text, &c); err != nil {
			f.Fatal(err)
		}
		var b bytes.Buffer
		if err := json.Compact(&b, c.Raw.Row); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(`{"id":1042}`), b.Bytes())
	}
	n := New(Options{MaxShapes: 8})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r := kafkaRaw(key, value)
		r.Kind, r.Stream, r.ID = event.Postgres, "shop-db/public.orders", "shop-db/20261122T101500Z.000000000412.000000001"
		events, err := n.Events(t.Context(), r)
		if err == nil {
			readable(t, events[0])
		}
	})
}

// FuzzMask looks for a field that was to be dropped.
func FuzzMask(f *testing.F) {
	for _, s := range nasty {
		f.Add([]byte(s))
	}
	f.Add([]byte(`{"secret":"x","in":{"secret":[1]},"list":[{"secret":1},{"s":2}]}`))
	m, err := NewMasker([]config.Mask{{Stream: "shop-kafka/*", Fields: []string{"secret", "in.secret", "list.secret"}, How: "drop"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		r := kafkaRaw([]byte("k"), value)
		if err := m.Apply(r); err != nil {
			return
		}
		if !utf8.Valid(value) || !json.Valid(value) {
			if !bytes.Equal(r.Value, value) {
				t.Fatalf("%q became %q", value, r.Value)
			}
			return
		}
		var v map[string]any
		if err := json.Unmarshal(r.Value, &v); err != nil {
			if !json.Valid(r.Value) {
				t.Fatalf("%s became %s", value, r.Value)
			}
			return // no object
		}
		in, _ := v["in"].(map[string]any)
		list, _ := v["list"].([]any)
		for _, e := range append([]any{v, in}, list...) {
			if o, ok := e.(map[string]any); ok {
				if _, there := o["secret"]; there {
					t.Fatalf("%s became %s", value, r.Value)
				}
			}
		}
	})
}

func TestDeepAndLongInputIsCopiedOrRefused(t *testing.T) {
	n := New(Options{})
	digits := strings.Repeat("9", 100_000)
	for name, test := range map[string]struct {
		value string
		class Class
	}{
		"number of 100,000 digits": {digits, ""},
		"fraction and exponent":    {"-0." + digits + "e-" + digits[:50], ""},
		"as deep as may be":        {strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), ""},
		"deeper":                   {strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1), Limit},
		"never closed":             {strings.Repeat(`{"a":`, 1_000_000), Limit},
		"a string of 20 MB":        {`"` + strings.Repeat("x", 20<<20) + `"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			events, err := n.Events(t.Context(), kafkaRaw(nil, []byte(test.value)))
			if test.class != "" {
				if wrong, ok := errors.AsType[*Error](err); !ok || wrong.Class != test.class {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(events[0].Change.After) != test.value {
				t.Error("the value changed")
			}
			readable(t, events[0])
		})
	}
}
