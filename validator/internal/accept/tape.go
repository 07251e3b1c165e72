package accept

import (
	"encoding/json"
	"slices"
	"unsafe"
)

// kind is what a token is; those of values are JSON's types.
type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	list
	object
)

const (
	escaped  uint8 = 1 << iota // of a text: it has escapes
	wide                       // of a text: not all of it is ASCII
	fraction                   // of a number: it has a point
	exponent                   // of a number: it has an exponent
	exact                      // of a number: sum and decimals are its value
	truth                      // of a boolean: true
)

// token is one value, or a member's name (a text, before its value).
type token struct {
	kind       kind
	flags      uint8
	decimals   int8  // of a number that is exact
	start, end int32 // of its text, quotes and brackets included
	next       int32 // the token behind the value
	sum        int64 // of an exact number its digits, of a list or an object how many it has, of a name its hash and its object
}

// nobody is the sum of whatever has none: no name has it.
const nobody = -1

// isName tells whether a token is a member's name.
func (k *token) isName() bool { return k.kind == text && k.sum != nobody }

// count is how many members or elements there are.
func (k *token) count() int { return int(k.sum) }

// nameOf is a name's sum: its hash, and the token of the object that has it.
func nameOf(hash uint32, object int32) int64 { return int64(hash) | int64(object)<<32 }

// hash is a name's.
func (k *token) hash() uint32 { return uint32(k.sum) }

// Bounds of a record that is read; whatever is beyond them is asked. Nesting and numbers are well within what the judge
// has as its limits.
const (
	maxNesting      = 64
	maxMembers      = 512
	maxRecord       = 64 << 20
	maxTokens       = 100_000
	maxNumber       = 64
	maxExponent     = 400
	maxPlainNumber  = 18
	maxExponentText = 3
)

// tape is the flat index of one JSON text: its tokens in the order of the text, in memory that is used again.
type tape struct {
	bytes  []byte
	source string  // the same memory
	names  string  // where the names of members stand: the same, or a form's text
	tokens []token // in own, or a form's
	own    []token
	known  [knownNames]knownName // by the place in the tape
}

// read indexes a text, and tells whether it is JSON that every reader of JSON understands alike: UTF-8, no name twice in
// an object, no escapes in names, numbers, nesting and size within bounds.
func (t *tape) read(b []byte) bool {
	t.tokens = t.own[:0]
	if !t.take(b) {
		return false
	}
	end := t.value(t.space(0), 0)
	t.own = t.tokens
	return end >= 0 && t.space(end) == len(b) && len(t.tokens) <= maxTokens
}

// take begins with a text.
func (t *tape) take(b []byte) bool {
	if len(b) == 0 || len(b) > maxRecord {
		return false
	}
	// Nobody writes to a record's bytes, and nothing of the tape is used beyond them.
	t.bytes, t.source = b, unsafe.String(unsafe.SliceData(b), len(b))
	t.names = t.source
	return true
}

func (t *tape) space(at int) int {
	if at < len(t.bytes) && t.bytes[at] > ' ' {
		return at
	}
	for at < len(t.bytes) {
		switch t.bytes[at] {
		case ' ', '\t', '\n', '\r':
			at++
		default:
			return at
		}
	}
	return at
}

// value indexes the value at a place, and gives the place behind it, -1 where there is none.
func (t *tape) value(at, depth int) int {
	if at >= len(t.bytes) {
		return -1
	}
	switch c := t.bytes[at]; c {
	case '"':
		return t.text(at, false)
	case '{':
		return t.object(at, depth)
	case '[':
		return t.list(at, depth)
	case 't':
		return t.word(at, "true", boolean, truth)
	case 'f':
		return t.word(at, "false", boolean, 0)
	case 'n':
		return t.word(at, "null", null, 0)
	}
	return t.number(at)
}

// add appends a token. Its fields are written one by one: a token that is put together first and then copied costs several
// times as much.
func (t *tape) add(kind kind, flags uint8, start, end int) *token {
	n := len(t.tokens)
	if n == cap(t.tokens) {
		t.tokens = slices.Grow(t.tokens, max(256, n))
	}
	t.tokens = t.tokens[:n+1]
	k := &t.tokens[n]
	k.kind, k.flags = kind, flags
	k.start, k.end, k.next = int32(start), int32(end), int32(n+1)
	k.sum, k.decimals = nobody, 0
	return k
}

func (t *tape) word(at int, word string, kind kind, flags uint8) int {
	end := at + len(word)
	if end > len(t.bytes) || t.source[at:end] != word {
		return -1
	}
	t.add(kind, flags, at, end)
	return end
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// number indexes a number.
func (t *tape) number(at int) int {
	n, end := scanNumber(t.bytes, at)
	if end >= 0 {
		k := t.add(number, n.flags, at, end)
		k.sum, k.decimals = n.sum, n.decimals
	}
	return end
}

// scanned is what a token knows of a number.
type scanned struct {
	flags    uint8
	decimals int8
	sum      int64
}

// scanNumber reads the number within bounds that begins at a place, and gives the place behind it; -1 where it is none.
func scanNumber(b []byte, at int) (n scanned, end int) {
	i, decimals, sum := at, 0, int64(0) // more digits than are exact overflow, and are of no use
	if b[i] == '-' {
		i++
	}
	whole := i
	for ; i < len(b) && isDigit(b[i]); i++ {
		sum = 10*sum + int64(b[i]-'0')
	}
	if i == whole || b[whole] == '0' && i > whole+1 {
		return n, -1
	}
	if i < len(b) && b[i] == '.' {
		n.flags |= fraction
		point := i
		for i++; i < len(b) && isDigit(b[i]); i++ {
			sum = 10*sum + int64(b[i]-'0')
		}
		if decimals = i - point - 1; decimals == 0 {
			return n, -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		n.flags |= exponent
		if i = scanExponent(b, i+1); i < 0 {
			return n, -1
		}
	}
	if i-at > maxNumber {
		return n, -1
	}
	if n.flags&exponent == 0 && i-at <= maxPlainNumber {
		n.flags |= exact
	}
	if b[at] == '-' {
		sum = -sum
	}
	n.sum, n.decimals = sum, int8(decimals)
	return n, i
}

// scanExponent gives the place behind the exponent that begins at a place, -1 where it is none within bounds.
func scanExponent(b []byte, i int) int {
	if i < len(b) && (b[i] == '+' || b[i] == '-') {
		i++
	}
	from, value := i, 0
	i = digits(b, i)
	if i == from || i-from > maxExponentText {
		return -1
	}
	for _, c := range b[from:i] {
		value = 10*value + int(c-'0')
	}
	if value > maxExponent {
		return -1
	}
	return i
}

func digits(b []byte, i int) int {
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i
}

func (t *tape) list(at, depth int) int {
	if depth == maxNesting {
		return -1
	}
	self := len(t.tokens)
	t.add(list, 0, at, 0)
	count := int64(0)
	i := t.space(at + 1)
	if i < len(t.bytes) && t.bytes[i] == ']' {
		return t.close(self, i, count)
	}
	for {
		if i = t.value(i, depth+1); i < 0 {
			return -1
		}
		count++
		if i = t.space(i); i >= len(t.bytes) {
			return -1
		}
		switch t.bytes[i] {
		case ']':
			return t.close(self, i, count)
		case ',':
			i = t.space(i + 1)
		default:
			return -1
		}
	}
}

func (t *tape) object(at, depth int) int {
	if depth == maxNesting {
		return -1
	}
	self := len(t.tokens)
	t.add(object, 0, at, 0)
	count := int64(0)
	var seen [16]uint64 // of hashes: where one isn't among them, the name is new
	b := t.bytes
	i := t.space(at + 1)
	if i < len(b) && b[i] == '}' {
		return t.close(self, i, count)
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return -1
		}
		if i = t.text(i, true); i < 0 {
			return -1
		}
		name := len(t.tokens) - 1
		hash := t.tokens[name].hash()
		t.tokens[name].sum = nameOf(hash, int32(self))
		word, bit := &seen[hash>>28], uint64(1)<<(hash>>22&63)
		if *word&bit != 0 && t.twice(self, name) {
			return -1
		}
		*word |= bit
		if i = t.space(i); i >= len(b) || b[i] != ':' {
			return -1
		}
		if i = t.value(t.space(i+1), depth+1); i < 0 {
			return -1
		}
		if count++; count > maxMembers {
			return -1
		}
		if i = t.space(i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case '}':
			return t.close(self, i, count)
		case ',':
			i = t.space(i + 1)
		default:
			return -1
		}
	}
}

func (t *tape) close(self, at int, count int64) int {
	c := &t.tokens[self]
	c.end, c.next, c.sum = int32(at+1), int32(len(t.tokens)), count
	return at + 1
}

// twice tells whether an object has a name before.
func (t *tape) twice(object, name int) bool {
	hash := t.tokens[name].hash()
	for i := object + 1; i < name; i = int(t.tokens[i+1].next) {
		if t.tokens[i].hash() == hash && t.inner(int32(i)) == t.inner(int32(name)) {
			return true
		}
	}
	return false
}

// inner is what stands between the quotes.
func (t *tape) inner(i int32) string {
	k := &t.tokens[i]
	if k.isName() {
		return t.names[k.start+1 : k.end-1]
	}
	return t.source[k.start+1 : k.end-1]
}

// string is a text's value.
func (t *tape) string(i int32) string {
	k := &t.tokens[i]
	if k.flags&escaped == 0 {
		return t.inner(i)
	}
	var s string
	if err := json.Unmarshal(t.bytes[k.start:k.end], &s); err != nil { // not reached: it has been checked
		return ""
	}
	return s
}

// span is a value as it is written; a name isn't one.
func (t *tape) span(i int32) string { return t.source[t.tokens[i].start:t.tokens[i].end] }
