package accept

import (
	"encoding/binary"
	"slices"
	"strings"
)

// form is what a record was made of but for its scalars: events of one stream mostly differ in nothing else. Scalars of the
// envelope that are the stream's belong to the form. A record is read by a form by comparing the texts between the other scalars
// with its own, byte by byte; so it has the same tokens, and what follows from names, nesting and numbers of members alone is
// known.
type form struct {
	tokens []token // of the record that was read last; names, and what is the stream's, are where they were in the first
	text   string  // the first
	steps  []formStep
	fixes  []fix
	ours   int // the step with the event's subject: another stream's record is soon left to its own form

	source, stream string  // of the event; stream is its subject
	fields         []field // of the envelope, that may differ

	program *Program
	planned int32       // the token of the value that the plan is for
	plan    *plan       // of the program, once it was asked for; nil: there is none
	bound   []boundRule // of the program
	next    int         // which of them is asked for next, mostly: in a form all records ask in the same order
}

// formStep is a text without scalars and the scalar behind it.
type formStep struct {
	literal  literal
	token    int32 // -1: the text ends
	from, to int32 // its fixes
}

// fix says where in a step's text a list or an object begins, or ends.
type fix struct {
	token, at int32
	end       bool
}

// mostFormTokens and mostFormText are how many tokens and bytes a record may have that makes a form.
const (
	mostFormTokens = 2000
	mostFormText   = 64 << 10
)

// newForm is the form of the record that a tape has read, with these fields of the envelope.
func newForm(t *tape, fields []field) *form {
	f := &form{tokens: slices.Clone(t.tokens), text: strings.Clone(t.source)}
	steady, subject := f.split(fields)
	at := int32(0)
	var ends []int32 // of the lists and objects that are open
	step := func(scalar, end int32) {
		from := int32(0)
		if n := len(f.steps); n > 0 {
			from = f.steps[n-1].to
		}
		if at <= subject && subject < end {
			f.ours = len(f.steps)
		}
		f.steps = append(f.steps, formStep{newLiteral(f.text[at:end]), scalar, from, int32(len(f.fixes))})
	}
	// closed notes the ends of what has no token from i on.
	closed := func(i int32) {
		for len(ends) > 0 && f.tokens[ends[len(ends)-1]].next <= i {
			last := ends[len(ends)-1]
			f.fixes = append(f.fixes, fix{last, f.tokens[last].end - at, true})
			ends = ends[:len(ends)-1]
		}
	}
	for i := range int32(len(f.tokens)) {
		closed(i)
		switch k := &f.tokens[i]; {
		case k.kind == list || k.kind == object:
			f.fixes = append(f.fixes, fix{i, k.start - at, false})
			ends = append(ends, i)
		case k.isName() || steady[i]:
		default:
			step(i, k.start)
			at = k.end
		}
	}
	closed(int32(len(f.tokens)))
	step(-1, int32(len(f.text)))
	return f
}

// split keeps the fields that may differ, and gives the tokens of those that don't, and where the subject is.
func (f *form) split(fields []field) (steady map[int32]bool, subject int32) {
	steady = map[int32]bool{}
	for _, one := range fields {
		k := &f.tokens[one.token]
		if !one.meaning.steady() || k.kind != text {
			f.fields = append(f.fields, one)
			continue
		}
		steady[one.token] = true
		switch one.meaning {
		case sourceField:
			f.source = f.text[k.start+1 : k.end-1]
		case subjectField:
			f.stream, subject = f.text[k.start+1:k.end-1], k.start
		}
	}
	return steady, subject
}

// replay reads a record by a form. Where it isn't of that form, ours tells whether it is of the form's stream at least.
func (t *tape) replay(f *form, b []byte) (ok, ours bool) {
	if !t.take(b) {
		return false, false
	}
	t.tokens, t.names = f.tokens, f.text
	at := 0
	for i := range f.steps {
		s := &f.steps[i]
		if !s.literal.stands(t, at) {
			return false, ours
		}
		ours = ours || i == f.ours
		for j := s.from; j < s.to; j++ {
			if x := &f.fixes[j]; x.end {
				t.tokens[x.token].end = int32(at) + x.at
			} else {
				t.tokens[x.token].start = int32(at) + x.at
			}
		}
		at += len(s.literal.text)
		if s.token < 0 {
			return at == len(b), ours
		}
		if at = t.scalar(&t.tokens[s.token], at); at < 0 {
			return false, ours
		}
	}
	return false, ours
}

// scalar writes the scalar at a place into a token, and gives the place behind; -1 where there is none.
func (t *tape) scalar(k *token, at int) int {
	b := t.bytes
	if at >= len(b) {
		return -1
	}
	end := -1
	switch c := b[at]; {
	case c == '"':
		end, k.flags = scanText(b, at)
		k.kind, k.sum, k.decimals = text, nobody, 0
	case c == '-' || isDigit(c):
		var n scanned
		n, end = scanNumber(b, at)
		k.kind, k.flags, k.sum, k.decimals = number, n.flags, n.sum, n.decimals
	case c == 't':
		end = t.wordIs(k, at, "true", boolean, truth)
	case c == 'f':
		end = t.wordIs(k, at, "false", boolean, 0)
	case c == 'n':
		end = t.wordIs(k, at, "null", null, 0)
	}
	k.start, k.end = int32(at), int32(end)
	return end
}

func (t *tape) wordIs(k *token, at int, word string, kind kind, flags uint8) int {
	end := at + len(word)
	if end > len(t.bytes) || t.source[at:end] != word {
		return -1
	}
	k.kind, k.flags, k.sum, k.decimals = kind, flags, nobody, 0
	return end
}

// literal is a text that is compared in words.
type literal struct {
	text       string
	name, mask [mostKnown / 8]uint64 // behind the text's end zero
}

func newLiteral(s string) literal {
	l := literal{text: s}
	var name, mask [mostKnown]byte
	for i := range copy(name[:], s) {
		mask[i] = 0xff
	}
	for i := range l.name {
		l.name[i], l.mask[i] = binary.LittleEndian.Uint64(name[8*i:]), binary.LittleEndian.Uint64(mask[8*i:])
	}
	return l
}

// stands tells whether a text is at a place.
func (l *literal) stands(t *tape, at int) bool {
	n := len(l.text)
	if n > mostKnown || at+mostKnown > len(t.bytes) {
		return at+n <= len(t.bytes) && t.source[at:at+n] == l.text
	}
	b := t.bytes[at : at+mostKnown]
	return (binary.LittleEndian.Uint64(b)^l.name[0])&l.mask[0]|(binary.LittleEndian.Uint64(b[8:])^l.name[1])&l.mask[1]|
		(binary.LittleEndian.Uint64(b[16:])^l.name[2])&l.mask[2] == 0
}
