package event

import (
	"encoding/json"
	"time"

	"datawatch/pkg/reason"
)

// Op is what an event did.
type Op string

// The ops.
const (
	Insert   Op = "insert"
	Update   Op = "update"
	Delete   Op = "delete"
	Truncate Op = "truncate"
	Read     Op = "read"
	Message  Op = "message"
)

// Clean is one event of datawatch.clean: a CloudEvent 1.0 whose type is ChangeType (Change is set) or GapType (Gap is).
type Clean struct {
	ID     string
	Stream Stream
	Type   string
	Time   string // RFC 3339 in UTC, with what precision the source has
	Change *Change
	Gap    *Gap
}

// RecordKey is the key of the event's record in clean.
func (c *Clean) RecordKey() []byte {
	switch {
	case c.Change == nil:
		return RecordKey(c.Stream, nil)
	case len(c.Change.Key) == 0 && c.Change.Origin.Kind == Kafka:
		return KeylessRecordKey(c.Stream, c.Change.Origin.Partition)
	default:
		return RecordKey(c.Stream, c.Change.Key)
	}
}

// Change is the data of a change event. Raw messages are JSON that is valid and compact; nil is null.
type Change struct {
	Op         Op
	Key        json.RawMessage // canonical: see Canonical
	Before     json.RawMessage
	After      json.RawMessage
	Changed    []string        // names of top-level members that an update changed, in the order of after
	MovedTo    json.RawMessage // the new key, on the delete of a row whose key changed
	MovedFrom  json.RawMessage // the old key, on the insert
	Encoding   string          // "base64" where after is the base64 of bytes that aren't text
	Incomplete *Incomplete
	Origin     Origin
	CapturedAt time.Time
}

// HasBefore tells whether the row before the change is known.
func (c *Change) HasBefore() bool {
	return c.Before != nil && (c.Incomplete == nil || c.Incomplete.Before == "")
}

// Incomplete names what isn't exact in an event; no rule is judged on what is named here.
type Incomplete struct {
	Before string   `json:"before,omitempty"` // "unavailable"
	After  string   `json:"after,omitempty"`  // "later" | "missing"
	Fields []string `json:"fields,omitempty"`
}

// Origin says where an event comes from; the fields of other kinds are zero.
type Origin struct {
	Kind             Kind
	Database         string
	Schema           string // postgres
	Table            string // postgres
	Collection       string // mongodb
	Topic            string // kafka
	Partition        int32  // kafka
	Offset           int64  // kafka
	Headers          []Header
	ContentType      string
	Transaction      string // empty is null
	TransactionIndex int64
	Position         string
	Reason           string
	Actor            *Actor
	Tag              string // empty is null
}

// Actor is who made a change, as far as the source knows.
type Actor struct {
	Application string `json:"application,omitempty"`
	User        string `json:"user,omitempty"`
	Client      string `json:"client,omitempty"`
	Traceparent string `json:"traceparent,omitempty"` // kafka: the W3C header of that name
}

// Gap is a stretch of a stream that was not captured.
type Gap struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Cause  string    `json:"cause"`
	Lost   *int64    `json:"lost"` // how many changes, where it is known
	Remedy string    `json:"remedy"`
	// Why is the cause by its code, where Cause isn't one, and Do the remedy by its code: for whoever tells of the gap in
	// another language than English. Earlier versions of datawatch wrote neither.
	Why *reason.Text `json:"why,omitempty"`
	Do  *reason.Text `json:"do,omitempty"`
}

// Because is the gap with a cause that its record says in words.
func (g Gap) Because(why reason.Text) Gap {
	g.Cause, g.Why = why.String(), why.Pointer()
	return g
}

// Advising is the gap with what to do about it.
func (g Gap) Advising(do reason.Text) Gap {
	g.Remedy, g.Do = do.String(), do.Pointer()
	return g
}

// Reason is why the stretch wasn't captured.
func (g Gap) Reason() reason.Text {
	if g.Why != nil && g.Why.Known() {
		return *g.Why
	}
	return reason.OfCause(g.Cause)
}
