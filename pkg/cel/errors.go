package cel

import (
	"errors"
	"fmt"
)

// ErrorKind says why an expression gave no result.
type ErrorKind string

// The kinds of EvalError. Cost, interrupted and internal end an evaluation at
// once; the others may be outweighed by the other side of && and ||, as in CEL.
const (
	NullOperand    ErrorKind = "null_operand" // an operand is null, and isn't compared with null or given orValue
	MissingField   ErrorKind = "missing"      // an object has no such field, a list no such element, a variable no value
	TypeError      ErrorKind = "type"         // an operator or function has no meaning for such operands
	ValueError     ErrorKind = "value"        // the type is right, the value isn't: division by zero, decimal("abc")
	LimitError     ErrorKind = "limit"        // a number beyond the limits, as it came or as computed
	CostError      ErrorKind = "cost"         // the evaluation took more steps than allowed
	InterruptError ErrorKind = "interrupted"  // the context ended
	InternalError  ErrorKind = "internal"     // a fault in this package
)

// EvalError is why an expression gave no result. Message names fields and
// types, never a value: it may be shown to anyone.
type EvalError struct {
	Kind    ErrorKind
	Message string
	Hint    string   // what to write instead, or empty
	Line    int      // of the operator, function or field in the rule, from 1; 0 where unknown
	Column  int      // from 1, in characters
	Path    []string // the field that is null or missing, as in Program.Paths; nil where it is none

	cause error
}

func (e *EvalError) Error() string {
	text := e.Message
	if e.Line > 0 {
		text = fmt.Sprintf("%d:%d: %s", e.Line, e.Column, text)
	}
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// Unwrap gives the context's error of an InterruptError and ErrLimit of a LimitError.
func (e *EvalError) Unwrap() error { return e.cause }

// final errors end an evaluation whatever surrounds them.
func (e *EvalError) final() bool {
	return e.Kind == CostError || e.Kind == InterruptError || e.Kind == InternalError
}

// failed makes the value of an expression that has none.
func failed(kind ErrorKind, format string, args ...any) Value {
	return failureOf(&EvalError{Kind: kind, Message: fmt.Sprintf(format, args...)})
}

func failureOf(e *EvalError) Value { return Value{kind: failure, ref: e} }

// numberFailure makes a failure of an error of decimal's.
func numberFailure(err error) Value {
	if errors.Is(err, ErrLimit) {
		return failureOf(&EvalError{Kind: LimitError, Message: "a number is beyond the limits", cause: err})
	}
	return failureOf(&EvalError{Kind: ValueError, Message: "a text is not a number", cause: err})
}

func (v Value) err() *EvalError { return v.ref.(*EvalError) }
