package cel

import (
	"time"

	"cel.dev/cel-go/common/ast"
)

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
	c.numeric(n, arithmeticNumber(op, x, y))
	n.term = termOf(op, x, y)
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
	if x.number != nil {
		c.numeric(n, func(f *frame) (decimal, bool) {
			d, ok := x.number(f)
			return d.neg(), ok
		})
	}
	if x.divided != nil {
		n.divided = func(f *frame) (quotient, Value) {
			q, v := x.divided(f)
			return q.neg(), v
		}
	}
	return n
}
