package cel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAFalseRuleTellsTheFirstComparisonThatFailed(t *testing.T) {
	self := `{"total": 149.98, "paid": false, "status": "new", "discount": null, "items": [{"price": 49.99, "quantity": 3, "ok": [1, 2]}, {"price": -0.10, "quantity": 0, "ok": [1, 5]}], "flag": true}`
	for source, want := range map[string]string{
		`149.97 == self.total`: "149.97 == 149.98",
		`self.total == sum(self.items.map(i, i.price * i.quantity))`:        "149.98 == 149.97 | self.total | self.items self.items.*.price self.items.*.quantity",
		`self.flag && self.total > 1 && self.total < 100 && self.total < 2`: "149.98 < 100",
		`self.paid`:                                "false == true",
		`self.flag && self.paid`:                   "false == true",
		`!self.flag`:                               "true == false",
		`self.status in ["paid", "sent"]`:          `new in ["paid","sent"]`,
		`!(self.status in ["new"])`:                `new not in ["new"]`,
		`!(self.total > 100)`:                      "149.98 <= 100",
		`self.items.all(i, i.price > 0)`:           "-0.10 > 0 [1]",
		`self.items.all(i, i.ok.all(o, o < 5))`:    "5 < 5 [1 1]",
		`!self.items.exists(i, i.quantity == 0)`:   "0 != 0 [1]",
		`self.total < 0 || self.total > 1000`:      "149.98 < 0",
		`self.flag ? self.total == 1 : true`:       "149.98 == 1",
		`!(self.flag && self.total > 1)`:           "true == false",
		`self.discount != null`:                    "null != null",
		`self.discount > 1 && self.total == 1`:     "149.98 == 1",
		`self.discount.orValue(0) > self.total`:    "0 > 149.98",
		`self.discount.orValue(false)`:             "false == true",
		`timestamp("2026-01-01T00:00:00Z") > time`: "2026-01-01T00:00:00Z > 2026-11-22T00:00:00Z",
		`self.status.startsWith("p")`:              "",
		`self.items.exists(i, i.price > 100)`:      "",
		`self.total == 149.98`:                     "",
		`self.absent`:                              "",
	} {
		b := Bindings{"self": parsed(t, self), "time": TimeValue(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))}
		p := compiled(t, source, Options{Shapes: map[string]*Shape{"self": {Properties: map[string]*Shape{
			"paid": {Type: Bool}, "flag": {Type: Bool}, "absent": {Type: Bool}, "total": {}, "items": {}, "status": {}, "discount": {}}}}})
		found, ok := p.Explain(context.Background(), b)
		got := ""
		if ok {
			got = fmt.Sprintf("%s %s %s", found.Left.Value, found.Op, found.Right.Value)
			if found.Index != nil {
				got += fmt.Sprint(" ", found.Index)
			}
			if strings.Contains(want, "|") {
				got += fmt.Sprintf(" | %s | %s", joinedPaths(found.Left.Paths), joinedPaths(found.Right.Paths))
			}
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", source, got, want)
		}
	}
}

func joinedPaths(paths [][]string) string {
	var all []string
	for _, p := range paths {
		all = append(all, strings.Join(p, "."))
	}
	return strings.Join(all, " ")
}

func TestAnEvaluationIsBoundedInSteps(t *testing.T) {
	long := parsed(t, `{"l": [`+strings.Repeat("1,", 5000)+`1], "s": "`+strings.Repeat("a", 100_000)+`"}`)
	for _, source := range []string{
		`self.l.all(a, self.l.all(b, a == b))`,
		`self.l.map(a, self.l).exists(x, x != self.l)`,
		`self.l.all(a, self.s.contains("b") || true)`,
		`self.l.all(a, self.s == self.s + "")`,
		`self.l.all(a, self.s.size() > 0)`,
		`self.s.replace("a", self.s).size() > 0`,
		`self.l.all(a, sum(self.l) > 0)`,
		`self.l.all(a, 2 in self.l || true)`,
		`self.l.all(a, self.s.matches("^a*$"))`,
		`self.l.all(a, self.s <= self.s)`,
	} {
		began := time.Now()
		_, err := compiled(t, source, Options{}).Eval(context.Background(), Bindings{"self": long})
		var e *EvalError
		if !errors.As(err, &e) || e.Kind != CostError {
			t.Errorf("%s: got %v, want a CostError", source, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s took %v", source, took)
		}
	}
	if ok, err := compiled(t, `self.l.all(a, a == 1)`, Options{}).Eval(context.Background(), Bindings{"self": long}); !ok || err != nil {
		t.Errorf("an affordable rule: %v, %v", ok, err)
	}
}

func TestAnEvaluationEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p := compiled(t, `self.l.all(a, a == 1)`, Options{})
	_, err := p.Eval(ctx, Bindings{"self": parsed(t, `{"l": [1]}`)})
	var e *EvalError
	if !errors.As(err, &e) || e.Kind != InterruptError || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want an InterruptError", err)
	}
	// In the midst of a loop: a context that ends at the second look.
	b := Bindings{"self": parsed(t, `{"l": [`+strings.Repeat("1,", 50_000)+`1]}`)}
	if _, err = p.Eval(&secondLook{Context: context.Background()}, b); !errors.As(err, &e) || e.Kind != InterruptError {
		t.Errorf("in a loop: got %v, want an InterruptError", err)
	}
}

type secondLook struct {
	context.Context
	looks int
}

func (c *secondLook) Err() error {
	if c.looks++; c.looks > 1 {
		return context.DeadlineExceeded
	}
	return nil
}

func TestAResultThatIsNoBoolIsAnError(t *testing.T) {
	p := compiled(t, `self.a.orValue(true)`, Options{})
	for value, kind := range map[string]ErrorKind{`{"a": 1}`: TypeError, `{"a": false}`: "", `{}`: ""} {
		_, err := p.Eval(context.Background(), Bindings{"self": parsed(t, value)})
		var e *EvalError
		if errors.As(err, &e) != (kind != "") || e != nil && e.Kind != kind {
			t.Errorf("%s: got %v, want %s", value, err, kind)
		}
	}
	nullable := Options{Shapes: map[string]*Shape{"self": {Properties: map[string]*Shape{"a": {Type: Bool | Null}}}}}
	_, err := compiled(t, `self.a`, nullable).Eval(context.Background(), Bindings{"self": parsed(t, `{"a": null}`)})
	var e *EvalError
	if !errors.As(err, &e) || e.Kind != NullOperand {
		t.Errorf("a null result: got %v", err)
	}
}

func TestAProgramServesManyGoroutinesAtOnce(t *testing.T) {
	p := compiled(t, `self.total == sum(self.items.map(i, i.price * i.quantity)) && self.status.matches("^p")`, Options{})
	shared := parsed(t, `{"total": 0.03, "status": "paid", "items": [{"price": 0.01, "quantity": 3}]}`)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			own := parsed(t, fmt.Sprintf(`{"total": %d.5, "status": "paid", "items": [{"price": 0.5, "quantity": 1}, {"price": %d, "quantity": 1}]}`, i, i))
			for range 200 {
				for _, v := range []Value{shared, own} {
					if ok, err := p.Eval(context.Background(), Bindings{"self": v}); !ok || err != nil {
						t.Errorf("got %v, %v", ok, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestVariablesAreNamedOnceAndRight(t *testing.T) {
	for _, names := range [][]string{{"a", "a"}, {"1a"}, {""}, {"a-b"}} {
		if _, err := NewEnv(Variables(names...)...); err == nil {
			t.Errorf("%q: no error", names)
		}
	}
}

func FuzzNoRuleAndNoValuePanics(f *testing.F) {
	for _, source := range []string{
		`self.total == sum(self.items.map(i, i.price * i.quantity))`, `round(self.a / self.b, 2, "half_even") > -1`,
		`self.?a.b.orValue(0) in [1, "a", null]`, `has(self.a) ? self.a[0] : {"x": self}["x"]`, `!self.items.exists_one(i, i % 2 == 0)`,
		`timestamp(self.at) + duration("1h") > timestamp("2026-01-01T00:00:00Z")`, `self.s.split(",").map(x, decimal(x)).filter(d, d > 1) == []`,
		`-self.a * -1.5e10`, `self.?a.optMap(x, x.y).value()`, `self.a.substring(self.b, 1) + "x".charAt(0)`, `date(time, self.z)`, `((((((1))))))`, "self.`a`", `"\u0000" + '\x00'`,
	} {
		f.Add(source, []byte(document))
	}
	f.Fuzz(func(t *testing.T, source string, raw []byte) {
		self, err := ParseJSON(raw)
		if err != nil {
			self = FromAny(map[string]any{"a": 1.5, "b": []any{nil, "x"}})
		}
		for _, opts := range []Options{{}, {Result: Any, CostLimit: 10_000}, {Result: Any, Shapes: map[string]*Shape{"self": orders()}}} {
			p, issues := testEnv(t).Compile(source, opts)
			if p == nil {
				if len(issues) == 0 {
					t.Fatalf("%q: neither a program nor an issue", source)
				}
				continue
			}
			b := Bindings{"self": self, "old": self, "time": TimeValue(time.Unix(0, 0))}
			v, err := p.Value(context.Background(), b)
			var e *EvalError
			if errors.As(err, &e) && e.Kind == InternalError {
				t.Fatalf("%q over %q: %v", source, raw, err)
			}
			if err == nil && v.Kind() == 0 {
				t.Fatalf("%q over %q: neither a value nor an error", source, raw)
			}
			if found, ok := p.Explain(context.Background(), b); ok {
				_ = found.Left.Value.Text() + found.Right.Value.Text()
			}
		}
	})
}
