package cel

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Type is a set of kinds of value, as far as it is known before there is one.
type Type uint16

// The kinds of value. A Value has exactly one, an expression may have several.
const (
	Null Type = 1 << iota
	Bool
	Number
	String
	List
	Map
	Timestamp
	Duration
	optional
	failure

	// Any is whatever JSON can hold.
	Any = Null | Bool | Number | String | List | Map
	// anything is what an expression of which nothing is known may give.
	anything = Any | Timestamp | Duration | optional
)

var typeNames = []struct {
	kind Type
	name string
}{
	{Null, "null"}, {Bool, "bool"}, {Number, "number"}, {String, "string"}, {List, "list"},
	{Map, "object"}, {Timestamp, "timestamp"}, {Duration, "duration"}, {optional, "optional"}, {failure, "error"},
}

// String lists the kinds: "number", "string or null", "anything".
func (t Type) String() string {
	if t&Any == Any {
		return "anything"
	}
	var names []string
	for _, k := range typeNames {
		if t&k.kind != 0 && k.kind != Null {
			names = append(names, k.name)
		}
	}
	if t&Null != 0 {
		names = append(names, "null")
	}
	return strings.Join(names, " or ")
}

// one is the kinds with an article: "a number", "an object or null".
func (t Type) one() string {
	text := t.String()
	switch {
	case t&Any == Any || t == Null:
		return text
	case strings.HasPrefix(text, "o"):
		return "an " + text
	}
	return "a " + text
}

// Value is one value of the language. It is immutable and may be shared between
// goroutines; the zero Value is no value and fails in every expression.
// Objects and lists from JSON are decoded where an expression reads them.
type Value struct {
	kind Type
	exp  int32  // Number: the exponent; Timestamp: the nanoseconds of the second
	coef int64  // Number: the coefficient; Bool: 0 or 1; Timestamp: Unix seconds; Duration: nanoseconds
	text string // String
	ref  any    // Number: *big.Int; List: Sequence; Map: object; optional: *Value or nil; failure: *EvalError
}

// Sequence is the elements of a list that is kept elsewhere. It must not change while its value is in use.
type Sequence interface {
	Size() int
	At(i int) Value
}

// Object is the members of an object that is kept elsewhere. Keys is in the order of the document, where there is one, and
// sorted otherwise. It must not change while its value is in use.
type Object interface {
	Size() int
	Get(name string) (Value, bool)
	Keys() []string
}

// ListOf is a list.
func ListOf(l Sequence) Value { return Value{kind: List, ref: l} }

// ObjectOf is an object.
func ObjectOf(o Object) Value { return Value{kind: Map, ref: o} }

// NullValue is JSON's null.
var NullValue = Value{kind: Null}

// BoolValue is true or false.
func BoolValue(b bool) Value {
	if b {
		return Value{kind: Bool, coef: 1}
	}
	return Value{kind: Bool}
}

// StringValue is a text.
func StringValue(s string) Value { return Value{kind: String, text: s} }

// IntValue is a whole number.
func IntValue(i int64) Value {
	if i == math.MinInt64 {
		return numberValue(decimal{big: big.NewInt(i)})
	}
	return Value{kind: Number, coef: i}
}

// TimeValue is a point in time, kept to the nanosecond in UTC.
func TimeValue(t time.Time) Value {
	return Value{kind: Timestamp, coef: t.Unix(), exp: int32(t.Nanosecond())}
}

// NumberValue reads a number in JSON's syntax, keeping its digits. The error is
// ErrNumber or ErrLimit.
func NumberValue(text string) (Value, error) {
	d, err := parseDecimal(text)
	if err != nil {
		return Value{}, err
	}
	return numberValue(d), nil
}

func numberValue(d decimal) Value {
	v := Value{kind: Number, coef: d.coef, exp: d.exp}
	if d.big != nil {
		v.ref = d.big
	}
	return v
}

func durationValue(d time.Duration) Value { return Value{kind: Duration, coef: int64(d)} }

func someValue(v Value) Value {
	if v.kind == Null {
		return Value{kind: optional}
	}
	return Value{kind: optional, ref: &v}
}

// FromAny makes a value of what encoding/json decodes with UseNumber: maps,
// slices, strings, json.Number, bools and nil; also of Go's integers, float64
// (by its shortest text), time.Time and Value. Maps and slices are not copied:
// they must not change while the value is in use. Anything else, and a number
// beyond the limits, gives a value that fails where a rule reads it.
func FromAny(v any) Value {
	switch v := v.(type) {
	case nil:
		return NullValue
	case Value:
		return v
	case bool:
		return BoolValue(v)
	case string:
		return StringValue(v)
	case json.Number:
		return numberFrom(string(v))
	case map[string]any:
		return ObjectOf(anyMap(v))
	case []any:
		return ListOf((*anyList)(&v))
	case int:
		return IntValue(int64(v))
	case int32:
		return IntValue(int64(v))
	case int64:
		return IntValue(v)
	case float64:
		return numberFrom(strconv.FormatFloat(v, 'g', -1, 64))
	case time.Time:
		return TimeValue(v)
	}
	return failed(TypeError, "a Go value of type %T has no form in CEL", v)
}

func numberFrom(text string) Value {
	d, err := parseDecimal(text)
	if err != nil {
		return numberFailure(err)
	}
	return numberValue(d)
}

// Kind is the value's one kind, 0 for the zero Value.
func (v Value) Kind() Type {
	if v.kind == failure {
		return 0
	}
	return v.kind
}

// Err is why the value can't be used, nil for one that can.
func (v Value) Err() error {
	switch v.kind {
	case failure:
		return v.ref.(*EvalError)
	case 0:
		return &EvalError{Kind: InternalError, Message: "no value"}
	}
	return nil
}

// Bool is the truth of a Bool, false for every other kind.
func (v Value) Bool() bool { return v.kind == Bool && v.coef != 0 }

// Len is the number of a list's elements or an object's members, else 0.
func (v Value) Len() int {
	switch v.kind {
	case List:
		return v.list().Size()
	case Map:
		return v.object().Size()
	}
	return 0
}

// Field is an object's member.
func (v Value) Field(name string) (Value, bool) {
	if v.kind != Map {
		return Value{}, false
	}
	return v.object().Get(name)
}

// Index is a list's element, counted from 0.
func (v Value) Index(i int) (Value, bool) {
	if v.kind != List || i < 0 || i >= v.list().Size() {
		return Value{}, false
	}
	return v.list().At(i), true
}

// At follows a JSON pointer (RFC 6901); "" is the value itself.
func (v Value) At(pointer string) (Value, bool) {
	if pointer == "" {
		return v, true
	}
	if pointer[0] != '/' {
		return Value{}, false
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		var ok bool
		if v.kind == List {
			i, err := strconv.Atoi(token)
			if err != nil {
				return Value{}, false
			}
			v, ok = v.Index(i)
		} else {
			v, ok = v.Field(token)
		}
		if !ok {
			return Value{}, false
		}
	}
	return v, true
}

func (v Value) number() decimal {
	b, _ := v.ref.(*big.Int)
	return decimal{coef: v.coef, exp: v.exp, big: b}
}

func (v Value) list() Sequence { return v.ref.(Sequence) }

func (v Value) object() Object { return v.ref.(Object) }

func (v Value) time() time.Time { return time.Unix(v.coef, int64(v.exp)).UTC() }

func (v Value) duration() time.Duration { return time.Duration(v.coef) }

// some is what an optional holds.
func (v Value) some() (Value, bool) {
	if p, ok := v.ref.(*Value); ok {
		return *p, true
	}
	return Value{}, false
}

// String is Text, for printing.
func (v Value) String() string { return v.Text() }

// Text is the canonical text: a string as it is, a number digit for digit, a
// timestamp in RFC 3339 in UTC, null as null, lists and objects as compact JSON.
func (v Value) Text() string {
	if v.kind == String {
		return v.text
	}
	return string(appendJSON(nil, v))
}

// JSON is the value as JSON, strings quoted.
func (v Value) JSON() string { return string(appendJSON(nil, v)) }

func appendJSON(b []byte, v Value) []byte {
	switch v.kind {
	case Null:
		return append(b, "null"...)
	case Bool:
		return strconv.AppendBool(b, v.coef != 0)
	case Number:
		return append(b, v.number().String()...)
	case String:
		return appendQuoted(b, v.text)
	case Timestamp:
		return append(b, v.time().Format(time.RFC3339Nano)...)
	case Duration:
		return append(b, v.duration().String()...)
	case List:
		l := v.list()
		b = append(b, '[')
		for i := range l.Size() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, l.At(i))
		}
		return append(b, ']')
	case Map:
		o := v.object()
		b = append(b, '{')
		for i, name := range o.Keys() {
			if i > 0 {
				b = append(b, ',')
			}
			member, _ := o.Get(name)
			b = appendJSON(append(appendQuoted(b, name), ':'), member)
		}
		return append(b, '}')
	case optional:
		if some, ok := v.some(); ok {
			return appendJSON(b, some)
		}
		return append(b, "null"...)
	}
	return fmt.Appendf(b, "(%v)", v.Err())
}

// appendQuoted quotes as JSON does, without escaping <, > and & for HTML.
func appendQuoted(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\t':
			b = append(b, '\\', 't')
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
