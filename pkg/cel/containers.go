package cel

import (
	"maps"
	"slices"
)

// anyList and anyMap are what encoding/json decoded, converted element by
// element as they are read.
type (
	anyList []any
	anyMap  map[string]any
)

func (l *anyList) Size() int      { return len(*l) }
func (l *anyList) At(i int) Value { return FromAny((*l)[i]) }

func (m anyMap) Size() int      { return len(m) }
func (m anyMap) Keys() []string { return slices.Sorted(maps.Keys(m)) }
func (m anyMap) Get(name string) (Value, bool) {
	v, ok := m[name]
	if !ok {
		return Value{}, false
	}
	return FromAny(v), true
}

// values is a list that an expression made.
type values []Value

func (l *values) Size() int      { return len(*l) }
func (l *values) At(i int) Value { return (*l)[i] }

func newList(v []Value) Value { return ListOf((*values)(&v)) }

// members is an object that an expression made, in the order written.
type members struct {
	names  []string
	values []Value
}

func (m *members) Size() int      { return len(m.names) }
func (m *members) Keys() []string { return m.names }
func (m *members) Get(name string) (Value, bool) {
	if i := slices.Index(m.names, name); i >= 0 {
		return m.values[i], true
	}
	return Value{}, false
}

// equal compares deeply, numbers by value. Values of different kinds are
// unequal; inside lists and objects null equals null. A value that can't be
// used (a hostile number) is the failure that is returned. The cost grows with
// what is compared, and is charged to f.
func equal(f *frame, a, b Value) (bool, *EvalError) {
	if a.kind == failure {
		return false, a.ref.(*EvalError)
	}
	if b.kind == failure {
		return false, b.ref.(*EvalError)
	}
	if a.kind != b.kind {
		return false, nil
	}
	switch a.kind {
	case Null:
		return true, nil
	case Bool, Duration:
		return a.coef == b.coef, nil
	case Timestamp:
		return a.coef == b.coef && a.exp == b.exp, nil
	case Number:
		return a.number().cmp(b.number()) == 0, nil
	case String:
		if err := f.scanned(a.text); err != nil {
			return false, err
		}
		return a.text == b.text, nil
	case List:
		return equalLists(f, a.list(), b.list())
	case Map:
		return equalObjects(f, a.object(), b.object())
	case optional:
		x, hasX := a.some()
		y, hasY := b.some()
		if !hasX || !hasY {
			return hasX == hasY, nil
		}
		return equal(f, x, y)
	}
	return false, &EvalError{Kind: InternalError, Message: "no value"}
}

func equalLists(f *frame, a, b Sequence) (bool, *EvalError) {
	if a.Size() != b.Size() {
		return false, nil
	}
	for i := range a.Size() {
		if err := f.charge(1); err != nil {
			return false, err
		}
		if same, err := equal(f, a.At(i), b.At(i)); !same {
			return false, err
		}
	}
	return true, nil
}

func equalObjects(f *frame, a, b Object) (bool, *EvalError) {
	if a.Size() != b.Size() {
		return false, nil
	}
	for _, name := range a.Keys() {
		if err := f.charge(1); err != nil {
			return false, err
		}
		x, _ := a.Get(name)
		y, ok := b.Get(name)
		if !ok {
			return false, nil
		}
		if same, err := equal(f, x, y); !same {
			return false, err
		}
	}
	return true, nil
}
