package normalize

import (
	"bytes"
	"slices"

	"datawatch/pkg/event"
)

// changed names the top-level members whose values differ, in the order of after; those that after lacks come last. What
// incomplete names isn't known to have changed and is left out, and without a before image nothing is known.
func changed(before, after []byte, incomplete *event.Incomplete) ([]string, *Error) {
	if before == nil || after == nil {
		return nil, nil
	}
	olds, err := membersOf(before)
	if err != nil {
		return nil, err
	}
	news, err := membersOf(after)
	if err != nil {
		return nil, err
	}
	exact := func(name []byte) bool {
		return incomplete == nil || !slices.Contains(incomplete.Fields, string(name))
	}
	var names []string
	lookup := index{members: olds}
	for i, m := range news {
		if old, ok := lookup.value(m.name, i); !ok || !sameValue(old, m.value) {
			if name := unquote(m.name); exact(name) {
				names = append(names, string(name))
			}
		}
	}
	lookup = index{members: news}
	for i, m := range olds {
		if _, ok := lookup.value(m.name, i); !ok {
			if name := unquote(m.name); exact(name) {
				names = append(names, string(name))
			}
		}
	}
	return names, nil
}

// sameValue compares two values of compact JSON: members in any order, strings however escaped, numbers digit for digit.
func sameValue(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if isPlain(a) && isPlain(b) {
		return false
	}
	if !isUnambiguous(a) || !isUnambiguous(b) {
		return false
	}
	ca, err := event.Canonical(a)
	if err != nil {
		return false
	}
	cb, err := event.Canonical(b)
	return err == nil && bytes.Equal(ca, cb)
}

type member struct{ name, value []byte } // the name with its quotes

func membersOf(object []byte) ([]member, *Error) {
	var members []member
	r := &reader{b: object}
	err := r.members(func(name []byte) *Error {
		value, _, err := r.value()
		members = append(members, member{name, value})
		return err
	})
	return members, err
}

// index finds members by name; two images of a row have theirs at the same places.
type index struct {
	members []member
	byName  map[string][]byte
}

func (x *index) value(name []byte, likely int) ([]byte, bool) {
	if likely < len(x.members) && bytes.Equal(x.members[likely].name, name) {
		return x.members[likely].value, true
	}
	if x.byName == nil {
		x.byName = make(map[string][]byte, len(x.members))
		for _, m := range x.members {
			x.byName[string(m.name)] = m.value
		}
	}
	value, ok := x.byName[string(name)]
	return value, ok
}
