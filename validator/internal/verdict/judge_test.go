package verdict_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/verdict"
)

// judgedAt is when the tests judge: of a time of the clock, the nanoseconds may look like anything.
var judgedAt = time.Date(2026, 11, 22, 23, 59, 2, 0, time.UTC)

func judge(t *testing.T, schema string, e testEvent) verdict.Verdict {
	t.Helper()
	return judgeBy(t, load(t, map[string]json.RawMessage{"s/t.json": json.RawMessage(schema)}), e)
}

// judgeBy judges an event by the file s/t.json of a folder.
func judgeBy(t *testing.T, set *schemas.Set, e testEvent) verdict.Verdict {
	t.Helper()
	e.Stream = "s/t"
	clean := e.clean()
	v, err := verdict.Judge(t.Context(), set.For("s/t"), clean, event.ViolationPosition{}, judgedAt)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func after(text string) testEvent {
	return testEvent{Op: event.Insert, Key: json.RawMessage(`{"id":1}`), After: json.RawMessage(text)}
}

func fingerprints(v verdict.Verdict) string {
	var all []string
	if v.Violation != nil {
		for _, e := range v.Violation.Errors {
			all = append(all, e.Fingerprint)
		}
	}
	return strings.Join(all, " ")
}

func TestFingerprintNeverDependsOnValuesIndexesOrTheVersionOfTheFile(t *testing.T) {
	schema := `{"properties": {"items": {"items": {"properties": {"price": {"minimum": 0}}}}, "by_user": {"additionalProperties": {"type": "number"}}},
		"x-rules": [{"id": "r", "rule": "self.a.orValue(0) < 1 && self.b.orValue(0) < 1", "message": "m"}]}`
	for name, pair := range map[string][2]string{
		"values":                {`{"items": [{"price": -1}]}`, `{"items": [{"price": -200.5}]}`},
		"indexes":               {`{"items": [{"price": -1}]}`, `{"items": [{}, {}, {"price": -1}]}`},
		"names that are data":   {`{"by_user": {"alice": "x"}}`, `{"by_user": {"bob": null}}`},
		"the failed comparison": {`{"a": 5}`, `{"b": 7}`},
		"names in a limit":      {`{"by_user": {"alice": 1e9999}}`, `{"by_user": {"bob": 1e9998}}`},
	} {
		one, two := judge(t, schema, after(pair[0])), judge(t, schema, after(pair[1]))
		if a, b := fingerprints(one), fingerprints(two); a == "" || a != b {
			t.Errorf("%s: %q and %q", name, a, b)
		}
		other := judge(t, strings.Replace(schema, `"m"`, `"another"`, 1), after(pair[0]))
		if fingerprints(other) != fingerprints(one) {
			t.Errorf("%s: another version of the file has other fingerprints", name)
		}
		if other.Violation.ID == one.Violation.ID {
			t.Errorf("%s: the violation's id doesn't depend on the schema", name)
		}
	}
	price, other := judge(t, schema, after(`{"items": [{"price": -1}]}`)), judge(t, schema, after(`{"by_user": {"a": ""}}`))
	if fingerprints(price) == fingerprints(other) {
		t.Error("different places have one fingerprint")
	}
}

func TestAtMostTwentyErrorsAreListedInOrder(t *testing.T) {
	var items []string
	for range 200 {
		items = append(items, `"x"`)
	}
	v := judge(t, `{"items": {"type": "number"}}`, after("["+strings.Join(items, ",")+"]"))
	if n := len(v.Violation.Errors); n != verdict.MaxErrors || !v.Violation.Truncated {
		t.Fatalf("%d errors, truncated: %v", n, v.Violation.Truncated)
	}
	for i, e := range v.Violation.Errors {
		if e.InstanceLocation != fmt.Sprintf("/%d", i) {
			t.Errorf("error %d is at %s", i, e.InstanceLocation)
		}
	}
}

// TestLimitsAreListedInOrderHoweverMany: members of an object come in no order, and a violation is a replay's equal only if the
// same errors are left out each time.
func TestLimitsAreListedInOrderHoweverMany(t *testing.T) {
	var members []string
	for i := range 3 * verdict.MaxErrors {
		members = append(members, fmt.Sprintf(`"n%02d": 1e1000001`, i))
	}
	for range 5 {
		v := judge(t, `{}`, after("{"+strings.Join(members, ",")+"}"))
		if n := len(v.Violation.Errors); n != verdict.MaxErrors || !v.Violation.Truncated {
			t.Fatalf("%d errors, truncated: %v", n, v.Violation.Truncated)
		}
		for i, e := range v.Violation.Errors {
			if e.InstanceLocation != fmt.Sprintf("/n%02d", i) {
				t.Errorf("error %d is at %s", i, e.InstanceLocation)
			}
		}
	}
}

// TestViolationIsBoundedHoweverLargeTheEvent: it has to fit into a record, else the stage would stand still.
func TestViolationIsBoundedHoweverLargeTheEvent(t *testing.T) {
	var members, items []string
	for i := range 100_000 {
		members, items = append(members, fmt.Sprintf(`"m%d": "x"`, i)), append(items, `{"deep": [1, 2, "x"]}`)
	}
	long := strings.Repeat("n", 1<<20)
	for name, value := range map[string]string{
		"members": "{" + strings.Join(members, ",") + "}", "items": `{"items": [` + strings.Join(items, ",") + `]}`,
		"a name": `{"` + long + `": "x"}`, "a text": `{"a": "` + long + `"}`, "a key": `{"id": 1}`,
	} {
		e := after(value)
		if name == "a key" {
			e.Key = json.RawMessage(`{"id":"` + long + `"}`)
		}
		v := judge(t, `{"additionalProperties": {"type": "number"}, "maxProperties": 0}`, e)
		text, err := json.Marshal(v.Violation)
		if err != nil || v.Violation == nil {
			t.Fatal(name, err)
		}
		if len(text) > 64<<10 {
			t.Errorf("%s: a violation of %d bytes", name, len(text))
		}
		if name != "a key" && len(v.Violation.Sample) > 2*8192 {
			t.Errorf("%s: a sample of %d bytes", name, len(v.Violation.Sample))
		}
	}
}

// TestWhatIsPersonalIsNowhereInTheViolation looks for the values in all of the record.
func TestWhatIsPersonalIsNowhereInTheViolation(t *testing.T) {
	schema := `{"x-pii": ["/email", "/phones/*/number", "/id"], "properties": {"email": {"format": "email", "enum": ["nobody@example.com"]}, "phones": {"items": {"properties": {"number": {"maxLength": 3}}}}, "card": {"const": "x"}, "state": {"enum": ["in work", "done"]}},
		"additionalProperties": true, "x-rules": [{"id": "r", "rule": "self.email == self.card", "message": "m", "show": ["self.email", "self.phones", "self.free"]}]}`
	value := `{"id": 987654321, "email": "alice@example.org", "phones": [{"number": "555-SECRET", "kind": "home"}], "card": "4111 SECRET", "state": "SECRET person@example.com", "free": "written by SECRET", "status": "SECRET one"}`
	e := after(value)
	e.Key = json.RawMessage(`{"id":987654321}`)
	for _, s := range []string{schema, strings.NewReplacer(`"format": "email", "enum": ["nobody@example.com"]`, `"type": "string"`, `"maxLength": 3`, `"type": "string"`, `"const": "x"`, `"type": "string"`, `"enum": ["in work", "done"]`, `"type": "string"`).Replace(schema)} {
		v := judge(t, s, e)
		if v.Violation == nil {
			t.Fatal("no violation")
		}
		text, err := json.Marshal(v.Violation)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"alice", "555", "SECRET", "987654321"} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%q is in %s", secret, text)
			}
		}
	}
}

func TestDeleteAsksOnlyRulesThatNameIt(t *testing.T) {
	schema := `{"required": ["x"], "x-rules": [{"id": "a", "rule": "self.x > 0", "message": "m"}, {"id": "b", "on": ["update", "delete"], "rule": "self == old", "message": "a ledger row never changes"}]}`
	e := testEvent{Op: event.Delete, Key: json.RawMessage(`{"id":1}`), Before: json.RawMessage(`{"y": 1}`)}
	v := judge(t, schema, e)
	if v.Violation == nil || len(v.Violation.Errors) != 1 || v.Violation.Errors[0].Rule != "b" || v.Standing != nil {
		t.Errorf("verdict %+v", v)
	}
}

func TestRuleThatNamesOldNeverStands(t *testing.T) {
	schema := `{"x-rules": [{"id": "grows", "rule": "self.n > old.n", "message": "m"}, {"id": "positive", "rule": "self.n > 0", "message": "m"}]}`
	e := testEvent{Op: event.Update, Key: json.RawMessage(`{"id":1}`), Before: json.RawMessage(`{"n": 5}`), After: json.RawMessage(`{"n": -1}`)}
	v := judge(t, schema, e)
	if len(v.Violation.Errors) != 2 || len(v.Standing) != 1 || v.Standing["positive"] != event.Warning {
		t.Errorf("standing %v, errors %+v", v.Standing, v.Violation.Errors)
	}
	e.Op = event.Message
	if v = judge(t, schema, e); len(v.Standing) != 0 {
		t.Errorf("a message stands: %v", v.Standing)
	}
	e.Op, e.Before = event.Update, nil
	for _, op := range []event.Op{event.Update, event.Message} {
		e.Op = op
		if v = judge(t, schema, e); len(v.Unrunnable) != 1 || v.Unrunnable[0] != "grows" {
			t.Errorf("%s: unrunnable: %v", op, v.Unrunnable)
		}
	}
	e.Op = event.Insert
	if v = judge(t, schema, e); len(v.Unrunnable) != 0 {
		t.Errorf("a new row has no before: %v", v.Unrunnable)
	}
}

func TestEndedContextIsNoVerdict(t *testing.T) {
	set := load(t, map[string]json.RawMessage{"s/t.json": json.RawMessage(`{"x-rules": [{"id": "a", "rule": "self.n > 0", "message": "m"}]}`)})
	e := after(`{"n": -1}`)
	e.Stream = "s/t"
	clean := e.clean()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := verdict.Judge(ctx, set.For("s/t"), clean, event.ViolationPosition{}, time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestSumsOfDecimalsAreExact compares the rule's arithmetic with whole numbers of the smallest unit.
func TestSumsOfDecimalsAreExact(t *testing.T) {
	schema := `{"properties": {"total": {"multipleOf": 0.000001}}, "x-rules": [{"id": "adds-up", "rule": "self.total == sum(self.parts)", "message": "m"}]}`
	set := load(t, map[string]json.RawMessage{"s/t.json": json.RawMessage(schema)})
	random := rand.New(rand.NewPCG(1, 2))
	text := func(micros int64) string { return fmt.Sprintf("%d.%06d", micros/1e6, micros%1e6) }
	for range 500 {
		var total int64
		var parts []string
		for range 1 + random.IntN(20) {
			n := random.Int64N(1e15)
			total += n
			parts = append(parts, text(n))
		}
		for _, off := range []int64{0, 1} {
			e := after(fmt.Sprintf(`{"total": %s, "parts": [%s]}`, text(total+off), strings.Join(parts, ",")))
			e.Stream = "s/t"
			clean := e.clean()
			v, err := verdict.Judge(t.Context(), set.For("s/t"), clean, event.ViolationPosition{}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if (v.Violation == nil) != (off == 0) {
				t.Fatalf("off by %d: %s: %s", off, clean.Change.After, v.Result)
			}
			if off == 1 && (v.Violation.Errors[0].Expected != trimmed(text(total)) || v.Violation.Errors[0].Actual != trimmed(text(total+1))) && v.Violation.Errors[0].Actual != text(total+1) {
				t.Fatalf("expected %s, got %+v", text(total), v.Violation.Errors[0])
			}
		}
	}
}

func trimmed(decimal string) string { return strings.TrimSuffix(strings.TrimRight(decimal, "0"), ".") }
