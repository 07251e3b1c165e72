package cel

import (
	"errors"
	"time"

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

// results are what the arithmetic operators give for a left and a right kind.
var results = map[string][]struct{ left, right, result Type }{
	"+": {{Number, Number, Number}, {String, String, String}, {List, List, List},
		{Timestamp, Duration, Timestamp}, {Duration, Timestamp, Timestamp}, {Duration, Duration, Duration}},
	"-": {{Number, Number, Number}, {Timestamp, Timestamp, Duration},
		{Timestamp, Duration, Timestamp}, {Duration, Duration, Duration}},
	"*": {{Number, Number, Number}},
	"%": {{Number, Number, Number}},
}

func (c *compiler) arithmetic(e ast.Expr, op string, x, y *node) *node {
	var result Type
	for _, r := range results[op] {
		if x.types&r.left != 0 && y.types&r.right != 0 {
			result |= r.result
		}
	}
	if result == 0 {
		return c.mismatch(e, op, x, y)
	}
	n := c.made(e, result, nil, x, y)
	if op == "+" && result == List {
		n.shape = &Shape{Type: List}
	}
	s := c.sidesOf(n, x, y, op)
	compute := map[string]func(decimal, decimal) (decimal, error){
		"+": decimal.add, "-": decimal.sub, "*": decimal.mul, "%": decimal.mod}[op]
	n.eval = func(f *frame) Value {
		a, b := x.eval(f), y.eval(f)
		if a.kind == Number && b.kind == Number {
			d, err := compute(a.number(), b.number())
			if err != nil {
				return failureOf(n.calculation(err))
			}
			return numberValue(d)
		}
		return s.others(f, a, b)
	}
	if op != "%" && (x.divided != nil || y.divided != nil) {
		n.divided = c.dividedArithmetic(op, s)
	}
	return n
}

// others is the arithmetic of what isn't numbers.
func (s *sides) others(f *frame, a, b Value) Value {
	switch {
	case s.op == "+" && a.kind == String && b.kind == String:
		if err := f.charge((len(a.text) + len(b.text)) / 16); err != nil {
			return failureOf(err)
		}
		return StringValue(a.text + b.text)
	case s.op == "+" && a.kind == List && b.kind == List:
		return joined(f, a.list(), b.list())
	case s.op == "+" && a.kind == Duration && b.kind == Timestamp:
		a, b = b, a
	}
	minus := s.op == "-"
	switch {
	case s.op != "+" && !minus:
	case a.kind == Timestamp && b.kind == Duration:
		d := b.duration()
		if minus {
			d = -d
		}
		return s.n.point(a.time().Add(d))
	case a.kind == Timestamp && b.kind == Timestamp && minus:
		return s.n.span(a.time().Sub(b.time()))
	case a.kind == Duration && b.kind == Duration:
		d := b.duration()
		if minus {
			d = -d
		}
		sum := a.duration() + d
		if (sum > a.duration()) != (d > 0) {
			return failureOf(s.n.errorf(LimitError, "a duration beyond 292 years"))
		}
		return durationValue(sum)
	}
	return s.unfit(a, b)
}

// point is a timestamp, within the years that RFC 3339 can write.
func (n *node) point(t time.Time) Value {
	if t.Year() < 1 || t.Year() > 9999 {
		return failureOf(n.errorf(LimitError, "a timestamp outside the years 1 to 9999"))
	}
	return TimeValue(t)
}

// span is a difference of timestamps; time.Sub stops at what a Duration holds.
func (n *node) span(d time.Duration) Value {
	if d == 1<<63-1 || d == -1<<63 {
		return failureOf(n.errorf(LimitError, "a duration beyond 292 years"))
	}
	return durationValue(d)
}

func joined(f *frame, a, b Sequence) Value {
	if err := f.charge(a.Size() + b.Size()); err != nil {
		return failureOf(err)
	}
	all := make([]Value, 0, a.Size()+b.Size())
	for _, l := range []Sequence{a, b} {
		for i := range l.Size() {
			all = append(all, l.At(i))
		}
	}
	return newList(all)
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

func (c *compiler) equality(e ast.Expr, op string, x, y *node) *node {
	wanted := op == "=="
	n := c.made(e, Bool, nil, x, y)
	n.explain = compared(n, op, x, y)
	if isNull(x) || isNull(y) {
		other := x
		if isNull(x) {
			other = y
		}
		n.eval = func(f *frame) Value {
			v := other.eval(f)
			if v.kind == failure {
				return v
			}
			return BoolValue((v.kind == Null || v.kind == optional && v.ref == nil) == wanted)
		}
		return n
	}
	if x.types&y.types&^Null == 0 {
		return c.mismatch(e, op, x, y)
	}
	c.warnDateTexts(e, op, x, y)
	s := c.sidesOf(n, x, y, op)
	n.eval = func(f *frame) Value {
		a, b := x.eval(f), y.eval(f)
		if a.kind == Number && b.kind == Number {
			return BoolValue((a.number().cmp(b.number()) == 0) == wanted)
		}
		if v, bad := s.unusable(a, b); bad {
			return v
		}
		same, err := equal(f, a, b)
		if err != nil {
			return failureOf(err)
		}
		return BoolValue(same == wanted)
	}
	return n
}

func isNull(n *node) bool { return n.literal != nil && n.literal.kind == Null }

func (c *compiler) ordering(e ast.Expr, op string, x, y *node) *node {
	if x.types&y.types&ordered == 0 {
		return c.mismatch(e, op, x, y)
	}
	c.warnDateTexts(e, op, x, y)
	n := c.made(e, Bool, nil, x, y)
	n.explain = compared(n, op, x, y)
	s := c.sidesOf(n, x, y, op)
	less, same := op[0] == '<', len(op) == 2
	n.eval = func(f *frame) Value {
		a, b := x.eval(f), y.eval(f)
		if a.kind != b.kind || a.kind&ordered == 0 {
			return s.unfit(a, b)
		}
		if err := f.scanned(a.text); err != nil {
			return failureOf(err)
		}
		order := compare(a, b)
		return BoolValue(order == 0 && same || order < 0 && less || order > 0 && !less)
	}
	return n
}

// compare orders two values of one kind that has an order.
func compare(a, b Value) int {
	switch a.kind {
	case Number:
		return a.number().cmp(b.number())
	case String:
		switch {
		case a.text < b.text:
			return -1
		case a.text > b.text:
			return 1
		}
		return 0
	}
	switch { // a bool, a duration, a timestamp with its nanoseconds in exp
	case a.coef < b.coef || a.coef == b.coef && a.exp < b.exp:
		return -1
	case a.coef > b.coef || a.exp > b.exp:
		return 1
	}
	return 0
}

// warnDateTexts tells of points in time that are compared letter by letter:
// 10:00+02:00 is before 09:00Z, but not as a text.
func (c *compiler) warnDateTexts(e ast.Expr, op string, x, y *node) {
	l, r := x.isDateTime(), y.isDateTime()
	if !l && !r || !(l || x.literal != nil) || !(r || y.literal != nil) {
		return
	}
	c.warn(e, "write timestamp("+x.written()+") "+op+" timestamp("+y.written()+")", "points in time are compared as texts")
}

// written is the text of a field or a literal.
func (n *node) written() string {
	if n.literal != nil {
		return n.literal.JSON()
	}
	return n.what("…")
}

func (n *node) isDateTime() bool {
	return n.types&^Null == String && n.shape != nil && (n.shape.Format == "date-time" || n.shape.Format == "time")
}

func (c *compiler) membership(e ast.Expr, x, y *node) *node {
	if y.types&(List|Map) == 0 {
		return c.reject(e, "", "in looks into a list or an object, not into %s", y.types.one())
	}
	if items := y.shape.items(); y.types&Map == 0 && items != nil && !isNull(x) &&
		x.types&items.types()&^Null == 0 && x.types&^Null != 0 {
		return c.mismatch(e, "in", x, &node{types: items.types()})
	}
	if y.types&List == 0 && x.types&String == 0 {
		return c.mismatch(e, "in", x, y)
	}
	n := c.made(e, Bool, nil, x, y)
	n.explain = compared(n, "in", x, y)
	s := c.sidesOf(n, x, y, "in")
	null := isNull(x)
	n.eval = func(f *frame) Value {
		a, b := x.eval(f), y.eval(f)
		if v, bad := s.unusable(a, b); bad && !(null && b.kind == List) {
			return v
		}
		switch {
		case b.kind == List:
			return contains(f, b.list(), a)
		case b.kind == Map && a.kind == String:
			_, ok := b.object().Get(a.text)
			return BoolValue(ok)
		}
		return s.unfit(a, b)
	}
	return n
}

func contains(f *frame, l Sequence, v Value) Value {
	for i := range l.Size() {
		if err := f.charge(1); err != nil {
			return failureOf(err)
		}
		same, err := equal(f, l.At(i), v)
		if err != nil {
			return failureOf(err)
		}
		if same {
			return BoolValue(true)
		}
	}
	return BoolValue(false)
}

func (c *compiler) negation(e ast.Expr, x *node) *node {
	if x.broken {
		return x
	}
	if x.types&Number == 0 {
		return c.reject(e, "", "- has no meaning for %s", x.types.one())
	}
	n := c.made(e, Number, nil, x)
	null := failureOf(x.nullAs("what is after -"))
	n.eval = func(f *frame) Value {
		v := x.eval(f)
		switch v.kind {
		case Number:
			return numberValue(v.number().neg())
		case failure:
			return v
		case Null:
			return null
		}
		return failureOf(n.errorf(TypeError, "- has no meaning for %s", v.kind.one()))
	}
	if x.divided != nil {
		n.divided = func(f *frame) (quotient, Value) {
			q, v := x.divided(f)
			return q.neg(), v
		}
	}
	return n
}
