package sourcetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// lostStretch takes changes away before they are read. The gap stands in their stream between what was read before and what is
// written afterwards, which comes whole.
func lostStretch(t *testing.T, h Harness) {
	c, w := newCommitted(t), newWriter()
	c.mayLose = true
	r := start(t, h, c)
	awaitStreaming(t, c, r)
	w.write(t, h, 3*keys)
	awaitAll(t, h, c, w)
	r.end(t)
	if n := c.countGaps(); n > 0 {
		t.Fatalf("%d gaps while nothing was lost", n)
	}
	before := len(c.copyEvents())
	read := w.last()
	h.Lose(t, func() { w.write(t, h, 2*keys) })
	lost := w.last()

	r = start(t, h, c)
	testrig.Eventually(t, patience, func() error {
		if c.countGaps() == 0 {
			return fmt.Errorf("no gap is reported; captured %d events", len(c.copyEvents())-before)
		}
		return nil
	})
	w.write(t, h, 2*keys)
	testrig.Eventually(t, patience, func() error { return goesOn(t, h, c.copyEvents()[before:], lost, w.last()) })
	r.end(t)
	events := c.copyEvents()
	checkGaps(t, events, before)
	if got := h.Read(t, events[before-1]); got.Number > read[got.Key] {
		t.Errorf("%s: change %d was captured before it was made", got.Key, got.Number)
	}
}

// goesOn tells whether events have, of each key, the changes behind the lost ones, up to the last one.
func goesOn(t testing.TB, h Harness, events []event.Raw, lost, last map[string]int) error {
	at := maps.Clone(lost)
	for _, e := range events {
		if e.Type == event.GapType {
			continue
		}
		change := h.Read(t, e)
		if change.Number != at[change.Key]+1 {
			t.Fatalf("%s: change %d came behind change %d, of which those up to %d are lost", change.Key, change.Number, at[change.Key], lost[change.Key])
		}
		at[change.Key] = change.Number
	}
	for key, n := range last {
		if at[key] != n {
			return fmt.Errorf("%s: captured up to change %d of %d", key, at[key], n)
		}
	}
	return nil
}

// checkGaps looks at the gaps among events, of which there were some before anything was lost.
func checkGaps(t testing.TB, events []event.Raw, before int) {
	t.Helper()
	stream, gaps := events[0].Stream, 0
	ids := map[string]bool{}
	for i, e := range events {
		if ids[e.ID] {
			t.Errorf("event %s came twice", e.ID)
		}
		ids[e.ID] = true
		if e.Type != event.GapType {
			continue
		}
		gaps++
		var gap event.Gap
		if err := json.Unmarshal(e.Value, &gap); err != nil {
			t.Fatalf("gap %s: %v", e.Value, err)
		}
		if i < before || e.Stream != stream || gap.Cause == "" || gap.Remedy == "" || gap.From.After(gap.To) {
			t.Errorf("gap %s, event %d, of %s: %s", e.ID, i, e.Stream, e.Value)
		}
		for _, earlier := range events[:before] { // of a Kafka topic, only those of its partition can be compared
			if of(earlier) == of(e) && earlier.Position() >= e.Position() {
				t.Errorf("gap %s stands before %s, which was captured", e.ID, earlier.ID)
			}
		}
	}
	if gaps == 0 {
		t.Error("no gap among the events")
	}
}

// of is within what positions are in order.
func of(e event.Raw) string { return strings.TrimSuffix(e.ID, e.Position()) }
