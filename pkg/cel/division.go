package cel

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
)

// division compiles x / y. Most quotients have no last digit, so that there is
// none outside round(), which says how many digits are meant, and which way.
func (c *compiler) division(e ast.Expr, x, y *node) *node {
	if x.types&Number == 0 || y.types&Number == 0 {
		return c.mismatch(e, "/", x, y)
	}
	n := c.made(e, Number, nil, x, y)
	n.eval = func(*frame) Value { return failureOf(n.errorf(InternalError, "a quotient outside round()")) }
	zero := failureOf(n.errorf(ValueError, "division by zero"))
	n.divided = func(f *frame) (quotient, Value) {
		a, v := exactly(f, x)
		if v.kind == failure {
			return a, v
		}
		b, v := exactly(f, y)
		if v.kind == failure {
			return b, v
		}
		if b.num.sign() == 0 {
			return a, zero
		}
		return n.quotient(a.quo(b))
	}
	return n
}

func (n *node) quotient(q quotient, err error) (quotient, Value) {
	if err != nil {
		return q, failureOf(n.calculation(err))
	}
	return q, Value{}
}

// exactly evaluates an operand inside round(), as a quotient where it is one.
func exactly(f *frame, n *node) (quotient, Value) {
	if n.divided != nil {
		return n.divided(f)
	}
	v := n.eval(f)
	switch v.kind {
	case Number:
		return whole(v.number()), Value{}
	case failure:
		return quotient{}, v
	case Null:
		return quotient{}, failureOf(n.nullAs("an operand"))
	}
	return quotient{}, failureOf(n.errorf(TypeError, "%s is %s, not a number", n.what("an operand"), v.kind.one()))
}

// dividedArithmetic is + - * where a side is a quotient.
func (c *compiler) dividedArithmetic(op string, s *sides) func(*frame) (quotient, Value) {
	return func(f *frame) (quotient, Value) {
		a, v := exactly(f, s.x)
		if v.kind == failure {
			return a, v
		}
		b, v := exactly(f, s.y)
		if v.kind == failure {
			return b, v
		}
		switch op {
		case "-":
			b = b.neg()
			fallthrough
		case "+":
			return s.n.quotient(a.add(b))
		}
		return s.n.quotient(a.mul(b))
	}
}

// round compiles round(x, digits) and round(x, digits, mode). The mode is a
// literal, so that a wrong one is found at load.
func (c *compiler) round(e ast.Expr) *node {
	args := e.AsCall().Args()
	if len(args) != 2 && len(args) != 3 {
		return c.reject(e, `as in round(self.total / 3, 2, "half_even")`, "round() takes a number, the digits after the point, and a mode")
	}
	c.exact = true
	x := c.consumed(args[0])
	c.exact = false
	digits := c.consumed(args[1])
	m := halfUp
	if len(args) == 3 {
		name := c.consumed(args[2])
		if name.literal == nil || !slices.Contains(modes, mode(name.literal.text)) {
			hint := "one of " + strings.Join(modeNames(), ", ")
			if name.literal != nil {
				hint = didYouMean(name.literal.text, modeNames())
			}
			return c.reject(args[2], hint, "unknown rounding mode")
		}
		m = mode(name.literal.text)
	}
	n := c.made(e, Number, nil, x, digits)
	switch {
	case n.broken:
	case x.types&Number == 0:
		return c.reject(args[0], "", "round() takes a number, not %s", x.types.one())
	case digits.types&Number == 0:
		return c.reject(args[1], "", "the digits are a number, not %s", digits.types.one())
	}
	n.eval = func(f *frame) Value {
		q, v := exactly(f, x)
		if v.kind == failure {
			return v
		}
		d := digits.eval(f)
		if d.kind == failure {
			return d
		}
		places, ok := d.number().asInt()
		if d.kind != Number || !ok || places > maxRoundDigits || places < -maxRoundDigits {
			return failureOf(n.errorf(ValueError, "the digits to round to are a whole number up to ±%d", maxRoundDigits))
		}
		rounded, err := q.round(int32(places), m)
		return n.computed(rounded, err)
	}
	return n
}

func modeNames() []string {
	names := make([]string, len(modes))
	for i, m := range modes {
		names[i] = string(m)
	}
	return names
}
