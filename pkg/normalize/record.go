package normalize

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"datawatch/pkg/event"
)

// Headers of a Kafka record that say something about the event.
const (
	headerContentType = "content-type"
	headerTag         = "datawatch-tag"
	headerTraceparent = "traceparent" // https://www.w3.org/TR/trace-context/
)

// base64Encoding is Change.Encoding where after is the base64 of bytes.
const base64Encoding = "base64"

// record makes the clean events of a Kafka record.
func (n *Normalizer) record(r *event.Raw, f format) ([]*event.Clean, *Error) {
	topic, partition, offset, err := event.RecordOrigin(r.ID)
	if err != nil {
		return nil, wrong(Malformed, "%v", err)
	}
	c := &event.Change{Op: event.Message, Origin: event.Origin{Topic: topic, Partition: partition, Offset: offset}}
	setHeaders(&c.Origin, r.Headers)
	if f.allows(envelopeCloudEvents) {
		r = binaryMode(r)
	}
	var wrong *Error
	if c.Key, wrong = n.formattedKey(r.Key, f.key); wrong != nil {
		return nil, in("key", wrong)
	}
	if r.Value == nil {
		c.Op = event.Delete
		return []*event.Clean{changeOf(r, c)}, nil
	}
	value, encoding, wrong := formattedValue(r.Value, f.value)
	if wrong != nil {
		return nil, in("value", wrong)
	}
	if encoding == "" && f.allows(envelopeCloudEvents) {
		events, wrong := n.cloudEvent(r, c, value, f)
		switch {
		case wrong != nil:
			return nil, in("CloudEvent", wrong)
		case events != nil:
			return events, nil
		}
	}
	return n.value(r, c, value, encoding, f)
}

// value makes the events of a value: those of a change envelope, else a message. c is what is known of the record.
func (n *Normalizer) value(r *event.Raw, c *event.Change, value []byte, encoding string, f format) ([]*event.Clean, *Error) {
	if encoding == "" {
		events, err := n.envelope(r, c, value, f)
		switch {
		case err != nil:
			return nil, in("envelope", err)
		case events != nil:
			return events, nil
		}
	}
	c.After, c.Encoding = value, encoding
	return []*event.Clean{changeOf(r, c)}, nil
}

// envelope makes the events of a change envelope; nil where the value is none that is looked for.
func (n *Normalizer) envelope(r *event.Raw, c *event.Change, value []byte, f format) ([]*event.Clean, *Error) {
	s, err := rowsOf(value, r.Key, f)
	if err != nil {
		return nil, err
	}
	if s != nil {
		return s.events(r, c)
	}
	if !f.allows(envelopeDebezium) {
		return nil, nil
	}
	e, err := envelopeOf(value)
	if e == nil || err != nil {
		return nil, err
	}
	return n.changeOfEnvelope(r, c, e)
}

// changeOfEnvelope makes the event of an envelope of Debezium.
func (n *Normalizer) changeOfEnvelope(r *event.Raw, c *event.Change, e *envelope) ([]*event.Clean, *Error) {
	if err := n.fillEnvelope(c, e); err != nil {
		return nil, err
	}
	if c.Op == event.Truncate {
		c.Key = nil
	}
	clean := changeOf(r, c)
	if at, ok := e.time(); ok {
		clean.Time = utc(at)
	}
	return []*event.Clean{clean}, nil
}

// recordValue guesses what a value is: JSON, else text, else bytes.
func recordValue(value []byte) (after json.RawMessage, encoding string, err *Error) {
	if !utf8.Valid(value) {
		return quoteBase64(value), base64Encoding, nil
	}
	after, err = oneValue(value)
	switch {
	case err == nil:
		return after, "", nil
	case err.Class == Limit: // JSON, as far as anybody read it: to call it text would be a wrong guess
		return nil, "", err
	default:
		return event.AppendString(make([]byte, 0, len(value)+2), string(value)), "", nil
	}
}

// recordKey is the key of a record whose own key is given: an object or an array in canonical form, other UTF-8 a
// string, else base64. An object that can't be brought into one form without changing it (a name twice, half of a
// surrogate pair) is a string as well.
func recordKey(key []byte) json.RawMessage {
	switch {
	case key == nil:
		return nil
	case !utf8.Valid(key):
		return quoteBase64(key)
	}
	if trimmed := strings.TrimLeft(string(key), " \t\r\n"); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
		if value, err := oneValue(key); err == nil && isUnambiguous(value) {
			if text, err := canonical(value); err == nil {
				return text
			}
		}
	}
	return appendCanonicalString(nil, string(key))
}

// isUnambiguous tells whether a compact value says the same to every reader: no name stands twice in an object, no
// string holds half of a surrogate pair.
func isUnambiguous(value []byte) bool {
	r := &reader{b: value}
	return r.unambiguous() == nil
}

func quoteBase64(b []byte) json.RawMessage {
	quoted := make([]byte, 0, base64.StdEncoding.EncodedLen(len(b))+2)
	quoted = append(quoted, '"')
	quoted = base64.StdEncoding.AppendEncode(quoted, b)
	return append(quoted, '"')
}

// setHeaders copies the record's headers; of a name that repeats, the last one counts. A value that isn't text is base64.
func setHeaders(o *event.Origin, headers []event.Header) {
	o.Headers = make([]event.Header, len(headers))
	for i, h := range headers {
		if h.Value != nil && !utf8.Valid(h.Value) {
			h.Value = base64.StdEncoding.AppendEncode(nil, h.Value)
			o.Headers[i] = h
			continue
		}
		o.Headers[i] = h
		switch {
		case len(h.Value) == 0:
		case strings.EqualFold(h.Name, headerContentType):
			o.ContentType = string(h.Value)
		case h.Name == headerTag:
			o.Tag = string(h.Value)
		case h.Name == headerTraceparent:
			o.Actor = &event.Actor{Traceparent: string(h.Value)}
		}
	}
}
