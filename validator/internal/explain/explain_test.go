package explain_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/validator/internal/explain"
	"datawatch/validator/internal/replay"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/tally"
)

var update = flag.Bool("update", false, "write the golden files")

func folder(t *testing.T, files map[string]string) *schemas.Set {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set, err := schemas.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestTheChoiceOfAFileIsExplained holds which file applies, why the others don't, and what people read of it.
func TestTheChoiceOfAFileIsExplained(t *testing.T) {
	set := folder(t, map[string]string{
		"shop-db/public.orders.json": `{"x-rules": [{"id": "stays", "rule": "old.status == self.status", "message": "Status changed"}, {"id": "positive", "rule": "self.total > 0", "message": "Not positive", "severity": "critical"}]}`,
		"shop-db/public.*.json":      `{}`,
		"shop-db/p*.orders.json":     `{}`,
		"shop-db/*.json":             `{`,
		"shop-db/private.*.json":     `{}`,
		"shop-db/private.keys.json":  `{`,
	})
	held, newest := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	report := &replay.Report{HeldSince: &held, Streams: []*replay.StreamReport{
		{Stream: "shop-db/public.orders", Events: 12, Unchecked: 2, Failing: 3, Newest: newest, Unrunnable: map[string]int{"stays": 4}},
	}}
	for name, c := range map[string]struct {
		stream event.Stream
		file   string
		report *replay.Report
		judged *tally.Count
	}{
		"exact":   {"shop-db/public.orders", "shop-db/public.orders.json", report, &tally.Count{Valid: 5000, Invalid: 12, Unvalidated: 3}},
		"glob":    {"shop-db/public.carts", "shop-db/public.*.json", report, nil},
		"broken":  {"shop-db/audit", "", nil, nil},
		"beaten":  {"shop-db/private.keys", "shop-db/private.*.json", nil, nil}, // by what the service may still have
		"nothing": {"shop-kafka/payments", "", &replay.Report{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e := explain.Stream(set, c.stream, c.report, c.judged)
			if e.File != c.file {
				t.Errorf("file %q, want %q", e.File, c.file)
			}
			var b bytes.Buffer
			if err := e.Write(&b); err != nil {
				t.Fatal(err)
			}
			data, err := json.MarshalIndent(e, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got := append(append(b.Bytes(), data...), '\n')
			path := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s\nwant:\n%s", got, want)
			}
		})
	}
}
