package cel

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// MaxDepth is how deeply a JSON document may be nested.
const MaxDepth = 256

// ErrJSON says that a text is no JSON.
var ErrJSON = errors.New("invalid JSON")

// ParseJSON checks the whole of raw (syntax, nothing after the value, no number
// or depth beyond the limits: ErrJSON or ErrLimit) and decodes nothing yet: objects
// and lists are taken apart when an expression reads them, and numbers keep every
// digit. raw is copied. As in encoding/json, of members with one name the last
// counts, and bytes that aren't UTF-8 become U+FFFD.
func ParseJSON(raw []byte) (Value, error) {
	text := string(raw)
	s := scanner{text: text}
	s.space()
	start := s.pos
	if err := s.value(0); err != nil {
		return Value{}, err
	}
	end := s.pos
	if s.space(); s.pos < len(text) {
		return Value{}, s.unexpected("after the value")
	}
	root := spanOf(text[start:end])
	return root.value(), nil
}

func unquote(span string) string {
	inner := span[1 : len(span)-1]
	if strings.IndexByte(inner, '\\') < 0 && utf8.ValidString(inner) {
		return inner
	}
	var s string
	if err := json.Unmarshal([]byte(span), &s); err != nil { // not reached: the scanner has checked it
		return inner
	}
	return s
}

// jsonObject finds its members' spans once, when first asked. Two goroutines
// may both do so; they find the same.
type jsonObject struct {
	text  string
	index atomic.Pointer[spans]
}

// jsonList is the same for elements.
type jsonList struct {
	text  string
	index atomic.Pointer[spans]
}

type spans struct {
	names []string // of members; empty for a list
	spans []span
	at    map[string]int // where each name is, for more than fewMembers
}

// span is one value's text. A container is given its node at once, and a long
// string is decoded, so that this is done once however often it is read.
type span struct {
	text string
	node any // *jsonObject, *jsonList, string or nil
}

// longString is from how many bytes on a string is decoded once.
const longString = 256

func spanOf(text string) span {
	switch text[0] {
	case '{':
		return span{text, &jsonObject{text: text}}
	case '[':
		return span{text, &jsonList{text: text}}
	case '"':
		if len(text) > longString {
			return span{text, unquote(text)}
		}
	}
	return span{text: text}
}

func (s *span) value() Value {
	switch node := s.node.(type) {
	case *jsonObject:
		return ObjectOf(node)
	case *jsonList:
		return ListOf(node)
	case string:
		return StringValue(node)
	}
	switch s.text[0] {
	case '"':
		return StringValue(unquote(s.text))
	case 't':
		return BoolValue(true)
	case 'f':
		return BoolValue(false)
	case 'n':
		return NullValue
	}
	return numberFrom(s.text)
}

func (o *jsonObject) members() *spans {
	if found := o.index.Load(); found != nil {
		return found
	}
	found := &spans{names: make([]string, 0, 8), spans: make([]span, 0, 8)}
	s := scanner{text: o.text, pos: 1}
	for s.space(); o.text[s.pos] != '}'; s.space() {
		if o.text[s.pos] == ',' {
			s.pos++
			s.space()
		}
		name := unquote(s.skip())
		s.space()
		s.pos++ // the colon
		s.space()
		member := spanOf(s.skip())
		if len(found.names) <= fewMembers {
			if i, again := found.find(name); again {
				found.spans[i] = member
				continue
			}
		}
		found.names, found.spans = append(found.names, name), append(found.spans, member)
	}
	if len(found.names) > fewMembers {
		found.indexed()
	}
	o.index.Store(found)
	return found
}

// fewMembers is up to how many members are looked for one after the other.
const fewMembers = 32

// indexed makes the index of an object of many members, of which those with one
// name become one: the last, at the place of the first.
func (s *spans) indexed() {
	s.at = make(map[string]int, len(s.names))
	kept := 0
	for i, name := range s.names {
		at, again := s.at[name]
		if !again {
			at = kept
			s.at[name] = at
			kept++
		}
		s.names[at], s.spans[at] = name, s.spans[i]
	}
	s.names, s.spans = s.names[:kept], s.spans[:kept]
}

func (s *spans) find(name string) (int, bool) {
	if s.at != nil {
		i, ok := s.at[name]
		return i, ok
	}
	i := slices.Index(s.names, name)
	return i, i >= 0
}

func (o *jsonObject) Size() int      { return len(o.members().names) }
func (o *jsonObject) Keys() []string { return o.members().names }
func (o *jsonObject) Get(name string) (Value, bool) {
	m := o.members()
	i, ok := m.find(name)
	if !ok {
		return Value{}, false
	}
	return m.spans[i].value(), true
}

func (l *jsonList) elements() *spans {
	if found := l.index.Load(); found != nil {
		return found
	}
	found := &spans{}
	s := scanner{text: l.text, pos: 1}
	for s.space(); l.text[s.pos] != ']'; s.space() {
		if l.text[s.pos] == ',' {
			s.pos++
			s.space()
		}
		found.spans = append(found.spans, spanOf(s.skip()))
	}
	l.index.Store(found)
	return found
}

func (l *jsonList) Size() int      { return len(l.elements().spans) }
func (l *jsonList) At(i int) Value { return l.elements().spans[i].value() }

// scanner walks JSON text. value checks as it goes; skip trusts what value has checked.
type scanner struct {
	text string
	pos  int
}

func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) unexpected(where string) error {
	if s.pos >= len(s.text) {
		return fmt.Errorf("%w: it ends %s", ErrJSON, where)
	}
	r, _ := utf8.DecodeRuneInString(s.text[s.pos:])
	return fmt.Errorf("%w: %q at byte %d, %s", ErrJSON, r, s.pos, where)
}

func (s *scanner) value(depth int) error {
	if s.pos >= len(s.text) {
		return s.unexpected("where a value begins")
	}
	switch c := s.text[s.pos]; {
	case c == '{' || c == '[':
		if depth >= MaxDepth {
			return fmt.Errorf("nested deeper than %d: %w", MaxDepth, ErrLimit)
		}
		return s.container(c, depth)
	case c == '"':
		return s.str()
	case c == '-' || isDigit(c):
		return s.num()
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(s.text[s.pos:], word) {
			s.pos += len(word)
			return nil
		}
	}
	return s.unexpected("where a value begins")
}

func (s *scanner) container(open byte, depth int) error {
	closing := open + 2 // in ASCII, for { and [ alike
	s.pos++
	s.space()
	if s.pos < len(s.text) && s.text[s.pos] == closing {
		s.pos++
		return nil
	}
	for {
		if open == '{' {
			if err := s.name(); err != nil {
				return err
			}
		}
		if err := s.value(depth + 1); err != nil {
			return err
		}
		s.space()
		if s.pos >= len(s.text) || s.text[s.pos] != ',' && s.text[s.pos] != closing {
			return s.unexpected("inside " + map[byte]string{'{': "an object", '[': "a list"}[open])
		}
		s.pos++
		if s.text[s.pos-1] == closing {
			return nil
		}
		s.space()
	}
}

func (s *scanner) name() error {
	if s.pos >= len(s.text) || s.text[s.pos] != '"' {
		return s.unexpected("where a name begins")
	}
	if err := s.str(); err != nil {
		return err
	}
	s.space()
	if s.pos >= len(s.text) || s.text[s.pos] != ':' {
		return s.unexpected("after a name")
	}
	s.pos++
	s.space()
	return nil
}

func (s *scanner) str() error {
	for s.pos++; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return nil
		case c < ' ':
			return s.unexpected("inside a string")
		case c == '\\':
			if s.pos++; s.pos >= len(s.text) {
				return s.unexpected("inside a string")
			}
			if s.text[s.pos] == 'u' {
				if s.pos+4 >= len(s.text) || strings.Trim(s.text[s.pos+1:s.pos+5], "0123456789abcdefABCDEF") != "" {
					return s.unexpected("inside a string")
				}
				s.pos += 4
			} else if strings.IndexByte(`"\/bfnrt`, s.text[s.pos]) < 0 {
				return s.unexpected("inside a string")
			}
		}
	}
	return s.unexpected("inside a string")
}

func (s *scanner) num() error {
	start := s.pos
	for s.pos < len(s.text) && isNumberByte(s.text[s.pos]) {
		s.pos++
	}
	_, err := parseDecimal(s.text[start:s.pos])
	if errors.Is(err, ErrNumber) {
		return fmt.Errorf("%w: the number at byte %d", ErrJSON, start)
	}
	return err
}

func isNumberByte(c byte) bool {
	return isDigit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

// skip passes over one value of checked JSON and returns its span.
func (s *scanner) skip() string {
	start, depth := s.pos, 0
	for {
		switch c := s.text[s.pos]; c {
		case '"':
			for s.pos++; s.text[s.pos] != '"'; s.pos++ {
				if s.text[s.pos] == '\\' {
					s.pos++
				}
			}
			s.pos++
		case '{', '[':
			depth++
			s.pos++
		case '}', ']':
			depth--
			s.pos++
		default:
			s.pos++
			if depth == 0 { // a number or a word ends where punctuation begins
				for s.pos < len(s.text) && (isNumberByte(s.text[s.pos]) || 'a' <= s.text[s.pos] && s.text[s.pos] <= 'z') {
					s.pos++
				}
			}
		}
		if depth == 0 {
			return s.text[start:s.pos]
		}
	}
}
