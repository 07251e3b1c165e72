package collector

import (
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datawatch/collector/internal/remote"
	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/collector/internal/verify"
	"datawatch/pkg/event"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestResultsReadAsTheGoldenFilesSay holds what the commands print, as text and as JSON.
func TestResultsReadAsTheGoldenFilesSay(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 15, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	backlog, lost := int64(3<<20), int64(12)
	job := &backfill.Job{
		ID: "0d6f6a0e-7a57-4a3c-9d0f-6f1f9f4b9d11", Asked: ago(time.Minute), Began: ago(59 * time.Second), Ended: ago(2 * time.Second),
		Parts: []*backfill.Part{
			{Stream: "shop-db/public.orders", Place: "16401", Estimate: 1200, Rows: 1234, Bytes: 250_000, Done: true},
			{Stream: "shop-db/public.log", Place: "16402", Rows: 7, Done: true, Note: "without a key: no row is missing, but one that was changed while it was read may have come twice"},
			{Stream: "shop-db/public.secrets", Place: "16403", Done: true, Problem: "permission denied for table secrets"},
		},
	}
	atWork := &backfill.Job{ID: backfill.InitialID, Asked: ago(time.Minute), Began: ago(time.Minute), Parts: []*backfill.Part{
		{Stream: "shop-mongo/shop.carts", Place: "shop.carts", Estimate: 4000, Rows: 1000, Cursor: []byte(`"the key"`)},
	}}
	sources := sourcesOf([]string{"shop-db", "shop-mongo", "shop-kafka", "old-db", "new-db", "lost-db"}, map[string]remote.Seen{
		"shop-db": {
			Status:    &remote.Status{Version: 1, State: source.Streaming, Since: ago(time.Hour), Host: "app-1", At: ago(time.Second), LagSeconds: 0.25, BacklogBytes: &backlog},
			Snapshots: &backfill.Account{Ended: []*backfill.Job{job}},
		},
		"shop-mongo": {
			Status:    &remote.Status{Version: 1, State: source.Snapshot, Reason: atWork.String(), Since: ago(time.Minute), Host: "app-1", At: ago(time.Second), LagSeconds: 1.5},
			Snapshots: &backfill.Account{Jobs: []*backfill.Job{atWork, {ID: "2", Stream: "shop-mongo/shop.items"}}},
		},
		"shop-kafka": {Status: &remote.Status{Version: 1, State: source.Failed, Reason: "connect: the password is wrong", Since: ago(time.Hour), Host: "app-2", At: ago(20 * time.Second)}, Snapshots: &backfill.Account{}},
		"old-db":     {Status: &remote.Status{Version: 1, State: remote.Stopped, Since: ago(24 * time.Hour), Host: "app-2", At: ago(24 * time.Hour)}, Snapshots: &backfill.Account{}},
		"new-db":     {Snapshots: &backfill.Account{}},
		"lost-db":    {Status: &remote.Status{Version: 1, State: source.Streaming, Since: ago(2 * time.Hour), Host: "app-3", At: ago(time.Hour)}, Snapshots: &backfill.Account{}},
	}, now)
	if text, err := json.Marshal(sources); err != nil || strings.Contains(string(text), "the key") {
		t.Errorf("a key of a row that was read is shown: %s, %v", text, err)
	}
	gaps := []gapFound{
		{"shop-db/public.orders", "shop-db/20261122T101500Z.000000000412.000000003", event.Gap{From: ago(time.Hour), To: ago(30 * time.Minute), Cause: "outbox_full", Remedy: "raise outbox.max_bytes"}},
		{"shop-kafka/payments.captured", "shop-kafka/payments.captured/0/20261122T101500Z.0000000000000000042", event.Gap{From: ago(time.Hour), To: now, Cause: "expired", Lost: &lost, Remedy: "keep records longer"}},
	}
	verified := &verify.Result{
		Stream: "shop-db/public.orders", Rows: 300, Sampled: true, Untold: 4, Unsettled: 1, More: true,
		Differences: []verify.Difference{{Key: []byte(`{"id":250}`), Kind: verify.Different, Event: "shop-db/20261122T101500Z.000000000412.000000003"}, {Key: []byte(`{"id":1000}`), Kind: verify.Missing}},
	}
	for name, write := range map[string]func(w io.Writer) error{
		"snapshot.txt":  func(w io.Writer) error { return writeSnapshot(w, job) },
		"snapshot.json": func(w io.Writer) error { return writeJSON(w, job) },
		"status.txt":    func(w io.Writer) error { return writeSources(w, sources) },
		"status.json":   func(w io.Writer) error { return writeJSON(w, sources) },
		"gaps.txt":      func(w io.Writer) error { return writeGaps(w, gaps) },
		"gaps.json":     func(w io.Writer) error { return writeJSON(w, gapsResult{ago(24 * time.Hour), gaps}) },
		"verify.txt":    func(w io.Writer) error { return writeVerified(w, verified) },
		"verify.json":   func(w io.Writer) error { return writeJSON(w, verified) },
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", "commands", name)
			if *update {
				if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("it is\n%s\nnot\n%s", b.String(), want)
			}
		})
	}
}
