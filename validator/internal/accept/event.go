package accept

import (
	"datawatch/pkg/cel"
	"datawatch/pkg/event"
)

// Event is a change event of clean as far as judging a valid one needs it. Its texts share the record's memory, or its form's.
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

	fields []field // that were read, in memory that is used again
	known  bool    // the record is of a known form: of what has members, these follow as fields of their own
}

// meaning is what the envelope makes of a field.
type meaning uint8

const (
	foreignField meaning = iota
	anyField
	textField      // a text, or null
	steadyField    // one that is the same in all events of a stream
	partitionField // a number
	numberField
	sourceField
	typeField
	subjectField
	timeField
	dataField
	opField
	keyField
	beforeField
	afterField
	changedField
	incompleteField
	missingField
	capturedField
	originField
	headersField
	actorField
	tagField
	applicationField
	userField
	clientField
)

// field is a member of the envelope.
type field struct {
	meaning meaning
	token   int32
}

// steady tells whether a form has the field as it is.
func (m meaning) steady() bool {
	return m == steadyField || m == sourceField || m == typeField || m == subjectField
}

// level is an object of the envelope: what its members' names mean.
type level map[string]meaning

var (
	topLevel = level{
		"specversion": steadyField, "id": textField, "source": sourceField, "type": typeField, "subject": subjectField, "time": timeField,
		"datacontenttype": steadyField, "data": dataField,
	}

	dataLevel = level{
		"op": opField, "key": keyField, "before": beforeField, "after": afterField, "changed": changedField, "moved_to": anyField,
		"moved_from": anyField, "encoding": textField, "incomplete": incompleteField, "captured_at": capturedField, "origin": originField,
	}
	// That the before image can't be had is accepted: no field of after is left out.
	incompleteLevel = level{"before": missingField}

	originLevel = level{
		"kind": steadyField, "database": steadyField, "schema": steadyField, "table": steadyField, "collection": steadyField,
		"topic": steadyField, "content_type": textField, "transaction": textField, "position": textField, "reason": textField, "partition": partitionField,
		"offset": numberField, "transaction_index": numberField, "headers": headersField, "actor": actorField, "tag": tagField,
	}
	actorLevel = level{"application": applicationField, "user": userField, "client": clientField, "traceparent": textField}
)

// foreign tells whether a name that isn't known is surely none of those that are, in whatever case they are written.
func foreign(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && c != '_' && !isDigit(c) {
			return false
		}
	}
	return true
}

// members reads every member of an object, until one isn't as expected. A strange one is of no level's: incomplete has no
// other fields.
func (e *envelope) members(i int32, of level, strange bool) bool {
	if e.known {
		return e.tokens[i].kind == object
	}
	if e.tokens[i].kind != object {
		return false
	}
	for m := i + 1; m < e.tokens[i].next; m = e.tokens[m+1].next {
		name := e.inner(m)
		meaning := of[name]
		if meaning == foreignField {
			if !strange || !foreign(name) {
				return false
			}
			continue
		}
		if meaning != anyField {
			e.fields = append(e.fields, field{meaning, m + 1})
		}
		if !e.take(meaning, m+1) {
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

// begin is for a record that the tape holds.
func (e *envelope) begin(t *tape, event *Event) {
	*e = envelope{tape: t, event: event, inside: -1, fields: e.fields[:0]}
	*event = Event{key: -1, before: -1, after: -1}
}

// read reads an event whose form isn't known.
func (e *envelope) read() bool { return e.members(0, topLevel, true) && e.isChange() }

// readKnown reads one of a known form, by the fields in which its events may differ.
func (e *envelope) readKnown(f *form) bool {
	e.known = true
	e.kind, e.event.Source, e.event.Subject = event.ChangeType, f.source, f.stream
	for i := range f.fields {
		if !e.take(f.fields[i].meaning, f.fields[i].token) {
			return false
		}
	}
	return e.isChange()
}

func (e *envelope) isChange() bool {
	return e.kind == event.ChangeType && e.inside > 0 && !(e.unavailable && e.event.before >= 0)
}

// take reads a field.
func (e *envelope) take(m meaning, i int32) bool {
	switch m {
	case textField, steadyField:
		return e.isText(i)
	case sourceField:
		return e.plain(i, &e.event.Source)
	case typeField:
		return e.plain(i, &e.kind)
	case subjectField:
		return e.plain(i, &e.event.Subject)
	case timeField:
		return e.plain(i, &e.event.Time)
	case dataField:
		e.inside = i
		return e.members(i, dataLevel, true)
	case opField:
		return e.op(i)
	case keyField:
		e.event.key = e.present(i)
	case beforeField:
		e.event.before = e.present(i)
	case afterField:
		e.event.after = e.present(i)
	case changedField:
		return e.tokens[i].kind == null || e.isTexts(i)
	case incompleteField:
		return e.tokens[i].kind == null || e.members(i, incompleteLevel, false)
	case missingField:
		e.unavailable = true
		return e.tokens[i].kind == text
	case capturedField:
		at := ""
		return e.plain(i, &at) && isTimestamp(at)
	case originField:
		return e.tokens[i].kind == null || e.members(i, originLevel, true)
	default:
		return e.takeOrigin(m, i)
	}
	return true
}

// takeOrigin reads a field of the origin, or of the actor in it.
func (e *envelope) takeOrigin(m meaning, i int32) bool {
	switch m {
	case partitionField:
		return e.isInteger(i, 9)
	case numberField:
		return e.isInteger(i, maxPlainNumber)
	case headersField:
		return e.tokens[i].kind == null || e.headers(i)
	case actorField:
		e.event.actor.known = e.tokens[i].kind != null
		return !e.event.actor.known || e.members(i, actorLevel, true)
	case tagField:
		return e.words(i, &e.event.tag)
	case applicationField:
		return e.words(i, &e.event.actor.application)
	case userField:
		return e.words(i, &e.event.actor.user)
	case clientField:
		return e.words(i, &e.event.actor.client)
	}
	return m == anyField
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

// isTimestamp accepts what clean has: RFC 3339 in UTC.
func isTimestamp(s string) bool {
	return len(s) > 11 && s[10] == 'T' && isDate(s[:10]) && isUTCTime(s[11:])
}
