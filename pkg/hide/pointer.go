package hide

import (
	"fmt"
	"strings"
)

// Pointer is a JSON pointer (RFC 6901) whose "*" stands for any name or index.
type Pointer []string

var (
	unescape = strings.NewReplacer("~1", "/", "~0", "~")
	escape   = strings.NewReplacer("~", "~0", "/", "~1")
)

// ParsePointer reads a JSON pointer.
func ParsePointer(text string) (Pointer, error) {
	if text == "" {
		return Pointer{}, nil
	}
	if text[0] != '/' {
		return nil, fmt.Errorf("%q is not a JSON pointer: it begins with a slash, as in /customer/name", text)
	}
	var p Pointer
	for token := range strings.SplitSeq(text[1:], "/") {
		p = append(p, unescape.Replace(token))
	}
	return p, nil
}

// String is the pointer's text.
func (p Pointer) String() string {
	var b strings.Builder
	for _, token := range p {
		b.WriteByte('/')
		b.WriteString(escape.Replace(token))
	}
	return b.String()
}

// Covers tells whether the pointer names the place, or something above it.
func (p Pointer) Covers(place []string) bool {
	if len(p) > len(place) {
		return false
	}
	for i, token := range p {
		if token != "*" && token != place[i] && place[i] != "*" {
			return false
		}
	}
	return true
}

// Under tells whether the pointer names something at or below the place.
func (p Pointer) Under(place []string) bool {
	if len(p) < len(place) {
		return false
	}
	for i, token := range place {
		if p[i] != "*" && token != "*" && p[i] != token {
			return false
		}
	}
	return true
}
