package infer

import (
	"bytes"
	"encoding/json"
	"errors"

	"datawatch/pkg/cel"
)

type kind int

const (
	nullKind kind = iota
	boolKind
	numberKind
	stringKind
	arrayKind
	objectKind
)

// value is a JSON value with its members in order.
type value struct {
	kind    kind
	text    string // of strings and numbers
	items   []value
	members []memberValue
}

type memberValue struct {
	name  string
	value value
}

// errBeyond says that a value is beyond what is judged.
var errBeyond = errors.New("beyond what is judged")

// decode reads a value; nil is null.
func decode(raw json.RawMessage) (value, error) {
	if raw == nil {
		return value{}, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return next(d, 0)
}

func next(d *json.Decoder, depth int) (value, error) {
	token, err := d.Token()
	if err != nil {
		return value{}, err
	}
	switch t := token.(type) {
	case bool:
		return value{kind: boolKind}, nil
	case string:
		return value{kind: stringKind, text: t}, nil
	case json.Number:
		if _, err := cel.NumberValue(t.String()); err != nil {
			return value{}, errBeyond
		}
		return value{kind: numberKind, text: t.String()}, nil
	case json.Delim:
		if depth >= cel.MaxDepth {
			return value{}, errBeyond
		}
		if t == '[' {
			return list(d, depth)
		}
		return object(d, depth)
	}
	return value{}, nil
}

func list(d *json.Decoder, depth int) (value, error) {
	v := value{kind: arrayKind}
	for d.More() {
		item, err := next(d, depth+1)
		if err != nil {
			return v, err
		}
		v.items = append(v.items, item)
	}
	_, err := d.Token()
	return v, err
}

func object(d *json.Decoder, depth int) (value, error) {
	v := value{kind: objectKind}
	at := map[string]int{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return v, err
		}
		name, _ := token.(string)
		member, err := next(d, depth+1)
		if err != nil {
			return v, err
		}
		if i, twice := at[name]; twice { // the last one is the row's, as for the judges
			v.members[i].value = member
			continue
		}
		at[name] = len(v.members)
		v.members = append(v.members, memberValue{name, member})
	}
	_, err := d.Token()
	return v, err
}
