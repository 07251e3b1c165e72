package wal

import (
	"bytes"
	"fmt"
	"strings"
)

// appendArray turns the text of an array (https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO) into a JSON array,
// nested for more dimensions. Lower bounds are left out, as to_json does.
func (c *codec) appendArray(dst, text []byte) ([]byte, error) {
	if len(text) > 0 && text[0] == '[' {
		_, after, found := bytes.Cut(text, []byte{'='})
		if !found {
			return dst, fmt.Errorf("array: %w", errLiteral)
		}
		text = after
	}
	if len(text) == 0 || text[0] != '{' {
		return c.appendVector(dst, text)
	}
	dst, end, err := c.appendDimension(dst, text, 0)
	if err == nil && end != len(text) {
		err = fmt.Errorf("array: %w", errLiteral)
	}
	return dst, err
}

// appendVector is for int2vector and oidvector, which print without braces.
func (c *codec) appendVector(dst, text []byte) ([]byte, error) {
	dst = append(dst, '[')
	for i, element := range bytes.Fields(text) {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = c.element.append(dst, element); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

// maxDimensions is PostgreSQL's MAXDIM.
const maxDimensions = 6

// appendDimension reads what stands in one pair of braces; end is the place behind it.
func (c *codec) appendDimension(dst, text []byte, depth int) (_ []byte, end int, err error) {
	if depth >= maxDimensions {
		return dst, 0, fmt.Errorf("array: %w", errLiteral)
	}
	dst = append(dst, '[')
	at := 1
	if at < len(text) && text[at] == '}' {
		return append(dst, ']'), at + 1, nil
	}
	for {
		var n int
		if at < len(text) && text[at] == '{' {
			dst, n, err = c.appendDimension(dst, text[at:], depth+1)
		} else {
			dst, n, err = c.appendElement(dst, text[at:])
		}
		if err != nil {
			return dst, 0, err
		}
		at += n
		switch {
		case at >= len(text):
			return dst, 0, fmt.Errorf("array: %w", errLiteral)
		case text[at] == '}':
			return append(dst, ']'), at + 1, nil
		case text[at] == c.element.delimiter:
			dst = append(dst, ',')
			at++
		default:
			return dst, 0, fmt.Errorf("array: %w", errLiteral)
		}
	}
}

func (c *codec) appendElement(dst, text []byte) (_ []byte, end int, err error) {
	if len(text) > 0 && text[0] == '"' {
		value, n, err := unquote(text)
		if err != nil {
			return dst, 0, err
		}
		dst, err = c.element.append(dst, value)
		return dst, n, err
	}
	n := bytes.IndexFunc(text, func(r rune) bool { return r == '}' || r == rune(c.element.delimiter) })
	if n <= 0 {
		return dst, 0, fmt.Errorf("array: %w", errLiteral)
	}
	if strings.EqualFold(string(text[:n]), "null") {
		return append(dst, "null"...), n, nil
	}
	dst, err = c.element.append(dst, text[:n])
	return dst, n, err
}

// unquote reads a quoted element or field: a backslash is before what stands for itself, and two quotes are one.
func unquote(text []byte) (value []byte, end int, err error) {
	for at := 1; at < len(text); at++ {
		switch ch := text[at]; {
		case ch == '\\' && at+1 < len(text):
			at++
			value = append(value, text[at])
		case ch == '"' && at+1 < len(text) && text[at+1] == '"':
			at++
			value = append(value, '"')
		case ch == '"':
			return value, at + 1, nil
		default:
			value = append(value, ch)
		}
	}
	return nil, 0, fmt.Errorf("quoted text: %w", errLiteral)
}

// appendComposite turns the text of a composite (https://www.postgresql.org/docs/current/rowtypes.html#ROWTYPES-IO-SYNTAX)
// into an object. A value that was written before its type got another attribute has fewer of them.
func (c *codec) appendComposite(dst, text []byte) ([]byte, error) {
	wrong := fmt.Errorf("composite: %w", errLiteral)
	if len(text) < 2 || text[0] != '(' {
		return dst, wrong
	}
	dst = append(dst, '{')
	at := 1
	for i := 0; ; i++ {
		var end int
		var null bool
		var value []byte
		if text[at] == '"' {
			quoted, n, err := unquote(text[at:])
			if err != nil {
				return dst, err
			}
			end, value = at+n, quoted
		} else {
			n := bytes.IndexAny(text[at:], ",)")
			if n < 0 {
				return dst, wrong
			}
			end, null, value = at+n, n == 0, text[at:at+n]
		}
		if i >= len(c.fields) && !(i == 0 && null) { // an attribute was dropped since
			return dst, wrong
		}
		if i < len(c.fields) {
			var err error
			if dst, err = c.appendField(dst, i, value, null); err != nil {
				return dst, err
			}
		}
		switch {
		case end >= len(text):
			return dst, wrong
		case text[end] == ')' && end == len(text)-1:
			return append(dst, '}'), nil
		case text[end] != ',' || end+1 >= len(text):
			return dst, wrong
		}
		at = end + 1
	}
}

func (c *codec) appendField(dst []byte, i int, value []byte, null bool) ([]byte, error) {
	if i > 0 {
		dst = append(dst, ',')
	}
	dst = append(dst, c.fields[i].head...)
	if null {
		return append(dst, "null"...), nil
	}
	return c.fields[i].codec.append(dst, value)
}
