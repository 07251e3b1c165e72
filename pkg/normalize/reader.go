package normalize

import (
	"bytes"
	"encoding/json"
)

// maxDepth is how deep objects and arrays may be nested: encoding/json and readers like it refuse 10,000, and an event
// that its readers refuse would be worse than a dead letter.
const maxDepth = 9_000

// reader walks a JSON text (RFC 8259) in place. It checks the grammar as it goes and decodes nothing, so that what is
// copied from it is what was there, digit for digit. That the text is UTF-8 is checked by whoever makes the reader.
type reader struct {
	b     []byte
	i     int
	depth int // of the containers that are being walked through
}

func (r *reader) syntax(expected string) *Error {
	if r.i >= len(r.b) {
		return wrong(Malformed, "JSON ends at byte %d where %s is expected", r.i, expected)
	}
	return wrong(Malformed, "not JSON at byte %d: %s is expected", r.i, expected)
}

// space skips white space and tells whether there was any.
func (r *reader) space() bool {
	start := r.i
	for r.i < len(r.b) {
		switch r.b[r.i] {
		case ' ', '\n', '\r', '\t':
			r.i++
		default:
			return r.i > start
		}
	}
	return r.i > start
}

// peek is the first byte of what comes next, or 0 at the end.
func (r *reader) peek() byte {
	r.space()
	if r.i >= len(r.b) {
		return 0
	}
	return r.b[r.i]
}

// end demands that nothing but white space is left.
func (r *reader) end() *Error {
	if r.peek() != 0 || r.i < len(r.b) {
		return r.syntax("the end")
	}
	return nil
}

// members walks through an object. each gets a member's name as it is written, with its quotes, and has to read the
// value.
func (r *reader) members(each func(name []byte) *Error) *Error {
	if r.peek() != '{' {
		return r.syntax("an object")
	}
	return r.items('}', func() *Error {
		name, err := r.name()
		if err != nil {
			return err
		}
		return each(name)
	})
}

// elements walks through an array. each has to read the element.
func (r *reader) elements(each func() *Error) *Error {
	if r.peek() != '[' {
		return r.syntax("an array")
	}
	return r.items(']', each)
}

func (r *reader) items(closing byte, each func() *Error) *Error {
	if r.depth++; r.depth > maxDepth {
		return tooDeep()
	}
	r.i++
	if r.peek() == closing {
		r.i++
		r.depth--
		return nil
	}
	for {
		if err := each(); err != nil {
			return err
		}
		switch r.peek() {
		case ',':
			r.i++
		case closing:
			r.i++
			r.depth--
			return nil
		default:
			return r.syntax("a comma or " + string(closing))
		}
	}
}

func tooDeep() *Error { return wrong(Limit, "nested more than %d deep", maxDepth) }

// name reads a member's name and the colon.
func (r *reader) name() ([]byte, *Error) {
	if r.peek() != '"' {
		return nil, r.syntax("a name")
	}
	name, err := r.quoted()
	if err != nil {
		return nil, err
	}
	if r.peek() != ':' {
		return nil, r.syntax("a colon")
	}
	r.i++
	return name, nil
}

// value reads a value as it is written; spaced tells whether there is white space in it, outside of strings.
func (r *reader) value() (v []byte, spaced bool, err *Error) {
	r.space()
	start := r.i
	var room [32]byte
	open := room[:0] // the brackets that are open; a stack of our own, since the text decides how deep it grows
	for {
		switch c := r.peekHere(); c {
		case '{', '[':
			if len(open)+r.depth >= maxDepth {
				return nil, false, tooDeep()
			}
			r.i++
			spaced = r.space() || spaced
			if r.peekHere() == closingOf(c) {
				r.i++
				break
			}
			open = append(open, c)
			if c == '{' {
				if spaced, err = r.skipName(spaced); err != nil {
					return nil, false, err
				}
			}
			continue
		default:
			if _, err = r.scalar(); err != nil {
				return nil, false, err
			}
		}
		if open, spaced, err = r.close(open, spaced); err != nil {
			return nil, false, err
		}
		if len(open) == 0 {
			return r.b[start:r.i], spaced, nil
		}
	}
}

// close goes on behind a value, out of the containers that end here, to the next value of the innermost open one.
func (r *reader) close(open []byte, spaced bool) ([]byte, bool, *Error) {
	for len(open) > 0 {
		innermost := open[len(open)-1]
		spaced = r.space() || spaced
		switch r.peekHere() {
		case closingOf(innermost):
			r.i++
			open = open[:len(open)-1]
		case ',':
			r.i++
			spaced = r.space() || spaced
			var err *Error
			if innermost == '{' {
				spaced, err = r.skipName(spaced)
			}
			return open, spaced, err
		default:
			return nil, false, r.syntax("a comma or " + string(closingOf(innermost)))
		}
	}
	return open, spaced, nil
}

// skipName is name for value: it keeps the account of white space.
func (r *reader) skipName(spaced bool) (bool, *Error) {
	if r.peekHere() != '"' {
		return false, r.syntax("a name")
	}
	if _, err := r.quoted(); err != nil {
		return false, err
	}
	spaced = r.space() || spaced
	if r.peekHere() != ':' {
		return false, r.syntax("a colon")
	}
	r.i++
	return r.space() || spaced, nil
}

func (r *reader) peekHere() byte {
	if r.i >= len(r.b) {
		return 0
	}
	return r.b[r.i]
}

func closingOf(opening byte) byte { return opening + 2 } // ASCII: '[' ']' and '{' '}'

// scalar reads a string, a number or a literal.
func (r *reader) scalar() ([]byte, *Error) {
	switch c := r.peek(); {
	case c == '"':
		return r.quoted()
	case c == '-' || c >= '0' && c <= '9':
		n := numberLen(r.b[r.i:])
		if n == 0 {
			return nil, r.syntax("a number")
		}
		r.i += n
		return r.b[r.i-n : r.i], nil
	default:
		for _, literal := range []string{"true", "false", "null"} {
			if bytes.HasPrefix(r.b[r.i:], []byte(literal)) {
				r.i += len(literal)
				return r.b[r.i-len(literal) : r.i], nil
			}
		}
		return nil, r.syntax("a value")
	}
}

// quoted reads a string, and returns it as it is written, with its quotes.
func (r *reader) quoted() ([]byte, *Error) {
	start := r.i
	for r.i++; r.i < len(r.b); r.i++ {
		switch c := r.b[r.i]; {
		case c == '"':
			r.i++
			return r.b[start:r.i], nil
		case c == '\\':
			r.i++
			switch r.peekHere() {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					r.i++
					if !isHex(r.peekHere()) {
						return nil, r.syntax("a hexadecimal digit")
					}
				}
			default:
				return nil, r.syntax("an escape")
			}
		case c < 0x20:
			return nil, r.syntax("a control character's escape")
		}
	}
	return nil, r.syntax("a closing quote")
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// numberLen is the length of the JSON number that b begins with, or 0.
func numberLen(b []byte) int {
	i := 0
	if i < len(b) && b[i] == '-' {
		i++
	}
	whole := digits(b[i:])
	if whole == 0 || whole > 1 && b[i] == '0' {
		return 0
	}
	i += whole
	if i < len(b) && b[i] == '.' {
		fraction := digits(b[i+1:])
		if fraction == 0 {
			return 0
		}
		i += 1 + fraction
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		sign := 0
		if i+1 < len(b) && (b[i+1] == '+' || b[i+1] == '-') {
			sign = 1
		}
		exponent := digits(b[i+1+sign:])
		if exponent == 0 {
			return 0
		}
		i += 1 + sign + exponent
	}
	return i
}

func digits(b []byte) int {
	for i, c := range b {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(b)
}

// appendCompact appends a value that was read, without the white space outside of its strings.
func appendCompact(dst, value []byte, spaced bool) []byte {
	if !spaced {
		return append(dst, value...)
	}
	inString := false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case inString && c == '\\':
			dst = append(dst, c)
			i++
		case c == '"':
			inString = !inString
		case !inString && (c == ' ' || c == '\n' || c == '\r' || c == '\t'):
			continue
		}
		dst = append(dst, value[i])
	}
	return dst
}

// unquote is the text of a string as it is written in JSON. A lone surrogate, which no text can hold, becomes U+FFFD.
func unquote(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	if json.Unmarshal(quoted, &s) != nil { // the reader has checked it
		return quoted
	}
	return []byte(s)
}
