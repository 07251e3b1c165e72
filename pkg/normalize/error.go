package normalize

import "fmt"

// Class says what is wrong with a record that can't become a clean event; it is a metric's label and a dead letter's
// header.
type Class string

// The classes.
const (
	Malformed   Class = "malformed"   // the record isn't what it says it is
	Type        Class = "type"        // a value isn't one of its column's type
	Limit       Class = "limit"       // nested deeper than readers of JSON take
	Unsupported Class = "unsupported" // a kind or a version of records that this build doesn't know
)

// Error tells why a raw record can't become a clean event. It holds names and places, never a value of the record.
type Error struct {
	Class  Class
	Reason string
}

func (e *Error) Error() string { return string(e.Class) + ": " + e.Reason }

func wrong(class Class, format string, args ...any) *Error {
	return &Error{Class: class, Reason: fmt.Sprintf(format, args...)}
}

// in puts the place before the reason.
func in(place string, err *Error) *Error {
	return &Error{Class: err.Class, Reason: place + ": " + err.Reason}
}
