package normalize

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"datawatch/pkg/event"
)

// attributePrefix begins the headers that hold the attributes of a CloudEvent in binary mode
// (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md).
const attributePrefix = "ce_"

// required are the attributes that every CloudEvent has, in the order in which they are looked at.
var required = []string{"specversion", "id", "source", "type"}

// cloudEvent is what a record's value says in structured mode.
type cloudEvent struct {
	attributes fields // by name; texts, and whatever else an extension may be
	names      []string
	data       []byte // JSON; nil where there is none
	base64     []byte // a JSON string; nil where the data is none
}

// cloudEventOf recognizes a CloudEvent in structured mode: an object with all the required attributes, as texts. It is nil
// for any other value.
func cloudEventOf(value []byte) *cloudEvent {
	if !isObject(value) || !bytes.Contains(value, []byte(`"specversion":"`)) {
		return nil
	}
	members, err := membersOf(value)
	if err != nil {
		return nil
	}
	e := &cloudEvent{attributes: make(fields, len(members))}
	for _, m := range members {
		var twice bool
		switch name := string(unquote(m.name)); name {
		case "data":
			twice, e.data = e.data != nil, m.value
		case "data_base64":
			twice, e.base64 = e.base64 != nil, m.value
		default:
			if isObject(m.value) || m.value[0] == '[' || hasLoneSurrogate(m.value) {
				return nil
			}
			_, twice = e.attributes[name]
			e.attributes[name] = m.value
			e.names = append(e.names, name)
		}
		if twice {
			return nil
		}
	}
	for _, name := range required {
		if e.attributes.text(name) == "" {
			return nil
		}
	}
	if e.base64 != nil && (e.data != nil || !isText(e.base64)) {
		return nil
	}
	return e
}

// cloudEvent makes the events of a CloudEvent in structured mode; nil where the value is none. It comes out as the same
// event in binary mode would: the data is the value, the attributes are headers.
func (n *Normalizer) cloudEvent(r *event.Raw, c *event.Change, value []byte, f format) ([]*event.Clean, *Error) {
	e := cloudEventOf(value)
	if e == nil {
		return nil, nil
	}
	record := *r
	e.describe(&record, c)
	if debezium := e.debezium(); debezium != nil && f.allows(envelopeDebezium) {
		return n.changeOfEnvelope(&record, c, debezium)
	}
	switch {
	case e.base64 != nil:
		data, failed := base64.StdEncoding.DecodeString(string(unquote(e.base64)))
		if failed != nil {
			return nil, wrong(Malformed, "data_base64: %v", failed)
		}
		record.Value = data
		if n.masker != nil { // before it was written nobody could look into it
			if err := n.masker.Apply(&record); err != nil {
				return nil, wrong(Malformed, "data_base64: %v", err)
			}
		}
	case e.data != nil:
		record.Value = e.data
	default:
		return []*event.Clean{changeOf(&record, c)}, nil
	}
	value, encoding, err := recordValue(record.Value)
	if err != nil {
		return nil, err
	}
	return n.value(&record, c, value, encoding, f)
}

// describe sets what the attributes say.
func (e *cloudEvent) describe(r *event.Raw, c *event.Change) {
	c.Origin.Headers = slices.Clone(c.Origin.Headers)
	for _, name := range e.names {
		if value := e.attributes[name]; string(value) != "null" {
			c.Origin.Headers = append(c.Origin.Headers, event.Header{Name: attributePrefix + name, Value: []byte(textOf(value))})
		}
	}
	c.Origin.ContentType = e.attributes.text("datacontenttype")
	if c.Origin.ContentType == "" && e.data != nil {
		c.Origin.ContentType = "application/json"
	}
	setAttributeTime(r, e.attributes.text("time"))
}

// setAttributeTime takes a CloudEvent's time for the record's.
func setAttributeTime(r *event.Raw, text string) {
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil && at.UTC().Year() >= 1 && at.UTC().Year() <= 9999 {
		r.Time = at
	}
}

// binaryMode is the record with the time of a CloudEvent in binary mode, whose attributes are in its headers.
func binaryMode(r *event.Raw) *event.Raw {
	found := make(map[string]string, len(required)+1)
	for _, h := range r.Headers {
		if name, ok := strings.CutPrefix(h.Name, attributePrefix); ok {
			found[name] = string(h.Value)
		}
	}
	for _, name := range required {
		if found[name] == "" {
			return r
		}
	}
	record := *r
	setAttributeTime(&record, found["time"])
	return &record
}

// debezium is the change that Debezium's converter to CloudEvents has made an event of: its op and its source are
// extensions, and the data is the row before and after, in a schema or not.
func (e *cloudEvent) debezium() *envelope {
	op, connector := e.attributes["iodebeziumop"], e.attributes["iodebeziumconnector"]
	if _, known := ops[string(op)]; !known || !isText(connector) || !isObject(e.data) {
		return nil
	}
	schema, payload, _, err := unwrap(e.data)
	if err != nil {
		return nil
	}
	d := &envelope{op: op, schema: schema, before: memberOf(payload, `"before"`), after: memberOf(payload, `"after"`)}
	source := append([]byte(`{"connector":`), connector...)
	for member, attribute := range map[string]string{"ts_ms": "iodebeziumtsms", "txId": "iodebeziumtxid"} {
		if value := e.attributes[attribute]; value != nil && string(value) != "null" {
			source = append(append(source, `,"`+member+`":`...), bytes.Trim(value, `"`)...)
		}
	}
	d.source = append(source, '}')
	if !d.isChange() {
		return nil
	}
	return d
}
