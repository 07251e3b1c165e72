package cel

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
)

func stockEnv(t testing.TB) *cel.Env {
	t.Helper()
	env, err := cel.NewEnv(cel.Variable("self", cel.DynType), cel.OptionalTypes(), ext.Strings())
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func stockProgram(t testing.TB, env *cel.Env, source string) cel.Program {
	t.Helper()
	checked, issues := env.Compile(source)
	if issues.Err() != nil {
		t.Fatalf("%s: %v", source, issues.Err())
	}
	p, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestStockCELStillHasTheTrapsThatThisPackageAvoids holds the reasons for this
// package's being: where cel-go comes to give the same, it could be used instead.
func TestStockCELStillHasTheTrapsThatThisPackageAvoids(t *testing.T) {
	env := stockEnv(t)
	self := map[string]any{"n": json.Number("2"), "half": json.Number("2.5"), "long": json.Number("12345678901234567890.123456789")}
	for source, want := range map[string]string{
		`0.1 + 0.2 == 0.3`:                    "false",
		`self.n + self.half > 0.0`:            "error", // an int and a double
		`self.long == 12345678901234567890.0`: "true",  // digits are lost
	} {
		v, _, err := stockProgram(t, env, source).Eval(map[string]any{"self": self})
		got := "error"
		if err == nil {
			got = fmt.Sprint(v.Value())
		}
		if got != want {
			t.Errorf("cel-go: %s is now %s, was %s", source, got, want)
		}
	}
	// A decimal adapter alone doesn't mend it: cel-go's int asks its own kind only.
	if types.Int(1).Equal(types.String("1")) != types.False {
		t.Error("cel-go: an int equals what isn't one of its numbers")
	}
	if _, issues := env.Compile(`1 + 2.5 > 0.0`); issues.Err() == nil {
		t.Error("cel-go: 1 + 2.5 compiles now")
	}
	if _, issues := env.Compile(`self.nope`); issues.Err() != nil {
		t.Error("cel-go: self.nope doesn't compile any more")
	}
	raw, err := json.Marshal(self)
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{`0.1 + 0.2 == 0.3`, `self.n + self.half == 4.5`, `self.long != 12345678901234567890.0`, `1 + 2.5 > 0.0`,
		`1 == self.n - 1`, `self.n in [1, 2]`, `0 < self.n`} {
		if ok, err := compiled(t, source, Options{}).Eval(context.Background(), Bindings{"self": parsed(t, string(raw))}); !ok || err != nil {
			t.Errorf("here: %s is %v, %v", source, ok, err)
		}
	}
}

// generator writes expressions of the part of CEL that both have: whole
// numbers, texts, bools, lists, fields that are there and that aren't.
type generator struct{ r *rand.Rand }

func (g generator) pick(options ...string) string { return options[g.r.IntN(len(options))] }

func (g generator) boolean(depth int) string {
	if depth <= 0 {
		return g.pick("true", "false", "self.t", "self.f", "self.gone", "has(self.i)", "has(self.gone)")
	}
	d := depth - 1
	switch g.r.IntN(12) {
	case 0:
		return "(" + g.boolean(d) + " && " + g.boolean(d) + ")"
	case 1:
		return "(" + g.boolean(d) + " || " + g.boolean(d) + ")"
	case 2:
		return "!" + g.boolean(d)
	case 3:
		return "(" + g.boolean(d) + " ? " + g.boolean(d) + " : " + g.boolean(d) + ")"
	case 4, 5:
		return "(" + g.number(d) + g.pick(" == ", " != ", " < ", " <= ", " > ", " >= ") + g.number(d) + ")"
	case 6:
		return "(" + g.text(d) + g.pick(" == ", " != ", " < ", " > ") + g.text(d) + ")"
	case 7:
		return g.text(d) + g.pick(".contains(", ".startsWith(", ".endsWith(") + g.text(d) + ")"
	case 8:
		return "(" + g.number(d) + " in " + g.list(d) + ")"
	case 9:
		return g.list(d) + g.pick(".all(x, ", ".exists(x, ", ".exists_one(x, ") + g.pick("x > 1", "x == 2", "x < self.i", g.boolean(d), "x % 2 == 0") + ")"
	case 10:
		return "(" + g.list(d) + " == " + g.list(d) + ")"
	}
	return g.boolean(d)
}

func (g generator) number(depth int) string {
	if depth <= 0 {
		return g.pick("0", "1", "2", "3", "-1", "self.i", "self.l[0]", "self.gone", "self.l[9]")
	}
	d := depth - 1
	switch g.r.IntN(6) {
	case 0:
		return "(" + g.number(d) + g.pick(" + ", " - ", " * ") + g.number(d) + ")"
	case 1:
		return "(" + g.number(d) + " % " + g.pick("2", "3", "0") + ")"
	case 2:
		return "size(" + g.pick(g.list(d), g.text(d)) + ")"
	case 3:
		return g.text(d) + ".indexOf(" + g.text(d) + ")"
	case 4:
		return "-" + g.number(d)
	}
	return g.number(d)
}

func (g generator) text(depth int) string {
	if depth <= 0 {
		return g.pick(`"a"`, `"b"`, `""`, "self.s", "self.gone", `"čab"`)
	}
	d := depth - 1
	switch g.r.IntN(4) {
	case 0:
		return "(" + g.text(d) + " + " + g.text(d) + ")"
	case 1:
		return g.text(d) + g.pick(".upperAscii()", ".lowerAscii()", ".trim()")
	case 2:
		return g.text(d) + ".replace(" + g.text(d) + ", " + g.text(d) + ")"
	}
	return g.text(d)
}

func (g generator) list(depth int) string {
	if depth <= 0 {
		return g.pick("[1, 2, 3]", "self.l", "[]", "self.gone")
	}
	d := depth - 1
	switch g.r.IntN(4) {
	case 0:
		return g.list(d) + ".filter(x, " + g.pick("x > 1", "x == self.i", g.boolean(d)) + ")"
	case 1:
		return g.list(d) + ".map(x, " + g.pick("x", "x + 1", g.number(d)) + ")"
	case 2:
		return "(" + g.list(d) + " + " + g.list(d) + ")"
	}
	return g.list(d)
}

// TestWhatBothHaveIsJudgedAsStockCELDoes is the guard of this package's own
// evaluator: the same verdict as cel-go's, or an error where that has one.
func TestWhatBothHaveIsJudgedAsStockCELDoes(t *testing.T) {
	env, ourEnv, g := stockEnv(t), testEnv(t), generator{rand.New(rand.NewPCG(3, 4))}
	self := map[string]any{"t": true, "f": false, "i": int64(2), "s": "cab", "l": []any{int64(1), int64(2), int64(2), int64(5)}}
	ours := FromAny(self)
	judged, failures := 0, 0
	for range 4000 {
		source := g.boolean(4)
		checked, issues := env.Compile(source)
		if issues.Err() != nil {
			continue
		}
		program, err := env.Program(checked)
		if err != nil {
			t.Fatal(err)
		}
		var want string
		if v, _, err := program.Eval(map[string]any{"self": self}); err != nil {
			want = "error"
		} else {
			want = fmt.Sprint(v.Equal(types.True))
		}
		p, found := ourEnv.Compile(source, Options{Result: Any})
		if p == nil {
			if strings.Contains(found[0].Message, "has no meaning") {
				continue // a comparison that can't hold, refused at load
			}
			t.Fatalf("%s: %v", source, found)
		}
		ok, err := p.Eval(context.Background(), Bindings{"self": ours})
		got := fmt.Sprint(ok)
		if err != nil {
			got = "error"
		}
		judged++
		if want == "error" {
			failures++
		}
		if got != want {
			t.Errorf("%s: got %s (%v), cel-go says %s", source, got, err, want)
			if judged > 20 {
				return
			}
		}
	}
	if judged < 2000 || failures > judged*9/10 {
		t.Errorf("only %d judged, %d of them errors: the generator has lost its use", judged, failures)
	}
}

const typicalRule = `self.total == sum(self.items.map(i, i.price * i.quantity))`

var typicalEvent = []byte(`{"id": 1042, "total": 249.96, "currency": "USD", "status": "paid", "customer": {"id": 7, "name": "Ann", "country": "VN"},
	"items": [{"sku": "a-1", "price": 49.99, "quantity": 3}, {"sku": "b-2", "price": 24.99, "quantity": 3}, {"sku": "c-3", "price": 8.34, "quantity": 3}],
	"created_at": "2026-11-22T10:00:00Z", "note": null}`)

func BenchmarkCompile(b *testing.B) {
	env := testEnv(b)
	b.ReportAllocs()
	for b.Loop() {
		if p, issues := env.Compile(typicalRule, Options{}); p == nil {
			b.Fatal(issues)
		}
	}
}

// BenchmarkTypicalRule compares with stock cel-go over doubles, which is given
// a sum of its own and values that are decoded already.
func BenchmarkTypicalRule(b *testing.B) {
	p := compiled(b, typicalRule, Options{})
	b.Run("decimals", func(b *testing.B) {
		bindings := Bindings{"self": parsed(b, string(typicalEvent))}
		b.ReportAllocs()
		for b.Loop() {
			if ok, err := p.Eval(context.Background(), bindings); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
	b.Run("decimals with decoding", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			self, err := ParseJSON(typicalEvent)
			if err != nil {
				b.Fatal(err)
			}
			if ok, err := p.Eval(context.Background(), Bindings{"self": self}); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
	b.Run("stock doubles", func(b *testing.B) {
		env, err := stockEnv(b).Extend(cel.Function("sum", cel.Overload("sum_list", []*cel.Type{cel.ListType(cel.DynType)}, cel.DoubleType,
			cel.UnaryBinding(func(l ref.Val) ref.Val {
				total, list := 0.0, l.(interface {
					Size() ref.Val
					Get(ref.Val) ref.Val
				})
				for i := range list.Size().(types.Int) {
					total += float64(list.Get(i).(types.Double))
				}
				return types.Double(total)
			}))))
		if err != nil {
			b.Fatal(err)
		}
		p := stockProgram(b, env, strings.Replace(typicalRule, "==", "<", 1)) // == of doubles is false for want of exactness
		var self map[string]any
		if err := json.Unmarshal(typicalEvent, &self); err != nil {
			b.Fatal(err)
		}
		vars := map[string]any{"self": self}
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := p.Eval(vars); err != nil {
				b.Fatal(err)
			}
		}
	})
}
