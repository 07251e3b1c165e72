package cel

// numeric gives a node the short way to its number: without a Value, which is six words, and without a list between map()
// and sum(). It is false for whatever is out of the ordinary: null, another kind, a failure, a limit; eval then says what it
// is. Both ways give the same number.
func (c *compiler) numeric(n *node, number func(*frame) (decimal, bool)) {
	if !c.opts.longWay && n.types&Number != 0 {
		n.number = number
	}
}

// Numbers is an Object that can give a member's number at once; false is no verdict.
type Numbers interface {
	Object
	// Number is a member's value, coefficient × 10^exponent.
	Number(name string) (coefficient int64, exponent int32, ok bool)
}

// asNumber is a value's number.
func (v *Value) asNumber() (decimal, bool) {
	if v.kind != Number {
		return decimal{}, false
	}
	return v.number(), true
}

// fieldNumber is the short way to x.name.
func fieldNumber(x *node, name string) func(*frame) (decimal, bool) {
	return func(f *frame) (decimal, bool) {
		var v *Value
		if x.at != nil {
			v = x.at(f)
		} else {
			value := x.eval(f)
			v = &value
		}
		if v.kind != Map {
			return decimal{}, false
		}
		if o, ok := v.ref.(Numbers); ok {
			if coef, exp, ok := o.Number(name); ok {
				return decimal{coef: coef, exp: exp}, true
			}
		}
		member, _ := v.object().Get(name)
		return member.asNumber()
	}
}

// arithmeticNumber is the short way to + - *.
func arithmeticNumber(op string, x, y *node) func(*frame) (decimal, bool) {
	if x.number == nil || y.number == nil {
		return nil
	}
	compute := decimal.add
	switch op {
	case "-":
		compute = decimal.sub
	case "*":
		compute = decimal.mul
	case "%":
		compute = decimal.mod
	}
	return func(f *frame) (decimal, bool) {
		a, ok := x.number(f)
		if !ok {
			return a, false
		}
		b, ok := y.number(f)
		if !ok {
			return b, false
		}
		d, err := compute(a, b)
		return d, err == nil
	}
}

// totalOf is the short way to the sum of what each gives for the elements of a list.
func totalOf(l *loop, size int, each *node) func(*frame) (decimal, bool) {
	return func(f *frame) (total decimal, ok bool) {
		ok = true
		count := 0
		if v, bad := l.each(f, size, func(int) bool {
			var d decimal
			if d, ok = each.number(f); !ok {
				return true
			}
			var err error
			total, err = total.add(d)
			ok = err == nil
			count++
			return !ok
		}); bad || v.kind == failure {
			return decimal{}, false
		}
		return total, ok && f.charge(count) == nil
	}
}

// bothNumbers are two sides that are numbers, by the short way; where it leads nowhere, nothing is charged for it.
func bothNumbers(f *frame, x, y *node) (a, b decimal, ok bool) {
	if x.number == nil || y.number == nil {
		return a, b, false
	}
	steps := f.steps
	if a, ok = x.number(f); ok {
		b, ok = y.number(f)
	}
	if !ok {
		f.steps = steps
	}
	return a, b, ok
}
