package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"datawatch/pkg/event"
)

// happened is a change with everything that JSON Lines hold of one.
func happened(n int, tx, note string) *event.Clean {
	row := json.RawMessage(fmt.Sprintf(`{"id":%d,"note":%q}`, n, note))
	return &event.Clean{
		ID: event.ID("shop-db", event.TickPosition("20261122T000000Z", int64(n), 1)), Stream: "shop-db/public.orders", Type: event.ChangeType,
		Time: "2026-11-22T07:03:07.123456Z", Change: &event.Change{
			Op: event.Update, Key: json.RawMessage(fmt.Sprintf(`{"id":%d}`, n)), Before: row, After: row, MovedTo: json.RawMessage(`{"id":7}`), MovedFrom: json.RawMessage(`{"id":8}`),
			Origin: event.Origin{
				Kind: event.Postgres, Transaction: tx, Tag: "checkout-test",
				Actor: &event.Actor{Application: "order-service", User: "app", Client: "10.2.0.7"},
			},
		},
	}
}

func linesOf(t *testing.T, r *Recording) string {
	t.Helper()
	var text bytes.Buffer
	if err := r.WriteJSONLines(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// What is counted is never less than what is written, whether transactions are small or large.
func TestFileIsNoLargerThanWasCounted(t *testing.T) {
	const most = 64 << 10
	for _, perTransaction := range []int{1, 3, 1000} {
		for _, note := range []string{"", "short", strings.Repeat("long ", 400)} {
			c := newCollector(Options{MaxBytes: most})
			n := 0
			for ; c.recording.Beyond == 0; n++ {
				c.add(happened(n, fmt.Sprint(n/perTransaction), note))
			}
			if text := linesOf(t, &c.recording); len(text) > most+300 || len(text) < most/2 { // its first line isn't counted
				t.Errorf("%d a transaction, notes of %d: %d bytes", perTransaction, len(note), len(text))
			}
			if c.recording.Changes() != n-1 {
				t.Errorf("%d of %d changes", c.recording.Changes(), n)
			}
		}
	}
}

func TestBrokenRulesBeyondTheFileAreCounted(t *testing.T) {
	const most = 32 << 10
	c := newCollector(Options{MaxBytes: most})
	for n := 0; c.recording.Beyond == 0; n++ {
		c.add(happened(n, "1", "x"))
	}
	changes := c.recording.Changes()
	for n := range changes {
		e := happened(n, "1", "x")
		c.find(&event.Violation{EventID: e.ID, Errors: []event.ViolationError{{Rule: "total-adds-up", Message: strings.Repeat("long ", 100)}}})
	}
	if text := linesOf(t, &c.recording); len(text) > most+most/findingsShare+300 {
		t.Errorf("%d bytes", len(text))
	}
	if held := len(c.recording.Transactions[0].Findings); held == 0 || held == changes || c.recording.Broken() != changes {
		t.Errorf("%d held, %d told of %d", held, c.recording.Broken(), changes)
	}
}

func TestPageThatWouldBeTooLargeSaysWhatItLeavesOut(t *testing.T) {
	c := newCollector(Options{})
	for n := range 64 {
		c.add(happened(n, fmt.Sprint(n), "note"))
	}
	whole, err := c.recording.HTML(1<<20, "en")
	if err != nil || strings.Count(string(whole), "<section>") != 64 || strings.Contains(string(whole), "more transactions") {
		t.Fatalf("%v: %s", err, whole)
	}
	cut, err := c.recording.HTML(len(whole)/3, "en")
	if err != nil || len(cut) > len(whole)/3 || strings.Count(string(cut), "<section>") != 16 || !strings.Contains(string(cut), "… 48 more transactions and records") {
		t.Errorf("%v: %s", err, cut)
	}
}
