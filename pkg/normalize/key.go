package normalize

import (
	"bytes"
	"encoding/json"
	"slices"

	"datawatch/pkg/event"
)

// RowKey is the key of a row: the canonical JSON of an object with the clean values of its key columns. row is the row
// as to_json printed it. Where there are no key columns, the key is nil: the table has none.
func RowKey(columns []event.Column, keyColumns []string, row json.RawMessage) (json.RawMessage, error) {
	key, err := rowKey(columns, keyColumns, row)
	if err != nil {
		return nil, err
	}
	return key, nil
}

func rowKey(columns []event.Column, keyColumns []string, row []byte) (json.RawMessage, *Error) {
	if len(keyColumns) == 0 {
		return nil, nil
	}
	type member struct {
		name  string
		value []byte
	}
	members := make([]member, 0, len(keyColumns))
	r := &reader{b: row}
	next := 0
	err := r.members(func(quoted []byte) *Error {
		name := unquote(quoted)
		if !slices.ContainsFunc(keyColumns, func(k string) bool { return k == string(name) }) {
			_, _, err := r.value()
			return err
		}
		c, at := columnOf(columns, name, next)
		if c == nil {
			return wrong(Malformed, "key column %s is not in the shape that came with the row", quoted)
		}
		next = at + 1
		if slices.ContainsFunc(members, func(m member) bool { return m.name == c.Name }) {
			return wrong(Malformed, "key column %s stands twice", quoted)
		}
		value, err := appendColumn(nil, r, c)
		if err != nil {
			return in("key column "+string(quoted)+" ("+c.Type+")", err)
		}
		if value, err = canonical(value); err != nil {
			return err
		}
		members = append(members, member{c.Name, value})
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, k := range keyColumns {
		if !slices.ContainsFunc(members, func(m member) bool { return m.name == k }) {
			return nil, wrong(Malformed, "the row has no key column %q", k)
		}
	}
	slices.SortFunc(members, func(a, b member) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	key := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			key = append(key, ',')
		}
		key = appendCanonicalString(key, m.name)
		key = append(append(key, ':'), m.value...)
	}
	return append(key, '}'), nil
}

// CanonicalKey is the canonical JSON of a key that is written in compact JSON. A key that has no form which says the same to
// every reader (a name stands twice in it, a string holds half of a surrogate pair) is an error: it could be taken for
// another one.
func CanonicalKey(value []byte) (json.RawMessage, error) {
	key, err := canonical(value)
	if err != nil {
		return nil, err
	}
	return key, nil
}

// canonical is CanonicalKey; what is in that form already, as most keys are, isn't decoded for it.
func canonical(value []byte) ([]byte, *Error) {
	if isPlain(value) {
		return value, nil
	}
	if err := (&reader{b: value}).unambiguous(); err != nil {
		return nil, err
	}
	return canonicalForm(value)
}

// canonicalForm is event.Canonical.
func canonicalForm(value []byte) ([]byte, *Error) {
	text, err := event.Canonical(value)
	if err != nil {
		return nil, wrong(Malformed, "no canonical JSON: %v", err)
	}
	return text, nil
}

func appendCanonicalString(dst []byte, s string) []byte {
	quoted := event.AppendString(nil, s)
	if c, err := canonical(quoted); err == nil {
		quoted = c
	}
	return append(dst, quoted...)
}

// isPlain tells whether a value is a scalar whose canonical form is what is written: no escapes, and none of the
// characters (U+2028, U+2029: both begin with 0xE2) that Canonical would escape.
func isPlain(value []byte) bool {
	if value[0] == '{' || value[0] == '[' {
		return false
	}
	return bytes.IndexByte(value, '\\') < 0 && bytes.IndexByte(value, 0xE2) < 0
}
