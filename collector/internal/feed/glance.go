package feed

import (
	"bytes"

	"datawatch/pkg/event"
)

// sight is what can be told of a raw event without decoding it; in a flood nothing more is needed.
type sight struct {
	op          event.Op
	transaction string
	movedFrom   bool // an insert that only ends a move
	movedTo     bool
	tagged      bool
}

// The ends of a row change as encoding/json writes it: the op stands near its beginning, the transaction behind the rows.
var (
	opMark          = []byte(`"op":"`)
	transactionMark = []byte(`"transaction":"`)
	movedToMark     = []byte(`"moved_to":true,`)
	movedFromMark   = []byte(`"moved_from":true,`)
	tagMark         = []byte(`"tag":"`)
)

const opWithin = 32 // bytes from the beginning

// glance reads a raw event's ends. Where they aren't as expected, op is empty, and the event has to be normalized.
func glance(r *event.Raw) sight {
	if r.Kind == event.Kafka {
		if r.Value == nil {
			return sight{op: event.Delete}
		}
		return sight{op: event.Message}
	}
	head := r.Value[:min(len(r.Value), opWithin)]
	at := bytes.Index(head, opMark)
	tail := bytes.LastIndex(r.Value, transactionMark)
	if at < 0 || tail < 0 {
		return sight{}
	}
	return sight{
		op:          event.Op(until(r.Value[at+len(opMark):])),
		transaction: until(r.Value[tail+len(transactionMark):]),
		movedTo:     bytes.HasSuffix(r.Value[:tail], movedToMark),
		movedFrom:   bytes.HasSuffix(r.Value[:tail], movedFromMark),
		tagged:      bytes.Contains(r.Value[tail:], tagMark),
	}
}

// until is the text before the next quote.
func until(b []byte) string {
	end := bytes.IndexByte(b, '"')
	if end < 0 {
		return ""
	}
	return string(b[:end])
}
