package accept

import (
	"math/big"
	"math/bits"
)

// maxNames is how many names of members a schema's place may know.
const maxNames = 256

// set is a set of numbers of names.
type set [maxNames / 64]uint64

func (s *set) add(i int) {
	if i < maxNames { // with more, objects are asked
		s[i/64] |= 1 << (i % 64)
	}
}

func (s *set) has(i int) bool { return i < maxNames && s[i/64]&(1<<(i%64)) != 0 }

// holds tells whether all of t are in s.
func (s *set) holds(t *set) bool {
	return t[0]&^s[0]|t[1]&^s[1]|t[2]&^s[2]|t[3]&^s[3] == 0
}

// names are the names of members that a place knows, by number.
type names struct {
	all     []string
	numbers map[string]int
	slots   []slot // open addressing, by the hash; a power of two
	shift   int
}

type slot struct {
	hash   uint32
	number int32 // from 1; 0: empty
}

func (n *names) number(name string) int {
	if i, ok := n.numbers[name]; ok {
		return i
	}
	return -1
}

func (n *names) add(name string) int {
	if i := n.number(name); i >= 0 {
		return i
	}
	if n.numbers == nil {
		n.numbers = map[string]int{}
	}
	n.numbers[name] = len(n.all)
	n.all = append(n.all, name)
	return len(n.all) - 1
}

// index makes find work for what has been added.
func (n *names) index() {
	width := bits.Len(uint(2*len(n.all) + 1))
	n.slots, n.shift = make([]slot, 1<<width), 32-width
	for i, name := range n.all {
		hash := hashOf([]byte(name))
		at := hash >> n.shift
		for n.slots[at].number != 0 {
			at = (at + 1) & uint32(len(n.slots)-1)
		}
		n.slots[at] = slot{hash, int32(i + 1)}
	}
}

// find is the number of a name whose hash is known, -1 where there is none.
func (n *names) find(name string, hash uint32) int {
	if len(n.slots) == 0 {
		return -1
	}
	for at := hash >> n.shift; ; at = (at + 1) & uint32(len(n.slots)-1) {
		s := &n.slots[at]
		if s.number == 0 {
			return -1
		}
		if s.hash == hash && n.all[s.number-1] == name {
			return int(s.number - 1)
		}
	}
}

// known gives a name its number.
func (o *objectRules) known(name string) int {
	i := o.names.add(name)
	for len(o.members) < len(o.names.all) {
		o.members = append(o.members, nil)
	}
	return i
}

func (o *objectRules) setOf(all []string) set {
	var s set
	for _, name := range all {
		s.add(o.known(name))
	}
	return s
}

func quantityOf(r *big.Rat) *quantity {
	if r == nil {
		return nil
	}
	q := newQuantity(r)
	return &q
}
