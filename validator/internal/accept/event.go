package accept

import (
	"datawatch/pkg/cel"
	"datawatch/pkg/event"
)

// Event is a change event of clean as far as judging a valid one needs it. Its texts share the record's memory.
type Event struct {
	Source, Subject string // of which the stream is made
	Op              event.Op
	Time            string

	key, before, after int32 // tokens; -1: null or absent
	actor              actor
	tag                string
}

// HasBefore tells whether the event came with the image before the change.
func (e *Event) HasBefore() bool { return e.before >= 0 }

type actor struct {
	known                     bool
	application, user, client string
}

func (a *actor) value() cel.Value {
	if !a.known {
		return cel.NullValue
	}
	orNull := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	return cel.FromAny(map[string]any{"application": orNull(a.application), "user": orNull(a.user), "client": orNull(a.client)})
}

// envelope reads an event from its tape, and tells whether it is one that event.ParseClean reads, with nothing about it
// that the acceptor doesn't know. It is stricter: a name that encoding/json would take for another by its case, a text
// with escapes or a field of an unexpected form are not read.
type envelope struct {
	*tape
	event  *Event
	kind   string // the type
	inside int32  // the token of data
	// unavailable: the source says that it can't give the before image. Nothing is accepted that has one all the same.
	unavailable bool
}

// members calls each for every member of an object, until one isn't as expected.
func (e *envelope) members(i int32, each func(e *envelope, name string, value int32) bool) bool {
	if e.tokens[i].kind != object {
		return false
	}
	for m := i + 1; m < e.tokens[i].next; m = e.tokens[m+1].next {
		if !each(e, e.inner(m), m+1) {
			return false
		}
	}
	return true
}

// foreign tells whether a name that isn't known is surely none of those that are, in whatever case they are written.
func foreign(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && c != '_' && !isDigit(c) {
			return false
		}
	}
	return true
}

// plain reads a text without escapes, of ASCII.
func (e *envelope) plain(i int32, to *string) bool {
	k := &e.tokens[i]
	if k.kind != text || k.flags != 0 {
		return false
	}
	*to = e.inner(i)
	return true
}

// words reads a text that may be null or have escapes.
func (e *envelope) words(i int32, to *string) bool {
	switch e.tokens[i].kind {
	case null:
		return true
	case text:
		*to = e.string(i)
		return true
	}
	return false
}

func (e *envelope) isText(i int32) bool {
	kind := e.tokens[i].kind
	return kind == text || kind == null
}

// isInteger accepts a whole number of at most so many digits.
func (e *envelope) isInteger(i int32, digits int32) bool {
	k := &e.tokens[i]
	return k.kind == null || k.kind == number && k.flags&(fraction|exponent) == 0 && k.end-k.start <= digits
}

func (e *envelope) present(i int32) int32 {
	if e.tokens[i].kind == null {
		return -1
	}
	return i
}

func (e *envelope) read() bool {
	*e.event = Event{key: -1, before: -1, after: -1}
	return e.members(0, (*envelope).top) && e.kind == event.ChangeType && e.inside > 0 && e.members(e.inside, (*envelope).data) &&
		!(e.unavailable && e.event.before >= 0)
}

func (e *envelope) top(name string, i int32) bool {
	switch name {
	case "id":
		return e.isText(i)
	case "source":
		return e.plain(i, &e.event.Source)
	case "type":
		return e.plain(i, &e.kind)
	case "subject":
		return e.plain(i, &e.event.Subject)
	case "time":
		return e.plain(i, &e.event.Time)
	case "data":
		e.inside = i
		return true
	}
	return foreign(name)
}

func (e *envelope) data(name string, i int32) bool {
	switch name {
	case "op":
		return e.op(i)
	case "key":
		e.event.key = e.present(i)
		return true
	case "before":
		e.event.before = e.present(i)
		return true
	case "after":
		e.event.after = e.present(i)
		return true
	case "changed":
		return e.tokens[i].kind == null || e.isTexts(i)
	case "moved_to", "moved_from":
		return true
	case "encoding":
		return e.isText(i)
	case "incomplete":
		return e.tokens[i].kind == null || e.members(i, (*envelope).incomplete)
	case "captured_at":
		at := ""
		return e.plain(i, &at) && isTimestamp(at)
	case "origin":
		return e.tokens[i].kind == null || e.members(i, (*envelope).origin)
	}
	return foreign(name)
}

func (e *envelope) op(i int32) bool {
	op := ""
	if !e.plain(i, &op) {
		return false
	}
	for _, known := range [...]event.Op{event.Insert, event.Update, event.Delete, event.Read, event.Message} {
		if op == string(known) {
			e.event.Op = known
			return true
		}
	}
	return false
}

func (e *envelope) isTexts(i int32) bool {
	if e.tokens[i].kind != list {
		return false
	}
	for t := i + 1; t < e.tokens[i].next; t = e.tokens[t].next {
		if e.tokens[t].kind != text {
			return false
		}
	}
	return true
}

// incomplete accepts that the before image can't be had: no field of after is left out.
func (e *envelope) incomplete(name string, i int32) bool {
	e.unavailable = true
	return name == "before" && e.tokens[i].kind == text
}

func (e *envelope) origin(name string, i int32) bool {
	switch name {
	case "kind", "database", "schema", "table", "collection", "topic", "content_type", "transaction", "position", "reason":
		return e.isText(i)
	case "partition":
		return e.isInteger(i, 9)
	case "offset", "transaction_index":
		return e.isInteger(i, maxPlainNumber)
	case "headers":
		return e.tokens[i].kind == null || e.headers(i)
	case "actor":
		e.event.actor.known = e.tokens[i].kind != null
		return !e.event.actor.known || e.members(i, (*envelope).who)
	case "tag":
		return e.words(i, &e.event.tag)
	}
	return foreign(name)
}

// headers accepts a list of [name, value], of which only the value may be null.
func (e *envelope) headers(i int32) bool {
	if e.tokens[i].kind != list {
		return false
	}
	for h := i + 1; h < e.tokens[i].next; h = e.tokens[h].next {
		if k := &e.tokens[h]; k.kind != list || k.count() != 2 || e.tokens[h+1].kind != text || !e.isText(h+2) {
			return false
		}
	}
	return true
}

func (e *envelope) who(name string, i int32) bool {
	switch a := &e.event.actor; name {
	case "application":
		return e.words(i, &a.application)
	case "user":
		return e.words(i, &a.user)
	case "client":
		return e.words(i, &a.client)
	case "traceparent":
		return e.isText(i)
	}
	return foreign(name)
}

// isTimestamp accepts what clean has: RFC 3339 in UTC.
func isTimestamp(s string) bool {
	return len(s) > 11 && s[10] == 'T' && isDate(s[:10]) && isUTCTime(s[11:])
}
