package infer

import (
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"datawatch/pkg/cel"
)

// Bounds of what is remembered.
const (
	maxNames = 1000 // of an object; beyond, it is a map
	maxDepth = 40   // of places; below, anything goes
)

// shape is what was seen at one place.
type shape struct {
	nulls, bools, integers, decimals int
	strings                          texts
	arrays                           int
	items                            *shape
	objects                          int
	members                          map[string]*member
	names                            []string // in the order in which they came
	free                             *shape   // what all members have in common, once there are too many to tell apart
	low, high                        bound
	fractions                        int // numbers that aren't whole, however they are written
}

// member is a named part of objects, and in how many of them it is.
type member struct {
	in    int
	shape *shape
}

// bound is the least or the greatest number seen.
type bound struct {
	text  string
	value *big.Rat
}

func newShape() *shape { return &shape{strings: newTexts()} }

func (s *shape) see(v value, depth int) {
	switch v.kind {
	case nullKind:
		s.nulls++
	case boolKind:
		s.bools++
	case stringKind:
		s.strings.see(v.text)
	case numberKind:
		if strings.ContainsAny(v.text, ".eE") {
			s.decimals++
		} else {
			s.integers++
		}
		s.bound(v.text)
	case arrayKind:
		s.arrays++
		if depth >= maxDepth {
			return
		}
		for _, item := range v.items {
			if s.items == nil {
				s.items = newShape()
			}
			s.items.see(item, depth+1)
		}
	case objectKind:
		s.objects++
		if depth >= maxDepth {
			return
		}
		for _, m := range v.members {
			s.member(m.name).see(m.value, depth+1)
		}
	}
}

// member is where a member of an object is remembered; it counts one more object that has it.
func (s *shape) member(name string) *shape {
	if s.free != nil {
		return s.free
	}
	m := s.members[name]
	if m == nil {
		if len(s.names) == maxNames {
			s.free = s.common()
			s.members, s.names = nil, nil
			return s.free
		}
		if s.members == nil {
			s.members = map[string]*member{}
		}
		m = &member{shape: newShape()}
		s.members[name] = m
		s.names = append(s.names, name)
	}
	m.in++
	return m.shape
}

func (s *shape) bound(text string) {
	if small, err := strconv.ParseInt(text, 10, 64); err == nil && s.low.value != nil && s.low.within(small, s.high) {
		return // as nearly all
	}
	n, ok := new(big.Rat).SetString(text)
	if ok {
		if !n.IsInt() {
			s.fractions++
		}
		s.low.move(bound{text, n}, -1)
		s.high.move(bound{text, n}, 1)
	}
}

// within tells whether a number is certainly between two bounds.
func (b *bound) within(n int64, high bound) bool {
	low, err := strconv.ParseInt(b.text, 10, 64)
	if err != nil {
		return false
	}
	most, err := strconv.ParseInt(high.text, 10, 64)
	return err == nil && low <= n && n <= most
}

func (b *bound) move(to bound, direction int) {
	if to.value != nil && (b.value == nil || to.value.Cmp(b.value) == direction) {
		*b = to
	}
}

// common is what all members are together.
func (s *shape) common() *shape {
	all := newShape()
	for _, name := range s.names {
		all.merge(s.members[name].shape)
	}
	return all
}

// merge adds what another shape has seen.
func (s *shape) merge(o *shape) {
	s.nulls += o.nulls
	s.bools += o.bools
	s.integers += o.integers
	s.decimals += o.decimals
	s.fractions += o.fractions
	s.strings.merge(&o.strings)
	s.low.move(o.low, -1)
	s.high.move(o.high, 1)
	s.arrays += o.arrays
	if o.items != nil {
		if s.items == nil {
			s.items = newShape()
		}
		s.items.merge(o.items)
	}
	s.objects += o.objects
	switch {
	case s.free != nil || o.free != nil:
		if s.free == nil {
			s.free = s.common()
			s.members, s.names = nil, nil
		}
		s.free.merge(o.anyMember())
	default:
		for _, name := range o.names {
			in := o.members[name].in
			mine := s.members[name]
			before := 0
			if mine != nil {
				before = mine.in
			}
			s.member(name).merge(o.members[name].shape)
			if mine = s.members[name]; mine != nil {
				mine.in = before + in
			}
		}
	}
}

func (s *shape) anyMember() *shape {
	if s.free != nil {
		return s.free
	}
	return s.common()
}

var (
	generatedName = regexp.MustCompile(`^(\d+|\d{4}-\d\d(-\d\d)?.*|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{16,}|.*@.*)$`)
	language      = regexp.MustCompile(`^(ar|bg|bn|cs|da|de|el|en|es|et|fi|fr|he|hi|hr|hu|id|it|ja|km|ko|lo|lt|lv|ms|nl|pl|pt|ro|ru|sk|sl|sr|sv|th|tr|uk|vi|zh)([-_][A-Za-z]{2,4})?$`)
	word          = regexp.MustCompile(`^[A-Za-z_][A-Za-z_]*$`)
)

// isMap tells whether the names are data, and not the schema's: made by machines, currencies, or many of which each comes seldom.
func (s *shape) isMap() bool {
	if s.free != nil {
		return true
	}
	const few, seldom = 20, 4
	generated, currencies, languages, words, present := 0, 0, 0, 0, 0
	for _, name := range s.names {
		if generatedName.MatchString(name) {
			generated++
		}
		if _, ok := cel.MinorUnits(name); ok {
			currencies++
		}
		if language.MatchString(name) {
			languages++
		}
		if word.MatchString(name) {
			words++
		}
		present += s.members[name].in
	}
	n := len(s.names)
	switch {
	case n == 0:
		return false
	case generated == n, currencies == n && n > 1, languages == n && n > 1 && present < n*s.objects:
		return true
	case s.alike():
		return true
	case n >= few && present*seldom < n*s.objects:
		return words < n || s.common().kinds() == 1
	}
	return false
}

// alike tells whether the members are objects with the same names inside, as those of a map have, each of them seldom: a
// change of each field, a text in each language. Two of a kind (billing and shipping) are named by a person.
func (s *shape) alike() bool {
	if len(s.names) < 3 {
		return false
	}
	first := s.members[s.names[0]].shape
	for _, name := range s.names {
		m := s.members[name]
		same := len(m.shape.names) == len(first.names) && !slices.ContainsFunc(first.names, func(inner string) bool { return m.shape.members[inner] == nil })
		if m.in == s.objects || m.shape.objects == 0 || m.shape.kinds() != 1 || len(m.shape.names) < 2 || !same {
			return false
		}
	}
	return true
}

// kinds is how many types were seen, null apart.
func (s *shape) kinds() int {
	n := 0
	for _, seen := range []int{s.bools, s.integers + s.decimals, s.strings.count, s.arrays, s.objects} {
		if seen > 0 {
			n++
		}
	}
	return n
}
