package accept_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"datawatch/pkg/event"
	"datawatch/validator/internal/accept"
)

var (
	formulaFields  = []string{"self.a", "self.b", "self.c.d", "self.e", "0", "1", "2.50", "0.1"}
	formulaNumbers = []string{
		"0", "1", "2", "-1", "2.5", "2.50", "0.1", "0.30", "-0.01", "1e2", "99999999999999999", "0.0000000000000001", "12345678901234567890.5", "922337203685477580",
		"null", `"1"`, "true",
	}
)

// arithmetic is an expression over numbers.
func arithmetic(random *rand.Rand, depth int, fields []string) string {
	switch n := random.IntN(8); {
	case depth == 0 || n < 2:
		return fields[random.IntN(len(fields))]
	case n == 2 && len(fields) == len(formulaFields):
		return "sum(self.l.map(i, " + arithmetic(random, depth-1, append([]string{"i.p", "i.q", "i.p"}, fields...)) + "))"
	default:
		op := []string{"+", "-", "*"}[random.IntN(3)]
		return "(" + arithmetic(random, depth-1, fields) + " " + op + " " + arithmetic(random, depth-1, fields) + ")"
	}
}

// formulaRow has mostly numbers.
func formulaRow(random *rand.Rand, items int) json.RawMessage {
	number := func() string {
		if random.IntN(3) > 0 {
			return formulaNumbers[random.IntN(8)]
		}
		return formulaNumbers[random.IntN(len(formulaNumbers))]
	}
	var l []string
	for range items {
		l = append(l, fmt.Sprintf(`{"p":%s,"q":%s}`, number(), number()))
	}
	return json.RawMessage(fmt.Sprintf(`{"a":%s,"b":%s,"c":{"d":%s},"e":%s,"l":[%s]}`, number(), number(), number(), number(), strings.Join(l, ",")))
}

// TestAFormulaHoldsWhereTheProgramDoes compares rows whose form is known with the same rows by a new reader, which has no formula.
func TestAFormulaHoldsWhereTheProgramDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(31, 32))
	formulas, held := 0, 0
	for range 120 {
		op := []string{"==", "!=", "<", "<=", ">", ">="}[random.IntN(6)]
		x := arithmetic(random, 3, formulaFields)
		y := arithmetic(random, 2, formulaFields)
		if random.IntN(4) == 0 {
			y = x + []string{"", " + 0", " * 1", " - 0.00"}[random.IntN(4)]
		}
		rule, err := json.Marshal(x + " " + op + " " + y)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(rule), "self") {
			continue
		}
		p := accept.Compile(loadFile(t, `{"x-rules": [{"id": "r", "rule": `+string(rule)+`, "message": "m"}]}`))
		reader := accept.NewReader()
		for i := range 30 {
			e := &event.Clean{ID: "1", Stream: stream, Type: event.ChangeType, Time: "2026-11-22T08:00:00Z", Change: &event.Change{
				Op: event.Insert, Key: json.RawMessage(`{"id":1}`), After: formulaRow(random, i/15*3),
			}}
			byForm, _, accepted := sawAlike(t, reader, p, e.AppendJSON(nil))
			if n := reader.Formulas(); byForm && n > 0 {
				formulas++
				if accepted {
					held++
				}
			}
		}
	}
	t.Logf("%d by a formula, of which %d hold", formulas, held)
	if formulas < 1500 || held < 400 {
		t.Errorf("%d by a formula, of which %d hold: too few to compare", formulas, held)
	}
}

// TestFormulasAreThoseOfTheFileInForce: a form outlives the files that its stream was checked by.
func TestFormulasAreThoseOfTheFileInForce(t *testing.T) {
	const schema = `{"x-rules": [{"id": "r", "rule": "self.a + self.b == 3", "message": "m"}]}`
	value := (&event.Clean{ID: "1", Stream: stream, Type: event.ChangeType, Time: "2026-11-22T08:00:00Z", Change: &event.Change{
		Op: event.Insert, Key: json.RawMessage(`{"id":1}`), After: json.RawMessage(`{"a":1,"b":2}`),
	}}).AppendJSON(nil)
	reader := accept.NewReader()
	for i := range 300 {
		p := accept.Compile(loadFile(t, schema))
		byForm, _, accepted := sawAlike(t, reader, p, value)
		if !accepted || byForm != (i > 0) {
			t.Fatalf("file %d: accepted: %t, by a form: %t", i, accepted, byForm)
		}
		if n := reader.Formulas(); byForm && n != 1 {
			t.Fatalf("file %d: its rule has %d formulas", i, n)
		}
	}
}

// TestARuleOfEachElementHasAFormulaAsLongAsThereIsRoom: what has none is asked all the same.
func TestARuleOfEachElementHasAFormulaAsLongAsThereIsRoom(t *testing.T) {
	p := accept.Compile(loadFile(t, `{"properties": {"l": {"type": "array", "items": {"x-rules": [{"id": "r", "rule": "self.p + self.q == 3", "message": "m"}]}}}}`))
	reader := accept.NewReader()
	for i := range 4 {
		l := strings.Repeat(`{"p":1,"q":2},`, 150)
		last := []string{`{"p":1,"q":2}`, `{"p":1,"q":3}`}[i%2]
		value := (&event.Clean{ID: "1", Stream: stream, Type: event.ChangeType, Time: "2026-11-22T08:00:00Z", Change: &event.Change{
			Op: event.Insert, Key: json.RawMessage(`{"id":1}`), After: json.RawMessage(`{"l":[` + l + last + `]}`),
		}}).AppendJSON(nil)
		byForm, _, accepted := sawAlike(t, reader, p, value)
		if accepted != (i%2 == 0) || byForm != (i > 0) {
			t.Fatalf("record %d: accepted: %t, by a form: %t", i, accepted, byForm)
		}
		if n := reader.Formulas(); byForm && n != 100 {
			t.Fatalf("record %d: %d formulas", i, n)
		}
	}
}
