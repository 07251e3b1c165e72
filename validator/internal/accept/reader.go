package accept

import (
	"context"

	"datawatch/pkg/event"
)

// budget bounds how often a value's parts are looked at: schemas that try many branches within each other are asked.
const budget = 20_000

// Reader reads events and checks them, in memory that it uses again. It is for one goroutine.
type Reader struct {
	tape     tape
	forms    forms
	event    Event
	envelope envelope
	walk     walk
	asking   asking
}

// NewReader makes a reader.
func NewReader() *Reader { return &Reader{} }

// Read reads the value of a record of clean. False: the judge has to look at it. The event is good until the next Read.
func (r *Reader) Read(value []byte) (event *Event, ok bool) {
	defer func() {
		if recover() != nil { // whatever it was, the judge meets it too, and says so
			event, ok = nil, false
		}
	}()
	known := r.forms.read(&r.tape, value)
	if !known && !r.tape.read(value) {
		return nil, false
	}
	r.envelope.begin(&r.tape, &r.event)
	if known {
		return &r.event, r.envelope.readKnown(r.forms.last)
	}
	if !r.envelope.read() {
		return &r.event, false
	}
	r.forms.learn(&r.tape, r.envelope.fields)
	return &r.event, true
}

// Accepts tells whether the event that was read is certainly valid: the judge would find nothing wrong with it. False is
// no verdict. As by the judge, rules that name old aren't asked where there is no before image.
func (r *Reader) Accepts(ctx context.Context, p *Program) (certain bool) {
	defer func() {
		if recover() != nil { // as above
			certain = false
		}
	}()
	if p.hopeless {
		return false
	}
	if r.event.Op == event.Delete { // there is no value; rules that name the op speak of the old one
		return !p.deletes
	}
	at := r.event.after
	if at < 0 {
		return false
	}
	r.walk = walk{tape: &r.tape, steps: budget, pending: r.walk.pending[:0]}
	if plan := r.forms.plan(p, &r.tape, at); plan != nil {
		if !r.walk.follow(plan) {
			return false
		}
	} else if r.walk.check(p.root, at) != yes {
		return false
	}
	if len(r.walk.pending) == 0 {
		return true
	}
	r.asking.begin(ctx, &r.tape, &r.event, r.forms.last)
	for _, pending := range r.walk.pending {
		if !r.asking.pass(pending.rules, pending.at) {
			return false
		}
	}
	return true
}
