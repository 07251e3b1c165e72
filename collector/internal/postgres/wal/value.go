package wal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"datawatch/collector/internal/postgres"
)

// form is what to_json makes of a type (json_categorize_type in src/backend/utils/adt/json.c).
type form uint8

const (
	asText form = iota
	asBool
	asNumber
	asTimestamp
	asTimestamptz
	asJSON
	asArray
	asComposite
	asCast // a cast to json that the type brought with it
)

var forms = map[string]form{
	"bool": asBool, "int2": asNumber, "int4": asNumber, "int8": asNumber, "float4": asNumber, "float8": asNumber, "numeric": asNumber,
	"timestamp": asTimestamp, "timestamptz": asTimestamptz, "json": asJSON, "jsonb": asJSON,
}

// codec turns the text of a value, as the type's output function prints it, into what to_json prints.
type codec struct {
	form      form
	typeName  string // for asCast
	delimiter byte   // of the array whose element this is
	element   *codec
	fields    []codecField
	cast      func(typeName, text string) ([]byte, error)
}

type codecField struct {
	head  []byte // the name and a colon
	codec *codec
}

var errLiteral = errors.New("not the text of its type")

func (c *codec) append(dst, text []byte) ([]byte, error) {
	switch c.form {
	case asBool:
		switch string(text) {
		case "t":
			return append(dst, "true"...), nil
		case "f":
			return append(dst, "false"...), nil
		}
		return dst, fmt.Errorf("boolean: %w", errLiteral)
	case asNumber:
		if isNumber(text) {
			return append(dst, text...), nil
		}
		return postgres.AppendJSONText(dst, text), nil // NaN and the infinities
	case asTimestamp:
		return appendTime(dst, text, false), nil
	case asTimestamptz:
		return appendTime(dst, text, true), nil
	case asJSON:
		return append(dst, text...), nil
	case asArray:
		return c.appendArray(dst, text)
	case asComposite:
		return c.appendComposite(dst, text)
	case asCast:
		value, err := c.cast(c.typeName, string(text))
		if err != nil {
			return dst, err
		}
		return append(dst, value...), nil
	default:
		return postgres.AppendJSONText(dst, text), nil
	}
}

// isNumber tells whether the text of a number is one in JSON too.
func isNumber(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	last := text[len(text)-1]
	return last >= '0' && last <= '9' // NaN, Infinity and -Infinity are the only ones that aren't
}

// appendTime makes "2026-11-22 23:59:59+00" the T form with a full zone; infinity stays, and BC behind it.
func appendTime(dst, text []byte, zone bool) []byte {
	day, rest, timed := bytes.Cut(text, []byte{' '})
	if !timed {
		return postgres.AppendJSONText(dst, text)
	}
	dst = append(dst, '"')
	dst = append(append(append(dst, day...), 'T'), bytes.TrimSuffix(rest, []byte(" BC"))...)
	if zone && bytes.Contains(rest, []byte("+00")) {
		dst = append(dst, ":00"...)
	}
	if bytes.HasSuffix(rest, []byte(" BC")) {
		dst = append(dst, " BC"...)
	}
	return append(dst, '"')
}

// walType is a type as sql/types.sql tells it.
type walType struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	Base      string `json:"base"`
	Element   string `json:"element"`
	Type      string `json:"type"`
	Delimiter string `json:"delimiter"`
	Cast      bool   `json:"cast"`
	Fields    []struct {
		Name string `json:"name"`
		OID  string `json:"oid"`
	} `json:"fields"`
}

// maxTypeDepth ends what a catalog in disorder could make endless; PostgreSQL has no recursive types.
const maxTypeDepth = 32

type codecs struct {
	types map[string]walType
	cast  func(typeName, text string) ([]byte, error)
}

// of is the codec of a type; one that is unknown, since it was dropped, is text. Of a domain it is its base type's: to print a value as
// one of the domain would call what its owner has checked. Only base types, which a superuser makes, are what they are named.
func (m codecs) of(oid string, depth int) *codec {
	t := m.types[oid]
	for i := 0; t.Kind == "d" && i < maxTypeDepth; i++ {
		t = m.types[t.Base]
	}
	c := &codec{typeName: t.Type, delimiter: ','}
	if t.Delimiter != "" {
		c.delimiter = t.Delimiter[0]
	}
	switch {
	case depth > maxTypeDepth:
	case t.Element != "":
		c.form, c.element = asArray, m.of(t.Element, depth+1)
	case t.Kind == "c":
		c.form = asComposite
		for _, f := range t.Fields {
			c.fields = append(c.fields, codecField{append(postgres.AppendJSONText(nil, []byte(f.Name)), ':'), m.of(f.OID, depth+1)})
		}
	case t.Cast:
		c.form, c.cast = asCast, m.cast
	case t.Kind == "b":
		c.form = forms[t.Name]
	}
	return c
}

func parseCodecs(text []byte, cast func(typeName, text string) ([]byte, error)) (codecs, error) {
	var d struct {
		Types map[string]walType `json:"types"`
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return codecs{}, fmt.Errorf("read types: %w", err)
	}
	return codecs{types: d.Types, cast: cast}, nil
}

// maxFields is how many fields the columns of a table have, in all that their types are made of, before one more is text. Composites of
// composites can have a number that doubles with each.
const maxFields = 10000

// bound takes columns that have too many fields for such of an unknown type, which is text: in the types of the columns, and in the text
// that tells of them.
func (m codecs) bound(oids []uint32, text []byte) ([]uint32, []byte, error) {
	left, bounded, sizes := maxFields, slices.Clone(oids), map[string]int{}
	for i, oid := range oids {
		if n := m.fields(fmt.Sprint(oid), sizes); n <= left {
			left -= n
		} else {
			bounded[i] = 0
		}
	}
	if slices.Equal(bounded, oids) {
		return oids, text, nil
	}
	var d struct {
		Columns []map[string]string `json:"columns"`
		Types   json.RawMessage     `json:"types"`
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, nil, fmt.Errorf("read types: %w", err)
	}
	for i, oid := range bounded {
		d.Columns[i]["oid"] = fmt.Sprint(oid)
	}
	text, err := json.Marshal(d)
	return bounded, text, err
}

// fields is how many fields a value of a type has, and itself; more than maxFields are as many as any.
func (m codecs) fields(oid string, sizes map[string]int) int {
	if n, known := sizes[oid]; known {
		return n
	}
	sizes[oid] = maxFields + 1 // should it be made of itself
	t := m.types[oid]
	n := 1
	for _, part := range []string{t.Element, t.Base} {
		if part != "" {
			n += m.fields(part, sizes)
		}
	}
	for _, f := range t.Fields {
		n = min(n+m.fields(f.OID, sizes), maxFields+1)
	}
	sizes[oid] = n
	return n
}
