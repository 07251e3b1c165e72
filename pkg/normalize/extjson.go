package normalize

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/bson/primitive"

	"datawatch/pkg/event"
)

// appendExtended appends the clean form of the value that comes next in MongoDB's Extended JSON, canonical or relaxed
// (https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/), or in the strict mode of its first version,
// which Debezium writes. What stands for a value of BSON takes the form that TYPES.md gives that; everything else is
// copied, plain numbers digit for digit. An object that only looks like one of those (its content isn't the type's) is an
// object.
func appendExtended(dst []byte, r *reader) ([]byte, *Error) {
	switch r.peek() {
	case '{':
		if at := *r; r.isWrapped() {
			if members, ok := r.flat(2); ok {
				if value, ok := appendWrapper(dst, members); ok {
					return value, nil
				}
			}
			*r = at
		}
		return appendExtendedObject(dst, r)
	case '[':
		dst = append(dst, '[')
		some := false
		err := r.elements(func() (err *Error) {
			if some {
				dst = append(dst, ',')
			}
			some = true
			dst, err = appendExtended(dst, r)
			return err
		})
		return append(dst, ']'), err
	default:
		value, err := r.scalar()
		return append(dst, value...), err
	}
}

// appendExtendedObject appends an object whose members are Extended JSON. Code with a scope becomes an object of both.
func appendExtendedObject(dst []byte, r *reader) ([]byte, *Error) {
	scoped := r.hasScope()
	dst = append(dst, '{')
	some := false
	err := r.members(func(name []byte) (err *Error) {
		if some {
			dst = append(dst, ',')
		}
		some = true
		if scoped && (string(name) == `"$code"` || string(name) == `"$scope"`) {
			name = []byte(`"` + string(name[2:]))
		}
		dst, err = appendExtended(append(append(dst, name...), ':'), r)
		return err
	})
	return append(dst, '}'), err
}

// isWrapped tells whether the object that comes next has a first name that begins with a dollar. It moves the reader by
// white space at most.
func (r *reader) isWrapped() bool {
	ahead := *r
	ahead.i++
	return ahead.peek() == '"' && ahead.i+1 < len(ahead.b) && ahead.b[ahead.i+1] == '$'
}

// hasScope tells whether the object that comes next is code with a scope.
func (r *reader) hasScope() bool {
	ahead := *r
	ahead.i++
	for _, expected := range []string{`"$code"`, `"$scope"`} {
		if ahead.peek() != '"' {
			return false
		}
		name, err := ahead.name()
		if err != nil || string(name) != expected {
			return false
		}
		if expected == `"$code"` {
			if ahead.peek() != '"' {
				return false
			}
			if _, err := ahead.scalar(); err != nil || ahead.peek() != ',' {
				return false
			}
			ahead.i++
		}
	}
	return ahead.peek() == '{'
}

// maxFlat is the most members that stand for one value.
const maxFlat = 3

// flat reads an object of few members that are scalars, or again such objects, levels deep; it tells whether it was one.
func (r *reader) flat(levels int) (members []member, ok bool) {
	err := r.members(func(name []byte) *Error {
		if len(members) == maxFlat {
			return tooDeep()
		}
		r.space()
		start := r.i
		switch r.peek() {
		case '[':
			return tooDeep()
		case '{':
			if levels == 0 {
				return tooDeep()
			}
			if _, inner := r.flat(levels - 1); !inner {
				return tooDeep()
			}
		default:
			if _, err := r.scalar(); err != nil {
				return err
			}
		}
		members = append(members, member{name, r.b[start:r.i]})
		return nil
	})
	return members, err == nil
}

// wrapper are a wrapper's values by the names of its members, without quotes.
type wrapper map[string][]byte

func wrapperOf(members []member) wrapper {
	e := make(wrapper, len(members))
	for _, m := range members {
		e[string(unquote(m.name))] = m.value
	}
	return e
}

// inner is the object that a member holds.
func (e wrapper) inner(name string) wrapper {
	members, ok := (&reader{b: e[name]}).flat(0)
	if !ok {
		return nil
	}
	return wrapperOf(members)
}

// text is a member's string.
func (e wrapper) text(name string) (string, bool) {
	if v := e[name]; len(v) > 0 && v[0] == '"' && !hasLoneSurrogate(v) {
		return string(unquote(v)), true
	}
	return "", false
}

// texts are the strings of the members, which are all there are.
func (e wrapper) texts(names ...string) (texts []string, ok bool) {
	if len(e) != len(names) {
		return nil, false
	}
	for _, name := range names {
		text, ok := e.text(name)
		if !ok {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, true
}

// appendWrapper appends the value that the members of an object stand for; false where they stand for none.
func appendWrapper(dst []byte, members []member) ([]byte, bool) {
	e := wrapperOf(members)
	if len(e) != len(members) || len(e) == 0 {
		return nil, false
	}
	switch len(e) {
	case 1:
		return e.appendOne(dst, string(unquote(members[0].name)))
	case 2:
		if t, ok := e.texts("$binary", "$type"); ok {
			return appendBase64(dst, t[0])
		}
		if t, ok := e.texts("$regex", "$options"); ok {
			return event.AppendString(dst, "/"+t[0]+"/"+t[1]), true
		}
	}
	return nil, false
}

// appendOne appends the value of a wrapper with one member.
func (e wrapper) appendOne(dst []byte, name string) ([]byte, bool) {
	switch name {
	case "$numberInt", "$numberLong", "$numberDouble", "$numberDecimal":
		return appendExtendedNumber(dst, name, textOf(e[name]))
	case "$date":
		return e.appendDate(dst)
	case "$timestamp":
		of := e.inner(name)
		t, failed := strconv.ParseUint(string(of["t"]), 10, 32)
		i, failedToo := strconv.ParseUint(string(of["i"]), 10, 32)
		if failed != nil || failedToo != nil || len(of) != 2 {
			return nil, false
		}
		dst = strconv.AppendUint(append(dst, `{"t":`...), t, 10)
		return append(strconv.AppendUint(append(dst, `,"i":`...), i, 10), '}'), true
	case "$regularExpression":
		t, ok := e.inner(name).texts("pattern", "options")
		if !ok {
			return nil, false
		}
		return event.AppendString(dst, "/"+t[0]+"/"+t[1]), true
	case "$binary":
		t, ok := e.inner(name).texts("base64", "subType")
		if !ok {
			return nil, false
		}
		return appendBase64(dst, t[0])
	case "$dbPointer":
		return e.appendPointer(dst)
	case "$minKey", "$maxKey", "$undefined":
		return e.appendConstant(dst, name)
	}
	text, ok := e.text(name)
	if !ok {
		return nil, false
	}
	return appendExtendedText(dst, name, text)
}

// appendExtendedText appends a value that a string stands for.
func appendExtendedText(dst []byte, name, text string) ([]byte, bool) {
	switch name {
	case "$oid":
		return appendObjectID(dst, text)
	case "$symbol", "$code":
		return event.AppendString(dst, text), true
	case "$uuid":
		id, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
		if err != nil || len(id) != 16 {
			return nil, false
		}
		return append(base64.StdEncoding.AppendEncode(append(dst, '"'), id), '"'), true
	default:
		return nil, false
	}
}

func (e wrapper) appendConstant(dst []byte, name string) ([]byte, bool) {
	switch value := string(e[name]); {
	case name == "$undefined" && value == "true":
		return append(dst, "null"...), true
	case name == "$minKey" && value == "1":
		return append(dst, `"MinKey"`...), true
	case name == "$maxKey" && value == "1":
		return append(dst, `"MaxKey"`...), true
	default:
		return nil, false
	}
}

// appendPointer appends a DBPointer, whose id stands within its own wrapper.
func (e wrapper) appendPointer(dst []byte) ([]byte, bool) {
	members, ok := (&reader{b: e["$dbPointer"]}).flat(1)
	of := wrapperOf(members)
	collection, named := of.text("$ref")
	id, hasID := of.inner("$id").texts("$oid")
	if !ok || !named || !hasID || len(of) != 2 {
		return nil, false
	}
	dst = event.AppendString(append(dst, `{"$ref":`...), collection)
	dst, ok = appendObjectID(append(dst, `,"$id":`...), id[0])
	return append(dst, '}'), ok
}

func appendObjectID(dst []byte, text string) ([]byte, bool) {
	if id, err := hex.DecodeString(text); err != nil || len(id) != 12 {
		return nil, false
	}
	return append(append(append(dst, '"'), strings.ToLower(text)...), '"'), true
}

func appendBase64(dst []byte, text string) ([]byte, bool) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, false
	}
	return append(base64.StdEncoding.AppendEncode(append(dst, '"'), data), '"'), true
}

// appendExtendedNumber appends a number that says its type.
func appendExtendedNumber(dst []byte, name, text string) ([]byte, bool) {
	switch name {
	case "$numberInt", "$numberLong":
		n, err := strconv.ParseInt(text, 10, 64)
		return strconv.AppendInt(dst, n, 10), err == nil
	case "$numberDouble":
		if text != "NaN" && text != "Infinity" && text != "-Infinity" && numberLen([]byte(text)) != len(text) {
			return nil, false
		}
		f, err := strconv.ParseFloat(text, 64)
		return appendDouble(dst, f), err == nil
	default:
		d, err := primitive.ParseDecimal128(text)
		if err != nil {
			return nil, false
		}
		return appendDecimal(dst, d), true
	}
}

// appendDate appends a date that is told in milliseconds, or in ISO 8601.
func (e wrapper) appendDate(dst []byte) ([]byte, bool) {
	value := string(e["$date"])
	if of := e.inner("$date"); len(of) == 1 {
		value = strings.Trim(string(of["$numberLong"]), `"`)
	}
	if millis, err := strconv.ParseInt(value, 10, 64); err == nil {
		return appendDate(dst, millis), true
	}
	text, ok := e.text("$date")
	if !ok {
		return nil, false
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil, false
	}
	return appendDate(dst, at.UnixMilli()), true
}
