package verdict_test

import (
	"encoding/json"
	"strings"
	"testing"

	"datawatch/pkg/event"
)

func TestKeyThatRepeatsWhatIsHiddenIsHidden(t *testing.T) {
	const schema = `{"x-pii": ["/phone"], "properties": {"n": {"type": "number"}}}`
	e := testEvent{Op: event.Message, Key: json.RawMessage(`"0901234567"`), After: json.RawMessage(`{"phone": "0901234567", "n": "x"}`)}
	v := judge(t, schema, e).Violation
	if text, err := json.Marshal(v); err != nil || strings.Contains(string(text), "0901234567") {
		t.Errorf("%s, %v", text, err)
	}
	e.After = json.RawMessage(`{"phone": "0900000000", "n": "x"}`)
	if v := judge(t, schema, e).Violation; string(v.Key) != `"0901234567"` {
		t.Errorf("key %s", v.Key)
	}
}

func TestNumbersOfPeopleAreHiddenThoughTheyAreDigits(t *testing.T) {
	v := judge(t, `{"properties": {"card": {"format": "luhn"}, "phone": {"format": "phone"}, "iban": {"format": "iban"}}}`,
		after(`{"card": "4111111111111112", "phone": "0901234567", "iban": "1234567890"}`)).Violation
	if len(v.Errors) != 3 {
		t.Fatalf("%+v", v.Errors)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []string{"4111111111111112", "0901234567", "1234567890"} {
		if strings.Contains(string(text), number) {
			t.Errorf("%s is shown in %s", number, text)
		}
	}
}

// TestSampleShowsOfTextsOnlyEnumsDatesAndIDs: digits alone may be a phone's, a card's or a person's number.
func TestSampleShowsOfTextsOnlyEnumsDatesAndIDs(t *testing.T) {
	const schema = `{"properties": {"status": {"enum": ["in work", "done"]}, "kind": {"const": "a kind"}, "amount": {"format": "decimal"}, "total": {"format": "money"}, "currency": {"format": "currency"},
		"at": {"format": "date-time"}, "list": {"items": {"enum": ["one two"]}}, "never": false}}`
	for name, c := range map[string]struct{ value, shown string }{
		"an enum's value":         {`{"status": "in work"}`, `{"status":"in work"}`},
		"a const's":               {`{"kind": "a kind"}`, `{"kind":"a kind"}`},
		"an enum's in a list":     {`{"list": ["one two"]}`, `{"list":["one two"]}`},
		"no enum's, a word":       {`{"status": "doen"}`, `{"status":"doen"}`},
		"no enum's, a sentence":   {`{"status": "ask Alice"}`, `{"status":"•••"}`},
		"dates and times":         {`{"d": "2026-11-22", "t": "2026-11-22T10:00:00.5Z", "p": "2026-11-22 10:00:00+07:00"}`, `{"d":"2026-11-22","t":"2026-11-22T10:00:00.5Z","p":"2026-11-22 10:00:00+07:00"}`},
		"ids by their form":       {`{"a": "507f1f77bcf86cd799439011", "b": "123e4567-e89b-12d3-a456-426614174000"}`, `{"a":"507f1f77bcf86cd799439011","b":"123e4567-e89b-12d3-a456-426614174000"}`},
		"ids by their name":       {`{"id": "A-1", "order_id": "x:1", "userId": "u.1", "_id": "z"}`, `{"id":"A-1","order_id":"x:1","userId":"u.1","_id":"z"}`},
		"a name in an id's place": {`{"user_id": "Alice Smith", "id": "a@b.example"}`, `{"user_id":"•••","id":"•••"}`},
		"amounts by their format": {`{"amount": "149.98", "total": "149.98", "currency": "USD"}`, `{"amount":"149.98","total":"149.98","currency":"USD"}`},
		"digits alone":            {`{"phone": "0901234567", "card": "4111111111111111", "cccd": "001099012345", "lat": "21.028511"}`, `{"phone":"•••","card":"•••","cccd":"•••","lat":"•••"}`},
		"texts":                   {`{"name": "Alice", "note": "call me", "email": "a@b.example", "empty": ""}`, `{"name":"•••","note":"•••","email":"•••","empty":""}`},
		"what is no text":         {`{"n": 1.50, "b": true, "z": null, "deep": [{"n": 2}]}`, `{"n":1.50,"b":true,"z":null,"deep":[{"n":2}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			v := judge(t, schema, after(strings.TrimSuffix(c.value, "}")+`, "never": 1}`)).Violation
			if want := strings.TrimSuffix(c.shown, "}") + `,"never":1}`; string(v.Sample) != want {
				t.Errorf("%s, want %s", v.Sample, want)
			}
		})
	}
}

// TestWhatIsHiddenShowsInNoPartOfAViolation goes through the ways by which a value, or a name inside it, might come out.
func TestWhatIsHiddenShowsInNoPartOfAViolation(t *testing.T) {
	const secret = "s3cr3t"
	for name, c := range map[string]struct{ schema, value string }{
		"names in a hidden object": {`{"properties": {"hidden": {"additionalProperties": {"type": "number"}}}}`, `{"hidden": {"s3cr3t": "s3cr3t"}}`},
		"unknown names in it":      {`{"properties": {"hidden": {"additionalProperties": false}}}`, `{"hidden": {"s3cr3t": 1}}`},
		"names that are too long":  {`{"properties": {"hidden": {"propertyNames": {"maxLength": 2}}}}`, `{"hidden": {"s3cr3t": 1}}`},
		"dependent on it":          {`{"properties": {"hidden": {"dependentRequired": {"a": ["b"]}}}}`, `{"hidden": {"a": "s3cr3t"}}`},
		"numbers beyond bounds":    {`{"title": "any"}`, `{"hidden": {"s3cr3t": 1e9999}}`},
		"each keyword on a text":   {`{"properties": {"hidden": {"enum": ["a"], "const": "b", "format": "date", "pattern": "^x$", "maxLength": 1, "not": {"type": "string"}}}}`, `{"hidden": "s3cr3t"}`},
		"a list":                   {`{"properties": {"hidden": {"uniqueItems": true, "contains": {"type": "number"}, "maxItems": 1}}}`, `{"hidden": ["s3cr3t", "s3cr3t"]}`},
		"what holds it":            {`{"maxProperties": 0, "not": {}, "const": 1, "enum": [1]}`, `{"hidden": "s3cr3t"}`},
		"a rule's sides":           {`{"x-rules": [{"id": "r", "rule": "self.hidden == 'x'", "message": "m"}]}`, `{"hidden": "s3cr3t"}`},
		"made of it":               {`{"x-rules": [{"id": "r", "rule": "self.id + ':' + self.hidden == 'x'", "message": "m"}]}`, `{"id": "a", "hidden": "s3cr3t"}`},
		"what a rule shows":        {`{"x-rules": [{"id": "r", "rule": "false", "message": "m", "show": ["self.hidden", "self", "root", "self.hidden + 'x'", "[self.hidden]", "{'a': self.hidden}", "self.id + self.hidden"]}]}`, `{"id": "a", "hidden": "s3cr3t"}`},
		"its old value":            {`{"x-rules": [{"id": "r", "rule": "self.hidden == old.hidden", "message": "m", "show": ["old", "old.hidden"]}]}`, `{"hidden": "other"}`},
		"a rule that looks it up":  {`{"x-rules": [{"id": "r", "rule": "self.of[self.hidden] == 1", "message": "m"}]}`, `{"hidden": "s3cr3t", "of": {}}`},
		"a rule inside":            {`{"properties": {"hidden": {"items": {"x-rules": [{"id": "r", "rule": "self.a == 1", "message": "m"}]}}}}`, `{"hidden": [{"a": "s3cr3t"}, {"s3cr3t": 1}]}`},
		"a choice":                 {`{"properties": {"hidden": {"oneOf": [{"const": "a"}, {"type": "string", "maxLength": 1}]}}}`, `{"hidden": "s3cr3t"}`},
		"a date inside an id":      {`{"properties": {"hidden": {"format": "date-time"}}}`, `{"hidden": "s3cr3t"}`},
	} {
		t.Run(name, func(t *testing.T) {
			e := after(c.value)
			e.Op, e.Before, e.Key = event.Update, json.RawMessage(`{"hidden": "s3cr3t"}`), json.RawMessage(`{"hidden":"s3cr3t"}`)
			v := judge(t, `{"x-pii": ["/hidden"], `+strings.TrimPrefix(c.schema, "{"), e).Violation
			if v == nil {
				t.Fatal("no violation")
			}
			text, err := json.Marshal(v)
			if err != nil || strings.Contains(string(text), secret) {
				t.Errorf("%s, %v", text, err)
			}
		})
	}
}

// TestATextMadeOfSeveralIsShownOnlyWhereEachMayBe: an id and a name make no id.
func TestATextMadeOfSeveralIsShownOnlyWhereEachMayBe(t *testing.T) {
	v := judge(t, `{"x-rules": [{"id": "r", "rule": "self.id + ':' + self.name == 'x'", "message": "m"}, {"id": "s", "rule": "self.id + ':' + self.order_id == 'x'", "message": "m"}]}`,
		after(`{"id": "7", "name": "Alice", "order_id": "O1"}`))
	wantErrors(t, v, `rule "" "/x-rules/0" "x" "•••"`, `rule "" "/x-rules/1" "x" "7:O1"`)
}

// TestHiddenPlacesMayBeWrittenInEveryFormOfAPointer: the whole value, any member, escapes, indexes, the row's key, a deleted row.
func TestHiddenPlacesMayBeWrittenInEveryFormOfAPointer(t *testing.T) {
	for name, c := range map[string]struct{ pii, value, sample, key string }{
		"the whole value":        {`""`, `{"a": 1, "id": 7}`, `"•••"`, `"•••"`},
		"any member":             {`"/*"`, `{"a": 1, "id": 7}`, `{"a":"•••","id":"•••"}`, `{"id":"•••"}`},
		"one that needs escapes": {`"/a~1b~0c"`, `{"a/b~c": 1, "id": 7}`, `{"a/b~c":"•••","id":7}`, `{"id":7}`},
		"any element's member":   {`"/l/*/n"`, `{"l": [{"n": 1, "m": 2}, {"n": [3]}], "id": 7}`, `{"l":[{"n":"•••","m":2},{"n":"•••"}],"id":7}`, `{"id":7}`},
		"one element":            {`"/l/1"`, `{"l": [1, 2, 3], "id": 7}`, `{"l":[1,"•••",3],"id":7}`, `{"id":7}`},
		"an object with all":     {`"/o"`, `{"o": {"x": {"y": 1}}, "id": 7}`, `{"o":"•••","id":7}`, `{"id":7}`},
		"the key":                {`"/id"`, `{"id": 7}`, `{"id":"•••"}`, `{"id":"•••"}`},
		"what isn't there":       {`"/none"`, `{"id": 7}`, `{"id":7}`, `{"id":7}`},
		"two":                    {`"/a", "/b/c"`, `{"a": null, "b": {"c": true, "d": 1}, "id": 7}`, `{"a":"•••","b":{"c":"•••","d":1},"id":7}`, `{"id":7}`},
	} {
		t.Run(name, func(t *testing.T) {
			schema := `{"x-pii": [` + c.pii + `], "x-rules": [{"id": "r", "on": ["insert", "delete"], "rule": "false", "message": "m"}]}`
			e := testEvent{Op: event.Insert, Key: json.RawMessage(`{"id":7}`), After: json.RawMessage(c.value)}
			deleted := testEvent{Op: event.Delete, Key: e.Key, Before: e.After}
			for _, e := range []testEvent{e, deleted} {
				if v := judge(t, schema, e).Violation; string(v.Sample) != c.sample || string(v.Key) != c.key {
					t.Errorf("%s: sample %s, key %s", e.Op, v.Sample, v.Key)
				}
			}
		})
	}
}
