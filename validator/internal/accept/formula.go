package accept

import (
	"math"
	"math/bits"
	"slices"

	"datawatch/pkg/cel"
)

// formula is a rule that compares sums and products of numbers, for the records of a form: what it reads stands at the same tokens
// in each. It says yes where the program would; of whatever doesn't hold, or isn't exact in 64 bits, the program is asked.
type formula []formulaStep

// formulaStep takes what it needs from the stack, and leaves what it gives.
type formulaStep struct {
	op    cel.TermOp // TermField pushes the number at a token
	token int32
	push  decimal // of TermConstant
}

// Bounds of formulas; the exponent's are well within those of rules.
const (
	mostFormula = 2000
	mostStack   = 16
	mostScale   = 300
	mostBound   = 100 // of a form
)

// boundRule is a rule at a place of a form.
type boundRule struct {
	rule    *rule
	at      int32
	formula formula // nil: there is none
}

// formulaOf is the formula of a rule at a token of the record that was read last, which is of this form.
func (f *form) formulaOf(t *tape, r *rule, at int32) formula {
	i := f.next
	if i == mostBound {
		return nil
	}
	if i == len(f.bound) || f.bound[i].rule != r || f.bound[i].at != at {
		i = slices.IndexFunc(f.bound, func(b boundRule) bool { return b.rule == r && b.at == at })
	}
	if i < 0 {
		if len(f.bound) == mostBound {
			return nil
		}
		i = len(f.bound)
		f.bound = append(f.bound, boundRule{r, at, newFormula(t, r, at)})
	}
	f.next = i + 1
	return f.bound[i].formula
}

// newFormula is nil for a rule that isn't of that kind.
func newFormula(t *tape, r *rule, at int32) formula {
	term, limit := r.Program.Term()
	if term == nil {
		return nil
	}
	b := &binder{values: values{tape: t}, self: at, locals: map[int]int32{}, limit: limit}
	if !b.number(term.X) || !b.number(term.Y) {
		return nil
	}
	return append(b.steps, formulaStep{op: term.Op})
}

// binder makes a formula.
type binder struct {
	values
	self   int32
	locals map[int]int32 // elements, by their variable
	limit  uint64        // of the program's steps that are left
	depth  int
	steps  formula
}

func (b *binder) add(s formulaStep, depth int) bool {
	b.steps = append(b.steps, s)
	b.depth += depth
	return len(b.steps) < mostFormula && b.depth <= mostStack
}

// number adds what pushes a term's number.
func (b *binder) number(t *cel.Term) bool {
	switch t.Op {
	case cel.TermConstant:
		coefficient, exponent, ok := t.Constant.Small()
		return ok && b.add(formulaStep{op: t.Op, push: decimal{coefficient, exponent}}, 1)
	case cel.TermVariable, cel.TermField, cel.TermLocal:
		token := b.place(t)
		return token >= 0 && b.add(formulaStep{op: cel.TermField, token: token}, 1)
	case cel.TermAdd, cel.TermSubtract, cel.TermMultiply:
		return b.number(t.X) && b.number(t.Y) && b.add(formulaStep{op: t.Op}, -1)
	case cel.TermSum:
		return b.sum(t.X)
	}
	return false
}

// sum adds what pushes the sum over a list's elements.
func (b *binder) sum(each *cel.Term) bool {
	l := b.place(each.X)
	if l < 0 || b.tokens[l].kind != list || !b.add(formulaStep{op: cel.TermConstant}, 1) {
		return false
	}
	for e := l + 1; e < b.tokens[l].next; e = b.tokens[e].next {
		b.locals[each.Local] = e
		steps := uint64(each.Steps) + 1
		if b.limit < steps { // the program says that it is too much
			return false
		}
		b.limit -= steps
		if !b.number(each.Y) || !b.add(formulaStep{op: cel.TermAdd}, -1) {
			return false
		}
	}
	return true
}

// place is the token that a term leads to; -1 where that isn't known.
func (b *binder) place(t *cel.Term) int32 {
	switch t.Op {
	case cel.TermVariable:
		if t.Name == "self" {
			return b.self
		}
	case cel.TermLocal:
		if e, ok := b.locals[t.Local]; ok {
			return e
		}
	case cel.TermField:
		if of := b.place(t.X); of >= 0 && b.tokens[of].kind == object {
			return (&tapeObject{of: &b.values, token: of}).find(t.Name)
		}
	}
	return -1
}

// holds tells whether the rule certainly holds of the record.
func (f formula) holds(t *tape) bool {
	var stack [mostStack + 1]decimal
	n := 0
	for i := range f {
		s := &f[i]
		switch s.op {
		case cel.TermConstant:
			stack[n] = s.push
			n++
			continue
		case cel.TermField:
			k := &t.tokens[s.token]
			if k.kind != number || k.flags&exact == 0 {
				return false
			}
			stack[n] = decimal{k.sum, -int32(k.decimals)}
			n++
			continue
		}
		n--
		x, y := &stack[n-1], stack[n]
		var ok bool
		switch s.op {
		case cel.TermAdd:
			ok = x.add(y)
		case cel.TermSubtract:
			y.coefficient = -y.coefficient
			ok = x.add(y)
		case cel.TermMultiply:
			ok = x.multiply(y)
		default:
			return compares(s.op, *x, y)
		}
		if !ok {
			return false
		}
	}
	return false
}

// compares tells whether a comparison certainly holds.
func compares(op cel.TermOp, x, y decimal) bool {
	a, b, ok := align(x, y)
	if !ok {
		return false
	}
	switch op {
	case cel.TermEqual:
		return a == b
	case cel.TermUnequal:
		return a != b
	case cel.TermLess:
		return a < b
	case cel.TermAtMost:
		return a <= b
	case cel.TermMore:
		return a > b
	case cel.TermAtLeast:
		return a >= b
	}
	return false
}

// add adds y where the sum is exact.
func (d *decimal) add(y decimal) bool {
	a, b, ok := align(*d, y)
	sum := a + b
	d.coefficient, d.exponent = sum, min(d.exponent, y.exponent)
	return ok && (sum > a) == (b > 0) && sum != math.MinInt64
}

// multiply multiplies by y where the product is exact.
func (d *decimal) multiply(y decimal) bool {
	high, low := bits.Mul64(magnitude(d.coefficient), magnitude(y.coefficient))
	product := int64(low)
	if (d.coefficient < 0) != (y.coefficient < 0) {
		product = -product
	}
	d.coefficient, d.exponent = product, d.exponent+y.exponent
	return high == 0 && low <= math.MaxInt64 && -mostScale < d.exponent && d.exponent < mostScale
}

func magnitude(i int64) uint64 {
	if i < 0 {
		return uint64(-i)
	}
	return uint64(i)
}
