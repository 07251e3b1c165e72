package feed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"datawatch/pkg/event"
)

// field is a member of a row or a document, with its path: "address.city".
type field struct {
	path     string
	old, new json.RawMessage // nil: not there
}

// maxDepth is how deep changes are followed into documents; what lies deeper is shown as a whole.
const maxDepth = 8

type member struct {
	name  string
	value json.RawMessage
}

// membersOf are an object's members in their order.
func membersOf(object json.RawMessage) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.Join(err, errors.New("not an object"))
	}
	var members []member
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		text, ok := token.(string)
		if !ok {
			return nil, fmt.Errorf("member %v has no name", token)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		members = append(members, member{text, value})
	}
	return members, nil
}

// valueFields are what an insert or a delete shows: everything that isn't null, without the key.
func valueFields(row, key json.RawMessage) ([]field, error) {
	members, err := membersOf(row)
	if err != nil {
		return nil, err
	}
	keys := namesOf(key)
	var fields []field
	for _, m := range members {
		if !isNull(m.value) && !keys[m.name] {
			fields = append(fields, field{path: m.name, new: m.value})
		}
	}
	return fields, nil
}

// changedFields are what an update shows: what differs, inside documents by path. What is incomplete isn't compared.
func changedFields(before, after json.RawMessage, incomplete *event.Incomplete) ([]field, error) {
	skip := map[string]bool{}
	if incomplete != nil {
		for _, f := range incomplete.Fields {
			skip[f] = true
		}
	}
	return appendChanged(nil, "", before, after, skip, maxDepth)
}

func appendChanged(fields []field, prefix string, before, after json.RawMessage, skip map[string]bool, depth int) ([]field, error) {
	olds, err := membersOf(before)
	if err != nil {
		return nil, err
	}
	news, err := membersOf(after)
	if err != nil {
		return nil, err
	}
	was := make(map[string]json.RawMessage, len(olds))
	for _, m := range olds {
		was[m.name] = m.value
	}
	is := make(map[string]bool, len(news))
	for _, m := range news {
		is[m.name] = true
		old, known := was[m.name]
		switch {
		case skip[m.name]:
		case !known:
			fields = append(fields, field{path: prefix + m.name, new: m.value})
		case same(old, m.value):
		case depth > 1 && isObject(old) && isObject(m.value):
			if fields, err = appendChanged(fields, prefix+m.name+".", old, m.value, nil, depth-1); err != nil {
				return nil, err
			}
		default:
			fields = append(fields, field{path: prefix + m.name, old: old, new: m.value})
		}
	}
	for _, m := range olds {
		if !is[m.name] && !skip[m.name] {
			fields = append(fields, field{path: prefix + m.name, old: m.value})
		}
	}
	return fields, nil
}

// same compares as the clean event's list of changed fields does: digits count, the order of members doesn't.
func same(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	ca, err := event.Canonical(a)
	if err != nil {
		return false
	}
	cb, err := event.Canonical(b)
	return err == nil && bytes.Equal(ca, cb)
}

func namesOf(key json.RawMessage) map[string]bool {
	names := map[string]bool{}
	if members, err := membersOf(key); err == nil {
		for _, m := range members {
			names[m.name] = true
		}
	}
	return names
}

func isNull(value json.RawMessage) bool   { return value == nil || bytes.Equal(value, []byte("null")) }
func isObject(value json.RawMessage) bool { return len(value) > 0 && value[0] == '{' }
func isText(value json.RawMessage) bool   { return len(value) > 0 && value[0] == '"' }

// textOf is a JSON string's text; ok is false for other values.
func textOf(value json.RawMessage) (text string, ok bool) {
	if !isText(value) || json.Unmarshal(value, &text) != nil {
		return "", false
	}
	return text, true
}
