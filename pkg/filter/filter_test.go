package filter_test

import (
	"encoding/json"
	"strings"
	"testing"

	"datawatch/pkg/event"
	"datawatch/pkg/filter"
)

func change(op event.Op, before, after string) *event.Clean {
	raw := func(text string) json.RawMessage {
		if text == "" {
			return nil
		}
		return json.RawMessage(text)
	}
	return &event.Clean{
		Stream: "shop-db/public.orders", Time: "2026-11-22T07:03:07Z",
		Change: &event.Change{
			Op: op, Key: raw(`{"id":1042}`), Before: raw(before), After: raw(after),
			Origin: event.Origin{Tag: "checkout", Actor: &event.Actor{Application: "order-service"}},
		},
	}
}

func TestMatch(t *testing.T) {
	update := change(event.Update, `{"total":0.1}`, `{"total":0.3}`)
	for _, test := range []struct {
		source         string
		e              *event.Clean
		match, applies bool
	}{
		{"after.total == 0.1 + 0.2", update, true, true},
		{"self.total > old.total && root.total == after.total && before.total == 0.1", update, true, true},
		{"self.total > 1", update, false, true},
		{"tag == 'checkout' && actor.application == 'order-service' && key.id == 1042", update, true, true},
		{"op == 'update' && stream.endsWith('.orders') && time > timestamp('2026-01-01T00:00:00Z')", update, true, true},
		{"self.total == 7", change(event.Delete, `{"total":7}`, ""), true, true},
		{"after.total == 7", change(event.Delete, `{"total":7}`, ""), false, false},
		{"old.total == 7", change(event.Insert, "", `{"total":7}`), false, false},
		{"op == 'truncate'", change(event.Truncate, "", ""), true, true},
	} {
		f, err := filter.Compile(test.source)
		if err != nil {
			t.Fatal(err)
		}
		match, applies, err := f.Match(t.Context(), test.e)
		if err != nil || match != test.match || applies != test.applies {
			t.Errorf("%s of a %s gives %v, %v, %v", test.source, test.e.Change.Op, match, applies, err)
		}
	}
}

func TestExpressionWithoutAResultIsAnError(t *testing.T) {
	f, err := filter.Compile("self.nope > 1")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Match(t.Context(), change(event.Insert, "", `{"total":7}`)); err == nil || !strings.Contains(err.Error(), "nope") {
		t.Errorf("Match gave %v", err)
	}
}

func TestWrongExpressionSaysWhere(t *testing.T) {
	for source, want := range map[string]string{"selff.total > 1": "selff", "self.total >": "1:", "1 + 1": "bool"} {
		if _, err := filter.Compile(source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", source, err)
		}
	}
}
