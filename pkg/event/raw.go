package event

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Kind is the kind of system that an event comes from.
type Kind string

// The kinds of sources.
const (
	Postgres Kind = "postgres"
	MongoDB  Kind = "mongodb"
	Kafka    Kind = "kafka"
)

// Types of records, as CloudEvents' attribute "type".
const (
	RawType    = "datawatch.raw.v1"
	ChangeType = "datawatch.change.v1"
	GapType    = "datawatch.gap.v1"
)

// Header is one header of a Kafka record. Names may repeat; a nil value is a null.
type Header struct {
	Name  string
	Value []byte
}

// Raw is one record of datawatch.raw: an event as its source gave it.
type Raw struct {
	Type   string // RawType, or GapType: then Value is the JSON of a Gap
	Kind   Kind
	ID     string
	Stream Stream
	Time   time.Time // the source's time of the change

	// RecordKey is the key of the record in raw, which decides its partition.
	RecordKey []byte
	// Key is what identifies the row or record at its source: canonical JSON of rows and documents, a Kafka record's own
	// key. Nil is null.
	Key []byte
	// Value is a Kafka record's own bytes (nil is a tombstone), the JSON of a RowChange, or a Gap.
	Value []byte
	// Headers are the Kafka record's own, in order, with repeats and nulls.
	Headers []Header

	// Size is how large the event is, where its source cut Value because the broker wouldn't take it; else 0. Such an event
	// is never written as it is, and so no header says it.
	Size int64
	// Unreadable is why Value isn't the event but what there was in its place, where its source couldn't read it; Size is set
	// then, too.
	Unreadable string

	// TimestampType is "create" or "append" for Kafka records, else empty.
	TimestampType string
	// Timestamp is a Kafka record's own, in milliseconds, where Time can't be it, for no calendar has it; else 0.
	Timestamp  int64
	CapturedAt time.Time
}

// Position is the event's place in the order of its source.
func (r *Raw) Position() string { return PositionOf(r.ID) }

// Names of the headers of a raw record. What came with a Kafka record has SourceHeaderPrefix before its name.
const (
	headerSpec          = "ce_specversion"
	headerID            = "ce_id"
	headerSource        = "ce_source"
	headerType          = "ce_type"
	headerSubject       = "ce_subject"
	headerTime          = "ce_time"
	headerKind          = "datawatch_kind"
	headerKey           = "datawatch_key"
	headerTimestamp     = "datawatch_timestamp"
	headerTimestampType = "datawatch_timestamp_type"
	headerCapturedAt    = "datawatch_captured_at"

	SourceHeaderPrefix = "src."
)

// RecordHeaders are the headers under which the event is written to raw: CloudEvents 1.0 in binary mode
// (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md), and our own.
func (r *Raw) RecordHeaders() []Header {
	h := make([]Header, 0, 11+len(r.Headers))
	values := make([]byte, 0, len(r.ID)+len(r.Stream)+len(r.Type)+len(r.Kind)+2*len(time.RFC3339Nano)+32) // of all, in one piece
	begin := 0
	end := func(name string) {
		h = append(h, Header{Name: name, Value: values[begin:len(values):len(values)]})
		begin = len(values)
	}
	add := func(name, value string) {
		values = append(values, value...)
		end(name)
	}
	add(headerSpec, "1.0")
	add(headerID, r.ID)
	add(headerSource, r.Stream.Source())
	add(headerType, r.Type)
	add(headerSubject, r.Stream.Entity())
	values = r.Time.UTC().AppendFormat(values, time.RFC3339Nano)
	end(headerTime)
	add(headerKind, string(r.Kind))
	if r.Key != nil {
		h = append(h, Header{Name: headerKey, Value: r.Key})
	}
	if r.TimestampType != "" {
		values = strconv.AppendInt(values, cmp.Or(r.Timestamp, r.Time.UnixMilli()), 10)
		end(headerTimestamp)
		add(headerTimestampType, r.TimestampType)
	}
	values = r.CapturedAt.UTC().AppendFormat(values, time.RFC3339Nano)
	end(headerCapturedAt)
	for _, own := range r.Headers {
		h = append(h, Header{Name: SourceHeaderPrefix + own.Name, Value: own.Value})
	}
	return h
}

// ParseRaw reads a record of raw back. It takes what RecordHeaders writes and ignores headers that it doesn't know.
func ParseRaw(key, value []byte, headers []Header) (*Raw, error) {
	r := &Raw{RecordKey: key, Value: value}
	var source, subject, when, captured string
	for _, h := range headers {
		switch h.Name {
		case headerID:
			r.ID = string(h.Value)
		case headerSource:
			source = string(h.Value)
		case headerType:
			r.Type = string(h.Value)
		case headerSubject:
			subject = string(h.Value)
		case headerTime:
			when = string(h.Value)
		case headerKind:
			r.Kind = Kind(h.Value)
		case headerKey:
			r.Key = h.Value
			if r.Key == nil {
				r.Key = []byte{}
			}
		case headerTimestampType:
			r.TimestampType = string(h.Value)
		case headerCapturedAt:
			captured = string(h.Value)
		default:
			if own, ok := bytes.CutPrefix([]byte(h.Name), []byte(SourceHeaderPrefix)); ok {
				r.Headers = append(r.Headers, Header{Name: string(own), Value: h.Value})
			}
		}
	}
	if r.ID == "" || source == "" || subject == "" || r.Type == "" {
		return nil, fmt.Errorf("not a raw record: %s, %s, %s and %s are needed", headerID, headerSource, headerSubject, headerType)
	}
	r.Stream = StreamOf(source, subject)
	var err error
	if r.Time, err = time.Parse(time.RFC3339Nano, when); err != nil {
		return nil, fmt.Errorf("%s of %s: %w", headerTime, r.ID, err)
	}
	if r.CapturedAt, err = time.Parse(time.RFC3339Nano, captured); err != nil {
		return nil, fmt.Errorf("%s of %s: %w", headerCapturedAt, r.ID, err)
	}
	return r, nil
}

// RowChange is the value of a raw record that comes from a PostgreSQL table: the row in PostgreSQL's own JSON, with the
// shape that the row had when it was written.
type RowChange struct {
	Version          int             `json:"version"` // 1
	Op               Op              `json:"op"`
	Database         string          `json:"database"`
	Schema           string          `json:"schema"`
	Table            string          `json:"table"`
	Columns          []Column        `json:"columns"` // in the table's order; empty for truncate
	KeyColumns       []string        `json:"key_columns,omitempty"`
	Before           json.RawMessage `json:"before,omitempty"` // an object, column → value, as to_json prints it
	After            json.RawMessage `json:"after,omitempty"`
	MovedTo          bool            `json:"moved_to,omitempty"`   // a delete whose After holds the row under its new key
	MovedFrom        bool            `json:"moved_from,omitempty"` // an insert whose Before holds the row under its old key
	Transaction      string          `json:"transaction"`
	TransactionIndex int64           `json:"transaction_index"`
	Actor            *Actor          `json:"actor,omitempty"`
	Tag              string          `json:"tag,omitempty"`
	Incomplete       *Incomplete     `json:"incomplete,omitempty"`
	Reason           string          `json:"reason,omitempty"` // of a truncate that is none: "drop", "detach"
}

// Column is one column of a row's shape.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"` // format_type's text: "numeric(38,18)", "timestamp with time zone", "public.mood"
	// Base is the type that decides the form: a built-in's name from pg_type.typname, domains resolved ("numeric",
	// "timestamptz", "_int4" for an array), "enum", "composite", "range" and "multirange" for those.
	Base string `json:"base"`
	// Fields are the columns of a composite; Element is the element of an array.
	Fields  []Column `json:"fields,omitempty"`
	Element *Column  `json:"element,omitempty"`
}
