package cel

import (
	"errors"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// symbols are the operators between two operands, by the parser's names.
var symbols = map[string]string{
	operators.Equals: "==", operators.NotEquals: "!=", operators.In: "in",
	operators.Less: "<", operators.LessEquals: "<=", operators.Greater: ">", operators.GreaterEquals: ">=",
	operators.Add: "+", operators.Subtract: "-", operators.Multiply: "*", operators.Divide: "/", operators.Modulo: "%",
}

// ordered are the kinds that < and its like compare, each with itself.
const ordered = Bool | Number | String | Timestamp | Duration

func (c *compiler) operator(e ast.Expr, op string, x, y *node) *node {
	if x.broken || y.broken {
		n := c.made(e, anything, nil, x, y)
		if op == "==" || op == "!=" || op == "in" || op[0] == '<' || op[0] == '>' {
			n.types = Bool
		}
		return n
	}
	switch op {
	case "==", "!=":
		return c.equality(e, op, x, y)
	case "<", "<=", ">", ">=":
		return c.ordering(e, op, x, y)
	case "in":
		return c.membership(e, x, y)
	case "/":
		return c.division(e, x, y)
	}
	return c.arithmetic(e, op, x, y)
}

// sides are the failures of an operator's operands, made once.
type sides struct {
	n, x, y             *node
	op                  string
	nullLeft, nullRight Value
}

func (c *compiler) sidesOf(n, x, y *node, op string) *sides {
	return &sides{n, x, y, op, failureOf(x.nullAs("the left side of " + op)), failureOf(y.nullAs("the right side of " + op))}
}

// unfit is the failure of operands that the operator has no meaning for.
func (s *sides) unfit(a, b Value) Value {
	if v, bad := s.unusable(a, b); bad {
		return v
	}
	return failureOf(s.n.errorf(TypeError, "%s has no meaning between %s and %s", s.op, a.kind.one(), b.kind.one()))
}

// unusable is the failure of an operand that failed or is null.
func (s *sides) unusable(a, b Value) (Value, bool) {
	switch {
	case a.kind == failure || b.kind == failure:
		return firstFailure(a, b), true
	case a.kind == Null:
		return s.nullLeft, true
	case b.kind == Null:
		return s.nullRight, true
	}
	return Value{}, false
}

// computed is the value of a calculation, or its failure at n.
func (n *node) computed(d decimal, err error) Value {
	if err != nil {
		return failureOf(n.calculation(err))
	}
	return numberValue(d)
}

func (n *node) calculation(err error) *EvalError {
	kind := ValueError
	if errors.Is(err, ErrLimit) {
		kind = LimitError
	}
	e := n.errorf(kind, "%v", err)
	e.cause = err
	return e
}

// mismatch reports operands that never go together.
func (c *compiler) mismatch(e ast.Expr, op string, x, y *node) *node {
	hint := ""
	switch l, r := x.types&^Null, y.types&^Null; {
	case l == optional || r == optional:
		hint = "take the value out with .orValue(…)"
	case l == Number && r == String || l == String && r == Number:
		hint = "decimal(text) reads a number from a text, string(number) writes one"
	case l == Timestamp && r == String || l == String && r == Timestamp:
		hint = "timestamp(text) reads a point in time from a text"
	case l == Duration && r == String || l == String && r == Duration:
		hint = `duration("24h") reads a duration from a text`
	}
	if x.types == Null || y.types == Null {
		hint = "only == and != compare with null"
	}
	return c.reject(e, hint, "%s has no meaning between %s and %s", op, x.types.one(), y.types.one())
}
