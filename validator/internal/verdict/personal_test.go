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
