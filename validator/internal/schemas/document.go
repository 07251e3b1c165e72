package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"datawatch/pkg/cel"
)

// maxNested is how deep a schema file may be nested.
const maxNested = 128

// node is a JSON value and where it stands in its file.
type node struct {
	offset  int // of the value's first byte
	value   any // a scalar: string, json.Number, bool or nil; of an object or array: the json.Delim that opens it
	members []member
	items   []*node
}

type member struct {
	name   string
	offset int // of the name
	node   *node
}

func (n *node) isObject() bool { return n.value == json.Delim('{') }

func (n *node) isArray() bool { return n.value == json.Delim('[') }

// get is an object's member, nil where there is none.
func (n *node) get(name string) *node {
	for i := range n.members {
		if n.members[i].name == name {
			return n.members[i].node
		}
	}
	return nil
}

// text is the value of a string.
func (n *node) text() (string, bool) {
	if n == nil {
		return "", false
	}
	s, ok := n.value.(string)
	return s, ok
}

// at follows a JSON pointer as far as it goes; whole says that it went to its end.
func (n *node) at(pointer string) (found *node, whole bool) {
	if pointer == "" {
		return n, true
	}
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		var next *node
		if n.isArray() {
			if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(n.items) {
				next = n.items[i]
			}
		} else {
			next = n.get(unescape(token))
		}
		if next == nil {
			return n, false
		}
		n = next
	}
	return n, true
}

func unescape(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

// place is a line and a column of a file, from 1; the column in characters.
type place struct{ line, column int }

func placeOf(text []byte, offset int) place {
	offset = min(max(offset, 0), len(text))
	line := 1 + bytes.Count(text[:offset], []byte{'\n'})
	begin := bytes.LastIndexByte(text[:offset], '\n') + 1
	return place{line, 1 + utf8.RuneCount(text[begin:offset])}
}

// fault is something wrong at an offset of a file.
type fault struct {
	offset  int
	message string
	hint    string
}

func (f *fault) Error() string { return f.message }

// parse reads a file's text: one JSON value, no name twice in an object, no number beyond what can be judged.
func parse(text []byte) (*node, *fault) {
	if bytes.HasPrefix(text, []byte("\ufeff")) {
		return nil, &fault{0, "begins with a byte order mark", "save it as UTF-8 without one"}
	}
	if !utf8.Valid(text) {
		return nil, &fault{0, "isn't UTF-8", "save it as UTF-8"}
	}
	return newParser(text).whole()
}

// parseOn parses as far as syntax allows, over names that stand twice, and tells of these; the first of equals is kept.
func parseOn(text []byte) (*node, []*fault) {
	if bytes.HasPrefix(text, []byte("\ufeff")) || !utf8.Valid(text) {
		return nil, nil
	}
	p := newParser(text)
	p.goOn = true
	root, wrong := p.whole()
	if wrong != nil {
		return nil, nil
	}
	return root, p.twice
}

func newParser(text []byte) *parser {
	p := &parser{text: text, decoder: json.NewDecoder(bytes.NewReader(text))}
	p.decoder.UseNumber()
	return p
}

// whole parses one value and nothing behind it.
func (p *parser) whole() (*node, *fault) {
	root, err := p.value(0)
	if err == nil {
		behind := p.next()
		if _, end := p.decoder.Token(); !errors.Is(end, io.EOF) {
			err = &fault{behind, "more text behind the JSON value", "one value a file"}
		}
	}
	if err == nil {
		return root, nil
	}
	var wrong *fault
	if errors.As(err, &wrong) {
		return nil, wrong
	}
	return nil, p.syntax(err)
}

type parser struct {
	text    []byte
	decoder *json.Decoder
	goOn    bool     // over names that stand twice
	twice   []*fault // those
}

func (p *parser) syntax(err error) *fault {
	var wrong *json.SyntaxError
	switch {
	case errors.As(err, &wrong):
		return &fault{p.next(), "not JSON: " + wrong.Error(), "check commas, quotes and braces here"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if len(bytes.TrimSpace(p.text)) == 0 {
			return &fault{0, "the file is empty", "{} accepts everything"}
		}
		return &fault{len(p.text), "not JSON: it ends too early", "a brace, bracket or quote isn't closed"}
	default:
		return &fault{p.next(), "not JSON: " + err.Error(), ""}
	}
}

// next is the offset of what the decoder reads next.
func (p *parser) next() int {
	offset := int(p.decoder.InputOffset())
	for offset < len(p.text) && strings.IndexByte(" \t\r\n,:", p.text[offset]) >= 0 {
		offset++
	}
	return offset
}

func (p *parser) value(depth int) (*node, error) {
	n := &node{offset: p.next()}
	if depth > maxNested {
		return nil, &fault{n.offset, fmt.Sprintf("nested deeper than %d levels", maxNested), ""}
	}
	token, err := p.decoder.Token()
	if err != nil {
		return nil, err
	}
	n.value = token
	switch t := token.(type) {
	case json.Number:
		if _, err := cel.NumberValue(t.String()); err != nil {
			return nil, &fault{n.offset, "a number beyond what is judged", fmt.Sprintf("at most %d characters and an exponent of ±%d", cel.MaxNumberLength, cel.MaxExponent)}
		}
	case json.Delim:
		if t == '{' {
			err = p.object(n, depth)
		} else {
			err = p.array(n, depth)
		}
	}
	return n, err
}

func (p *parser) object(n *node, depth int) error {
	seen := map[string]bool{}
	for p.decoder.More() {
		offset := p.next()
		token, err := p.decoder.Token()
		if err != nil {
			return err
		}
		name := token.(string)
		if seen[name] {
			f := &fault{offset, fmt.Sprintf("%q stands twice in one object", name), "keep one"}
			if !p.goOn {
				return f
			}
			p.twice = append(p.twice, f)
		}
		seen[name] = true
		child, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		n.members = append(n.members, member{name, offset, child})
	}
	_, err := p.decoder.Token()
	return err
}

func (p *parser) array(n *node, depth int) error {
	for p.decoder.More() {
		child, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		n.items = append(n.items, child)
	}
	_, err := p.decoder.Token()
	return err
}
