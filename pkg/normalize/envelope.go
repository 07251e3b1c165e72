package normalize

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"datawatch/pkg/event"
)

// envelope is a change event of Debezium (https://debezium.io/documentation/reference/stable/), in the parts that clean
// says something about. They are JSON, as compact as the record's value was made.
type envelope struct {
	op, before, after, source, transaction []byte
	description, patch                     []byte // of MongoDB: what an update set
	schema                                 []byte // of the whole envelope, where it came with it
}

// ops are Debezium's.
var ops = map[string]event.Op{
	`"c"`: event.Insert, `"u"`: event.Update, `"d"`: event.Delete, `"r"`: event.Read, `"t"`: event.Truncate,
}

// unavailable is what Debezium puts in place of a value that the source left out: as text, and as bytes.
var unavailable = []string{`"__debezium_unavailable_value"`, `"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="`}

// envelopeOf recognizes an envelope, with a schema around it or without: an object with one of the ops, a source that names
// its connector, and a row before or after (but for truncate; of MongoDB, a document). It is nil for any other value.
func envelopeOf(value []byte) (*envelope, *Error) {
	if len(value) == 0 || value[0] != '{' || !bytes.Contains(value, []byte(`"source":{`)) || !bytes.Contains(value, []byte(`"op":`)) {
		return nil, nil
	}
	schema, payload, _, err := unwrap(value)
	if err != nil || payload[0] != '{' {
		return nil, err
	}
	e := &envelope{schema: schema}
	members, err := membersOf(payload)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		switch string(m.name) {
		case `"op"`:
			e.op = m.value
		case `"before"`:
			e.before = m.value
		case `"after"`:
			e.after = m.value
		case `"source"`:
			e.source = m.value
		case `"transaction"`:
			e.transaction = m.value
		case `"updateDescription"`:
			e.description = m.value
		case `"patch"`:
			e.patch = m.value
		}
	}
	if !e.isChange() {
		return nil, nil
	}
	return e, nil
}

// isChange tells whether what makes an envelope is there.
func (e *envelope) isChange() bool {
	_, known := ops[string(e.op)]
	hasRow := isObject(e.before) || isObject(e.after) || string(e.op) == `"t"`
	if e.isDocument() {
		hasRow = e.hasDocument()
	}
	return known && hasRow && memberOf(e.source, `"connector"`) != nil
}

// unwrap takes a value out of the schema that Kafka Connect's JSON converter puts around it where it is told to; wrapped
// tells whether there was one. The schema of data that has none is null, and comes back as nil.
func unwrap(value []byte) (schema, payload []byte, wrapped bool, err *Error) {
	members, err := membersOf(value)
	if err != nil {
		return nil, nil, false, err
	}
	if len(members) != 2 || string(members[0].name) != `"schema"` || string(members[1].name) != `"payload"` {
		return nil, value, false, nil
	}
	schema, payload = members[0].value, members[1].value
	switch {
	case string(schema) == "null":
		return nil, payload, true, nil
	case memberOf(schema, `"type"`) != nil:
		return schema, payload, true, nil
	default:
		return nil, value, false, nil
	}
}

func isObject(value []byte) bool { return len(value) > 0 && value[0] == '{' }

// memberOf is the value of an object's member, by its name with quotes; nil where there is none.
func memberOf(object []byte, name string) []byte {
	if !isObject(object) {
		return nil
	}
	members, err := membersOf(object)
	if err != nil {
		return nil
	}
	for _, m := range members {
		if string(m.name) == name {
			return m.value
		}
	}
	return nil
}

// time is the source's time of the change, in its finest unit.
func (e *envelope) time() (time.Time, bool) {
	for _, unit := range []struct {
		name string
		of   func(int64) time.Time
	}{
		{`"ts_ns"`, func(n int64) time.Time { return time.Unix(0, n) }}, {`"ts_us"`, time.UnixMicro}, {`"ts_ms"`, time.UnixMilli},
	} {
		if n, err := strconv.ParseInt(string(memberOf(e.source, unit.name)), 10, 64); err == nil && n > 0 {
			if at := unit.of(n).UTC(); at.Year() <= 9999 {
				return at, true
			}
		}
	}
	return time.Time{}, false
}

// fillEnvelope sets what the envelope says of the change.
func (n *Normalizer) fillEnvelope(c *event.Change, e *envelope) *Error {
	if e.isDocument() {
		return e.fillDocument(c)
	}
	c.Op = ops[string(e.op)]
	e.setTransaction(&c.Origin)
	if c.Op == event.Truncate {
		return nil
	}
	schema, err := n.schemaOf(e.schema)
	if err != nil {
		return err
	}
	incomplete := &event.Incomplete{}
	if c.Before, err = connectRow(e.before, schema.field("before"), nil); err != nil {
		return in("before", err)
	}
	if c.After, err = connectRow(e.after, schema.field("after"), incomplete); err != nil {
		return in("after", err)
	}
	needsBefore := c.Op == event.Update || c.Op == event.Delete
	switch {
	case c.Op != event.Delete && c.After == nil:
		return wrong(Malformed, "%s without the row after it", c.Op)
	case needsBefore && c.Before == nil:
		incomplete.Before = "unavailable"
	}
	if incomplete.Before != "" || len(incomplete.Fields) > 0 {
		c.Incomplete = incomplete
	}
	if c.Op == event.Update {
		c.Changed, err = changed(c.Before, c.After, c.Incomplete)
	}
	return err
}

// schemaOf decodes a schema; nil is none.
func (n *Normalizer) schemaOf(text []byte) (*connectSchema, *Error) {
	if text == nil {
		return nil, nil
	}
	schema, err := n.schemas.read(text)
	if err != nil {
		return nil, wrong(Malformed, "schema: %v", err)
	}
	return schema, nil
}

// setTransaction takes the transaction from the envelope's own block, else from the source's number.
func (e *envelope) setTransaction(o *event.Origin) {
	if id := memberOf(e.transaction, `"id"`); id != nil && string(id) != "null" {
		o.Transaction = textOf(id)
		if order, err := strconv.ParseInt(string(memberOf(e.transaction, `"total_order"`)), 10, 64); err == nil {
			o.TransactionIndex = order
		}
		return
	}
	if id := memberOf(e.source, `"txId"`); id != nil && string(id) != "null" {
		o.Transaction = textOf(id)
	}
}

// key is the key of a Kafka record. One that Kafka Connect's JSON converter has put a schema around is its payload, with
// values in the forms that the row has, whatever the record's value is: a tombstone's key is that of the row before it.
func (n *Normalizer) key(key []byte) (json.RawMessage, *Error) {
	if !bytes.Contains(key, []byte(`"schema"`)) || !bytes.Contains(key, []byte(`"payload"`)) || !utf8.Valid(key) {
		return recordKey(key), nil
	}
	value, err := oneValue(key)
	if err != nil || !isObject(value) || !isUnambiguous(value) {
		return recordKey(key), nil //nolint:nilerr // the error says that the key isn't JSON: it is text then
	}
	schema, payload, wrapped, err := unwrap(value)
	if err != nil || !wrapped {
		return recordKey(key), err
	}
	if string(payload) == "null" {
		return nil, nil
	}
	shape, err := n.schemaOf(schema)
	if err != nil {
		return nil, in("key", err)
	}
	clean, err := shape.append(nil, &reader{b: payload})
	if err != nil {
		return nil, in("key", err)
	}
	return canonical(clean)
}

// connectRow rewrites a row by its schema, if there is one; null is nil. Members that the source left out are taken away
// and named in incomplete.
func connectRow(row []byte, schema *connectSchema, incomplete *event.Incomplete) (json.RawMessage, *Error) {
	if !isObject(row) {
		return nil, nil
	}
	if incomplete != nil {
		var err *Error
		if row, err = withoutUnavailable(row, incomplete); err != nil {
			return nil, err
		}
	}
	if schema == nil {
		return row, nil
	}
	return schema.append(make([]byte, 0, len(row)), &reader{b: row})
}

func withoutUnavailable(row []byte, incomplete *event.Incomplete) ([]byte, *Error) {
	if !bytes.Contains(row, []byte(unavailable[0])) && !bytes.Contains(row, []byte(unavailable[1])) {
		return row, nil
	}
	members, err := membersOf(row)
	if err != nil {
		return nil, err
	}
	kept := []byte{'{'}
	for _, m := range members {
		value := string(bytes.Trim(m.value, "[]"))
		if value == unavailable[0] || value == unavailable[1] {
			incomplete.Fields = append(incomplete.Fields, string(unquote(m.name)))
			continue
		}
		if len(kept) > 1 {
			kept = append(kept, ',')
		}
		kept = append(append(append(kept, m.name...), ':'), m.value...)
	}
	return append(kept, '}'), nil
}
