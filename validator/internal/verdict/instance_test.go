package verdict_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"datawatch/pkg/event"
	"datawatch/validator/internal/verdict"
)

// TestWhatIsTooLargeIsALimitAndTheRestIsJudged: one event of many small values, each of them wrong, would cost a gigabyte and more.
func TestWhatIsTooLargeIsALimitAndTheRestIsJudged(t *testing.T) {
	const schema = `{"items": {"type": "string"}, "x-rules": [{"id": "r", "rule": "true", "message": "m"}]}`
	list := func(n int, value string) string { return "[" + strings.Repeat(value+",", n-1) + value + "]" }
	v := judge(t, schema, after(list(250_001, "1")))
	wantErrors(t, v, `limit "" "" "at most 250000 members and elements" ""`)
	if !v.Unjudged["r"] || v.Standing["schema"] != event.Warning {
		t.Errorf("not judged %v, standing %v", v.Unjudged, v.Standing)
	}
	v = judge(t, schema, after(list(100_000, "1")))
	if got := errorsOf(v); len(got) != verdict.MaxErrors || got[19] != `schema "/19" "/items/type" "string" "integer"` {
		t.Errorf("%q", got)
	}
	if v := judge(t, schema, after(list(249_999, `",[{"`))); v.Violation != nil {
		t.Errorf("%q", errorsOf(v))
	}
}

// TestManyWrongElementsWithRulesCostNoMoreThanTheyAre has a rule and an error at each of many places: to look for each place among
// all that is wrong would take minutes.
func TestManyWrongElementsWithRulesCostNoMoreThanTheyAre(t *testing.T) {
	const schema = `{"items": {"properties": {"a": {"type": "string"}}, "x-rules": [{"id": "r", "rule": "self.a != 'x'", "message": "m"}]}}`
	var items []string
	for i := range 60_000 {
		items = append(items, []string{`{"a":1}`, `{"a":"x"}`}[i%2])
	}
	v := judge(t, schema, after("["+strings.Join(items, ",")+"]"))
	const first = `schema "/0/a" "/items/properties/a/type" "string" "integer"`
	if got := errorsOf(v); len(got) != verdict.MaxErrors || got[0] != first || !strings.HasPrefix(got[1], `rule "/1/a" "/items/x-rules/0"`) {
		t.Errorf("%q", got)
	}
}

// TestHostileValuesAreViolationsOfTheirOwnKind: nothing of them reaches the judges, and what is written of them is JSON that
// every reader can bear.
func TestHostileValuesAreViolationsOfTheirOwnKind(t *testing.T) {
	const schema = `{"properties": {"n": {"type": "integer", "minimum": 0, "maximum": 5, "enum": [1], "multipleOf": 0.01}, "u": {"uniqueItems": true}}, "x-rules": [{"id": "r", "rule": "self.n > 0", "message": "m"}]}`
	for _, number := range []string{"1e1000001", "1e-1000001", "-1E+400000000", strings.Repeat("9", 131_000), "0." + strings.Repeat("0", 100) + "1", "1e401", "-0e99999999999999999999"} {
		for place, value := range map[string]string{"/n": `{"n": %s}`, "/u/1": `{"n": 1, "u": [1, %s]}`} {
			v := judge(t, schema, after(fmt.Sprintf(value, number)))
			wantErrors(t, v, fmt.Sprintf(`limit %q "" "at most 64 characters and an exponent within ±400" ""`, place))
			if v.Violation == nil {
				continue
			}
			text, err := json.Marshal(v.Violation)
			if err != nil || len(text) > 2000 || strings.Contains(string(text), number) {
				t.Errorf("%d bytes, %v", len(text), err)
			}
		}
	}
	for depth, want := range map[int]string{256: "", 257: `limit "" "" "at most 256 levels" ""`, 1_000_000: `limit "" "" "at most 256 levels" ""`} {
		for _, pair := range []string{"[]", "{}"} {
			open, shut, value := "[", "]", "1"
			if pair == "{}" {
				open, shut = `{"a":`, "}"
			}
			v := judge(t, `{"properties": {"n": true}}`, after(strings.Repeat(open, depth)+value+strings.Repeat(shut, depth)))
			if got := strings.Join(errorsOf(v), "\n"); got != want {
				t.Errorf("%d levels of %s: %q", depth, pair, got)
			}
		}
	}
	e := after(`{"n": 1}`)
	e.Key = json.RawMessage(strings.Repeat("[", 300) + strings.Repeat("]", 300))
	if v := judge(t, `{"type": "array"}`, e); string(v.Violation.Key) != `"•••"` {
		t.Errorf("key %s", v.Violation.Key)
	}
}
