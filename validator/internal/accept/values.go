package accept

import (
	"slices"
	"unsafe"

	"datawatch/pkg/cel"
)

// values gives rules the values of a tape. Lists and objects stay where they are: what a rule reads of them is looked up
// and decoded when it does. Like the judge's, which come from encoding/json, objects have their names sorted.
type values struct {
	*tape
	containers []container // in memory that is used again
	found      [256]int32  // names that were looked up before, maybe in another record: what is there is looked at again
}

// container is a list or an object of the tape.
type container struct {
	of    *values
	token int32
	// Of a list: the element that was asked for last, since the next is asked for next.
	index   int
	element int32
}

type (
	tapeList   container
	tapeObject container
)

var (
	_ cel.Sequence = (*tapeList)(nil)
	_ cel.Numbers  = (*tapeObject)(nil)
)

// at is the value at a token.
func (v *values) at(i int32) cel.Value {
	switch k := &v.tokens[i]; k.kind {
	case null:
		return cel.NullValue
	case boolean:
		return cel.BoolValue(k.flags&truth != 0)
	case text:
		return cel.StringValue(v.string(i))
	case number:
		n, err := cel.NumberValue(v.span(i))
		if err != nil { // not reached: it is within the bounds of rules
			return cel.Value{}
		}
		return n
	case list:
		return cel.ListOf((*tapeList)(v.container(i)))
	}
	return cel.ObjectOf((*tapeObject)(v.container(i)))
}

func (v *values) container(i int32) *container {
	v.containers = append(v.containers, container{of: v, token: i, element: i + 1})
	return &v.containers[len(v.containers)-1]
}

// Size is the number of elements.
func (l *tapeList) Size() int { return l.of.tokens[l.token].count() }

// At is an element.
func (l *tapeList) At(i int) cel.Value {
	if i < l.index {
		l.index, l.element = 0, l.token+1
	}
	for ; l.index < i; l.index++ {
		l.element = l.of.tokens[l.element].next
	}
	return l.of.at(l.element)
}

// Size is the number of members.
func (o *tapeObject) Size() int { return o.of.tokens[o.token].count() }

// Get is a member's value.
func (o *tapeObject) Get(name string) (cel.Value, bool) {
	if i := o.find(name); i >= 0 {
		return o.of.at(i), true
	}
	return cel.Value{}, false
}

// Number is a member's value where it is a number of a usual length.
func (o *tapeObject) Number(name string) (coefficient int64, exponent int32, ok bool) {
	i := o.find(name)
	if i < 0 || o.of.tokens[i].kind != number {
		return 0, 0, false
	}
	k := &o.of.tokens[i]
	return k.sum, -int32(k.decimals), k.flags&exact != 0
}

// find is the token of a member's value, -1 where there is none.
func (o *tapeObject) find(name string) int32 {
	t := o.of.tape
	hash := hashOf(unsafe.Slice(unsafe.StringData(name), len(name)))
	sum := nameOf(hash, o.token)
	found := &o.of.found[(hash^uint32(o.token))%uint32(len(o.of.found))]
	if m := *found; int(m) < len(t.tokens) && t.tokens[m].sum == sum && t.tokens[m].kind == text && t.inner(m) == name {
		return m + 1
	}
	for m := o.token + 1; m < t.tokens[o.token].next; m = t.tokens[m+1].next {
		if t.tokens[m].sum == sum && t.inner(m) == name {
			*found = m
			return m + 1
		}
	}
	return -1
}

// Keys are the members' names, sorted.
func (o *tapeObject) Keys() []string {
	t := o.of.tape
	keys := make([]string, 0, o.Size())
	for m := o.token + 1; m < t.tokens[o.token].next; m = t.tokens[m+1].next {
		keys = append(keys, t.inner(m))
	}
	slices.Sort(keys)
	return keys
}
