package cel

import (
	"context"
	"testing"
)

// TestContainersKeptElsewhereAreAsThoseFromJSON evaluates on a list and an object of the caller's own, with the values in
// the order of the program's variables.
func TestContainersKeptElsewhereAreAsThoseFromJSON(t *testing.T) {
	env, err := NewEnv(Variables("old", "self", "unused")...)
	if err != nil {
		t.Fatal(err)
	}
	p, issues := env.Compile("self == old && self.map(k, k) == ['a', 'b'] && sum(self.b) == 3 && self.?c.orValue(self.a) == 'x'", Options{Result: Bool})
	if p == nil {
		t.Fatal(issues)
	}
	list := values{IntValue(1), IntValue(2)}
	object := ObjectOf(&members{[]string{"a", "b"}, []Value{StringValue("x"), ListOf(&list)}})
	parsed, err := ParseJSON([]byte(`{"b": [1, 2.0], "a": "x"}`))
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]Value{"self": object, "old": parsed}
	var inOrder []Value
	for _, name := range p.Variables() {
		inOrder = append(inOrder, byName[name])
	}
	if holds, err := p.EvalInOrder(context.Background(), inOrder); !holds || err != nil {
		t.Error(holds, err)
	}
	if _, err := p.EvalInOrder(context.Background(), make([]Value, len(inOrder))); err == nil {
		t.Error("an unbound variable passes")
	}
}
