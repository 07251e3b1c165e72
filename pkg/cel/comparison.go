package cel

import (
	"cel.dev/cel-go/common/ast"
)

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
	n.term = termOf(op, x, y)
	s := c.sidesOf(n, x, y, op)
	n.eval = func(f *frame) Value {
		if a, b, ok := bothNumbers(f, x, y); ok {
			return BoolValue((a.cmp(b) == 0) == wanted)
		}
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
	n.term = termOf(op, x, y)
	less, same := op[0] == '<', len(op) == 2
	n.eval = func(f *frame) Value {
		if a, b, ok := bothNumbers(f, x, y); ok {
			order := a.cmp(b)
			return BoolValue(order == 0 && same || order < 0 && less || order > 0 && !less)
		}
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
