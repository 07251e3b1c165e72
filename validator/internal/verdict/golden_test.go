package verdict_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/cel"
	"datawatch/pkg/event"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/verdict"
)

var update = flag.Bool("update", false, "write the golden files anew")

// testCase is a file of testdata: a schema folder, and events in the order in which they are judged.
type testCase struct {
	Schemas map[string]json.RawMessage `json:"schemas"`
	Events  []testEvent                `json:"events"`
}

type testEvent struct {
	Name       string            `json:"name"`
	Stream     event.Stream      `json:"stream"`
	Op         event.Op          `json:"op"`
	Key        json.RawMessage   `json:"key"`
	Before     json.RawMessage   `json:"before"`
	After      json.RawMessage   `json:"after"`
	Incomplete *event.Incomplete `json:"incomplete"`
}

func (e *testEvent) clean() *event.Clean {
	null := func(m json.RawMessage) json.RawMessage {
		if string(m) == "null" {
			return nil
		}
		return m
	}
	return &event.Clean{
		ID: e.Stream.Source() + "/" + e.Name, Stream: e.Stream, Type: event.ChangeType, Time: "2026-11-22T23:59:01.123456Z",
		Change: &event.Change{
			Op: e.Op, Key: null(e.Key), Before: null(e.Before), After: null(e.After), Incomplete: e.Incomplete,
			Origin: event.Origin{Transaction: "81422", Tag: "checkout-test", Actor: &event.Actor{Application: "order-service", User: "app"}},
		},
	}
}

func writeFolder(t testing.TB, files map[string]json.RawMessage) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func load(t testing.TB, files map[string]json.RawMessage) *schemas.Set {
	t.Helper()
	set, err := schemas.Load(writeFolder(t, files))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range set.Problems() {
		if p.Severity == cel.Error {
			t.Errorf("schema folder: %v", p)
		}
	}
	return set
}

func readCase(t *testing.T, file string) testCase {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var c testCase
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestVerdictsAreThoseOfTheGoldenFiles holds the whole violation: places, messages, expected, actual, mask, fingerprints.
func TestVerdictsAreThoseOfTheGoldenFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			c := readCase(t, file)
			set := load(t, c.Schemas)
			var got bytes.Buffer
			for i, e := range c.Events {
				clean := e.clean()
				v, err := verdict.Judge(t.Context(), set.For(clean.Stream), clean, event.ViolationPosition{Topic: "clean", Offset: int64(i)}, now)
				if err != nil {
					t.Fatal(err)
				}
				writeVerdict(t, &got, e.Name, v)
			}
			golden := strings.TrimSuffix(file, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("differs from %s:\n%s", golden, got.Bytes())
			}
		})
	}
}

func writeVerdict(t *testing.T, b *bytes.Buffer, name string, v verdict.Verdict) {
	t.Helper()
	b.WriteString("== " + name + ": " + string(v.Result) + "\n")
	if len(v.Standing) > 0 {
		standing, err := json.Marshal(v.Standing)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("standing " + string(standing) + "\n")
	}
	if v.Violation == nil {
		return
	}
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v.Violation); err != nil {
		t.Fatal(err)
	}
}
