package normalize

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"datawatch/pkg/event"
)

// isDocument tells whether the envelope is one of Debezium's connector for MongoDB, whose documents are Extended JSON in a
// text (https://debezium.io/documentation/reference/stable/connectors/mongodb.html).
func (e *envelope) isDocument() bool {
	return string(memberOf(e.source, `"connector"`)) == `"mongodb"`
}

// hasDocument tells whether there is what each op comes with. A delete has its key only, unless the server keeps
// pre-images; an update may have nothing but what it set.
func (e *envelope) hasDocument() bool {
	switch ops[string(e.op)] {
	case event.Insert, event.Read:
		return isText(e.after)
	case event.Update:
		return isText(e.after) || isObject(e.description) || isText(e.patch)
	default:
		return string(e.op) == `"d"`
	}
}

func isText(value []byte) bool { return len(value) > 0 && value[0] == '"' }

// fillDocument sets what an envelope of MongoDB says of the change. Where it tells what was set, the document after it was
// looked up, so it may be that of a later change; the first versions tell that in a patch.
func (e *envelope) fillDocument(c *event.Change) (err *Error) {
	c.Op = ops[string(e.op)]
	e.setTransaction(&c.Origin)
	if c.Before, err = extendedDocument(e.before); err != nil {
		return in("before", err)
	}
	if c.After, err = extendedDocument(e.after); err != nil {
		return in("after", err)
	}
	if c.Key, err = documentKeyOf(c); err != nil {
		return in("key", err)
	}
	described := isObject(e.description) || isText(e.patch)
	incomplete := &event.Incomplete{}
	if c.Before == nil && (c.Op == event.Update || c.Op == event.Delete) {
		incomplete.Before = "unavailable"
	}
	switch {
	case c.Op != event.Update:
	case c.After == nil:
		incomplete.After = "missing"
	case described:
		incomplete.After = "later"
	}
	if incomplete.Before != "" || incomplete.After != "" {
		c.Incomplete = incomplete
	}
	switch {
	case c.Op != event.Update:
	case isObject(e.description):
		c.Changed, err = changedBy(e.description, c.After)
	default:
		c.Changed, err = changed(c.Before, c.After, nil)
	}
	return err
}

// extendedDocument is the clean form of a document in Extended JSON in a text; null is nil.
func extendedDocument(quoted []byte) (json.RawMessage, *Error) {
	if !isText(quoted) {
		return nil, nil
	}
	if hasLoneSurrogate(quoted) {
		return nil, wrong(Malformed, "half of a surrogate pair")
	}
	text := unquote(quoted)
	r := &reader{b: text}
	if r.peek() != '{' {
		return nil, r.syntax("a document in Extended JSON")
	}
	clean, err := appendExtendedObject(make([]byte, 0, len(text)), r)
	if err != nil {
		return nil, err
	}
	return clean, r.end()
}

// documentKeyOf is {"_id": …}: of the record's key, {"id": "<Extended JSON>"}, else of the document. Where neither has it
// the record's key stays.
func documentKeyOf(c *event.Change) (json.RawMessage, *Error) {
	if members, err := membersOf(c.Key); err == nil && len(members) == 1 && string(members[0].name) == `"id"` && isText(members[0].value) {
		r := &reader{b: unquote(members[0].value)}
		if id, err := appendExtended([]byte(`{"_id":`), r); err == nil && r.end() == nil {
			return canonical(append(id, '}'))
		}
	}
	for _, document := range [][]byte{c.After, c.Before} {
		if id := memberOf(document, `"_id"`); id != nil {
			return canonical(slices.Concat([]byte(`{"_id":`), id, []byte{'}'}))
		}
	}
	return c.Key, nil
}

// changedBy names the top-level members that an update changed by its own account.
func changedBy(description, after []byte) ([]string, *Error) {
	f := fieldsOf(description)
	var paths []string
	set, err := membersOfText(f["updatedFields"])
	if err != nil {
		return nil, in("updateDescription.updatedFields", err)
	}
	for _, m := range set {
		paths = append(paths, string(unquote(m.name)))
	}
	for _, array := range objectsIn(f["truncatedArrays"]) {
		if field := fieldsOf(array).text("field"); field != "" {
			paths = append(paths, field)
		}
	}
	paths = append(paths, f.texts("removedFields")...)
	present, err := membersOf(orEmpty(after))
	if err != nil {
		return nil, err
	}
	names := make([]string, len(present))
	for i, m := range present {
		names[i] = string(unquote(m.name))
	}
	return touchedBy(paths, names), nil
}

func orEmpty(object []byte) []byte {
	if object == nil {
		return []byte("{}")
	}
	return object
}

// membersOfText are those of an object in a text; none where it is null.
func membersOfText(quoted []byte) ([]member, *Error) {
	if !isText(quoted) {
		return nil, nil
	}
	return membersOf(unquote(quoted))
}

// touchedBy names the top-level members that paths lead to: those that are present in their order, then the others. A
// name may hold dots itself.
func touchedBy(paths, present []string) (names []string) {
	touched := make(map[string]bool, len(paths))
	there := make(map[string]bool, len(present))
	for _, name := range present {
		there[name] = true
	}
	var gone []string
	for _, path := range paths {
		name := path
		if !there[path] {
			name, _, _ = strings.Cut(path, ".")
		}
		if !touched[name] && !there[name] {
			gone = append(gone, name)
		}
		touched[name] = true
	}
	for _, name := range present {
		if touched[name] {
			names = append(names, name)
		}
	}
	return append(names, gone...)
}

// descriptions are the rules that hide what an update of a document set, where a record's value is an envelope of MongoDB:
// paths there may lead into, or end above, what is to be hidden, so all are hidden whose top-level member a rule speaks of.
func descriptions(value []byte, rules []maskRule) (hidden []maskRule) {
	if !bytes.Contains(value, []byte(`"updateDescription"`)) {
		return nil
	}
	value, err := oneValue(value)
	if err != nil {
		return nil
	}
	_, payload, wrapped, err := unwrap(value)
	if err != nil {
		return nil
	}
	prefix := "updateDescription.updatedFields."
	if wrapped {
		prefix = "payload." + prefix
	}
	set, err := membersOfText(fieldsOf(fieldsOf(payload)["updateDescription"])["updatedFields"])
	if err != nil {
		return nil
	}
	for _, m := range set {
		if name := string(unquote(m.name)); touches(rules, name) {
			hidden = append(hidden, maskRule{prefix + name, maskAll})
		}
	}
	return hidden
}
