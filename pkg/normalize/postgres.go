package normalize

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"datawatch/pkg/event"
)

// form is what a PostgreSQL type becomes.
type form uint8

const (
	asText form = iota // every type that isn't named below: its text
	asBool
	asNumber
	asTimestamp
	asTimestamptz
	asBytes
	asJSON
	asArray
	asComposite
	asHstore
)

func formOf(c *event.Column) form {
	switch c.Base {
	case "bool":
		return asBool
	case "int2", "int4", "int8", "float4", "float8", "numeric":
		return asNumber
	case "timestamp":
		return asTimestamp
	case "timestamptz":
		return asTimestamptz
	case "bytea":
		return asBytes
	case "json", "jsonb":
		return asJSON
	case "composite":
		return asComposite
	case "hstore":
		return asHstore
	}
	if c.Element != nil || strings.HasPrefix(c.Base, "_") {
		return asArray
	}
	return asText
}

// elementOf is the shape of an array's elements.
func elementOf(c *event.Column) *event.Column {
	if c.Element != nil {
		return c.Element
	}
	base := strings.TrimPrefix(c.Base, "_")
	return &event.Column{Name: c.Name, Type: base, Base: base}
}

// appendColumn appends the clean form of the value that comes next, as to_json printed it.
func appendColumn(dst []byte, r *reader, c *event.Column) ([]byte, *Error) {
	if r.peek() == 'n' {
		null, err := r.scalar()
		return append(dst, null...), err
	}
	switch formOf(c) {
	case asJSON:
		value, spaced, err := r.value()
		return appendCompact(dst, value, spaced), err
	case asArray:
		return appendArray(dst, r, c)
	case asComposite:
		return appendFields(dst, r, c.Fields)
	case asHstore:
		return appendHstore(dst, r)
	case asBool:
		return appendBool(dst, r)
	case asNumber:
		return appendNumber(dst, r)
	case asTimestamp:
		return appendTime(dst, r, false)
	case asTimestamptz:
		return appendTime(dst, r, true)
	case asBytes:
		return appendBytes(dst, r)
	default:
		return appendText(dst, r)
	}
}

// appendFields appends an object whose members are columns: a row or a composite.
func appendFields(dst []byte, r *reader, columns []event.Column) ([]byte, *Error) {
	dst = append(dst, '{')
	next := 0 // members come in the order of columns, of which some may be left out
	some := false
	err := r.members(func(name []byte) *Error {
		c, at := columnOf(columns, unquote(name), next)
		if c == nil {
			return wrong(Malformed, "member %s is not a column of the shape that came with the row", name)
		}
		next = at + 1
		if some {
			dst = append(dst, ',')
		}
		some = true
		dst = append(append(dst, name...), ':')
		var err *Error
		if dst, err = appendColumn(dst, r, c); err != nil {
			return in("column "+string(name)+" ("+c.Type+")", err)
		}
		return nil
	})
	return append(dst, '}'), err
}

// columnOf finds a column by its name, where it most likely is first.
func columnOf(columns []event.Column, name []byte, likely int) (*event.Column, int) {
	for i := likely; i < len(columns); i++ {
		if columns[i].Name == string(name) {
			return &columns[i], i
		}
	}
	for i := range min(likely, len(columns)) {
		if columns[i].Name == string(name) {
			return &columns[i], i
		}
	}
	return nil, 0
}

// appendArray appends an array of any number of dimensions; its elements' type is the same in each.
func appendArray(dst []byte, r *reader, c *event.Column) ([]byte, *Error) {
	element := elementOf(c)
	deeper := c // what a nested array is: another dimension, or an element that is an array (a domain over one)
	if formOf(element) == asArray {
		deeper = element
	}
	nested := formOf(element) != asJSON
	dst = append(dst, '[')
	some := false
	err := r.elements(func() *Error {
		if some {
			dst = append(dst, ',')
		}
		some = true
		var err *Error
		if nested && r.peek() == '[' {
			dst, err = appendArray(dst, r, deeper)
		} else {
			dst, err = appendColumn(dst, r, element)
		}
		return err
	})
	return append(dst, ']'), err
}

// appendText copies a string. A number or a boolean becomes a string, and what an extension's own cast to json made
// an object or an array stays one.
func appendText(dst []byte, r *reader) ([]byte, *Error) {
	switch r.peek() {
	case '{', '[':
		value, spaced, err := r.value()
		return appendCompact(dst, value, spaced), err
	case '"':
		text, err := r.scalar()
		return append(dst, text...), err
	default:
		text, err := r.scalar()
		return append(append(append(dst, '"'), text...), '"'), err
	}
}

func appendBool(dst []byte, r *reader) ([]byte, *Error) {
	value, err := r.scalar()
	if err != nil {
		return nil, err
	}
	switch string(value) {
	case "true", `"t"`, `"true"`:
		return append(dst, "true"...), nil
	case "false", `"f"`, `"false"`:
		return append(dst, "false"...), nil
	default:
		return nil, wrong(Type, "neither true nor false")
	}
}

// appendNumber copies a number digit for digit; NaN and the infinities, which JSON has no number for, are strings.
func appendNumber(dst []byte, r *reader) ([]byte, *Error) {
	value, err := r.scalar()
	if err != nil {
		return nil, err
	}
	if value[0] != '"' {
		if numberLen(value) != len(value) {
			return nil, wrong(Type, "not a number")
		}
		return append(dst, value...), nil
	}
	switch text := value[1 : len(value)-1]; {
	case string(text) == "NaN", string(text) == "Infinity", string(text) == "-Infinity":
		return append(dst, value...), nil
	case len(text) > 0 && numberLen(text) == len(text):
		return append(dst, text...), nil
	default:
		return nil, wrong(Type, `neither a number nor "NaN", "Infinity" or "-Infinity"`)
	}
}

// appendBytes turns bytea's hexadecimal form into base64.
func appendBytes(dst []byte, r *reader) ([]byte, *Error) {
	value, err := r.scalar()
	if err != nil {
		return nil, err
	}
	digits, ok := bytes.CutPrefix(value, []byte(`"\\x`))
	if !ok {
		return nil, wrong(Type, `not bytea in hexadecimal form (bytea_output is to be hex)`)
	}
	digits = digits[:len(digits)-1]
	decoded := make([]byte, hex.DecodedLen(len(digits)))
	if _, err := hex.Decode(decoded, digits); err != nil {
		return nil, wrong(Type, "not bytea in hexadecimal form: %v", err)
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, decoded)
	return append(dst, '"'), nil
}

// appendHstore gives hstore its text back; hstore's own cast to json made an object of it.
func appendHstore(dst []byte, r *reader) ([]byte, *Error) {
	if r.peek() != '{' {
		return appendText(dst, r)
	}
	var text []byte
	err := r.members(func(name []byte) *Error {
		if len(text) > 0 {
			text = append(text, ", "...)
		}
		text = append(appendHstoreText(text, unquote(name)), "=>"...)
		value, err := r.scalar()
		if err != nil {
			return err
		}
		if string(value) == "null" {
			text = append(text, "NULL"...)
		} else {
			text = appendHstoreText(text, []byte(textOf(value)))
		}
		return nil
	})
	return event.AppendString(dst, string(text)), err
}

// appendHstoreText quotes as hstore_out does: https://www.postgresql.org/docs/current/hstore.html
func appendHstoreText(b, text []byte) []byte {
	b = append(b, '"')
	for _, c := range text {
		if c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return append(b, '"')
}
