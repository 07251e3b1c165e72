package cel

import "cel.dev/cel-go/common/ast"

// truth is what x gives where a bool is needed: a bool or a failure.
func (n *node) truth(v Value, null Value) Value {
	switch v.kind {
	case Bool, failure:
		return v
	case Null:
		return null
	}
	return failureOf(n.errorf(TypeError, "%s is %s, not a bool", n.what("a condition"), v.kind.one()))
}

func (c *compiler) needBool(e ast.Expr, x *node, where string) bool {
	if x.broken || x.types&Bool != 0 {
		return true
	}
	c.reject(e, "compare it with something", "%s needs a bool, not %s", where, x.types.one())
	return false
}

// junction compiles && (decisive false) and || (decisive true). As in CEL, a
// side that decides outweighs a failure of the other; costs and interruptions stay.
func (c *compiler) junction(e ast.Expr, op string, x, y *node) *node {
	args := e.AsCall().Args()
	n := c.made(e, Bool, nil, x, y)
	if !c.needBool(args[0], x, op) || !c.needBool(args[1], y, op) {
		n.broken = true
	}
	decisive := op == "||"
	nullX, nullY := failureOf(x.nullAs("the left side of "+op)), failureOf(y.nullAs("the right side of "+op))
	n.eval = func(f *frame) Value {
		a := x.truth(x.eval(f), nullX)
		if a.kind == Bool && a.Bool() == decisive || a.kind == failure && a.err().final() {
			return a
		}
		b := y.truth(y.eval(f), nullY)
		if b.kind == Bool && b.Bool() == decisive || a.kind == Bool {
			return b
		}
		return firstFailure(a, b)
	}
	n.explain = explainJunction(x, y, decisive)
	return n
}

func (c *compiler) not(e ast.Expr, x *node) *node {
	n := c.made(e, Bool, nil, x)
	if !c.needBool(e.AsCall().Args()[0], x, "!") {
		n.broken = true
	}
	null := failureOf(x.nullAs("what is after !"))
	n.eval = func(f *frame) Value {
		v := x.truth(x.eval(f), null)
		if v.kind == failure {
			return v
		}
		return BoolValue(!v.Bool())
	}
	n.explain = func(f *frame, want bool) (Comparison, bool) { return explain(f, x, !want) }
	return n
}

func (c *compiler) conditional(e ast.Expr, cond, x, y *node) *node {
	n := c.made(e, x.types|y.types, nil, cond, x, y)
	if !c.needBool(e.AsCall().Args()[0], cond, "a condition") {
		n.broken = true
	}
	null := failureOf(cond.nullAs("the condition"))
	n.eval = func(f *frame) Value {
		v := cond.truth(cond.eval(f), null)
		switch {
		case v.kind == failure:
			return v
		case v.Bool():
			return x.eval(f)
		}
		return y.eval(f)
	}
	if x.divided != nil || y.divided != nil {
		n.divided = func(f *frame) (quotient, Value) {
			v := cond.truth(cond.eval(f), null)
			switch {
			case v.kind == failure:
				return quotient{}, v
			case v.Bool():
				return exactly(f, x)
			}
			return exactly(f, y)
		}
	}
	n.explain = func(f *frame, want bool) (Comparison, bool) {
		v := cond.truth(cond.eval(f), null)
		switch {
		case v.kind == failure:
			return Comparison{}, false
		case v.Bool():
			return explain(f, x, want)
		}
		return explain(f, y, want)
	}
	return n
}
