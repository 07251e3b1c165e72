package cel

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Bindings are the values of variables. One that an expression names and that
// isn't bound is MissingField.
type Bindings map[string]Value

// Program is a compiled expression, safe for concurrent use.
type Program struct {
	source string
	root   *node
	vars   []string // names of variables by slot
	paths  [][]string
	locals int
	limit  uint64
	frames sync.Pool
}

// Source is the expression's text.
func (p *Program) Source() string { return p.source }

// Cost is the estimate of the steps that an evaluation takes at most.
func (p *Program) Cost() uint64 { return uint64(p.root.cost) }

// Names reports whether the expression uses the variable.
func (p *Program) Names(variable string) bool { return slices.Contains(p.vars, variable) }

// Paths are the fields that the expression reads, each from its variable on,
// "*" for any element of a list: [self items * price]. A path stands for all
// below it. The order is that of the text; don't alter it.
func (p *Program) Paths() [][]string { return p.paths }

// Eval gives the truth of an expression compiled for a bool. The error is an
// *EvalError; an expression that has one holds neither true nor false.
func (p *Program) Eval(ctx context.Context, b Bindings) (bool, error) {
	v, err := p.Value(ctx, b)
	if err != nil {
		return false, err
	}
	return p.truth(v)
}

func (p *Program) truth(v Value) (bool, error) {
	switch v.kind {
	case Bool:
		return v.Bool(), nil
	case Null:
		return false, p.root.nullError()
	}
	return false, p.root.errorf(TypeError, "the result is %s, not a bool", v.kind.one())
}

// Variables are the names of the variables that the expression uses. The order is that of EvalInOrder's values; don't
// alter it.
func (p *Program) Variables() []string { return p.vars }

// EvalInOrder is Eval for a caller that knows the program's Variables: values has one for each, the zero Value for one
// that isn't bound.
func (p *Program) EvalInOrder(ctx context.Context, values []Value) (bool, error) {
	f := p.frame(ctx)
	copy(f.vars, values)
	v, err := p.value(f)
	if err != nil {
		return false, err
	}
	return p.truth(v)
}

// Value gives the expression's value. The error is an *EvalError.
func (p *Program) Value(ctx context.Context, b Bindings) (Value, error) {
	return p.value(p.bound(ctx, b))
}

// value evaluates in a frame, and gives it back.
func (p *Program) value(f *frame) (v Value, err error) {
	defer p.release(f)
	defer func() {
		if r := recover(); r != nil {
			v, err = Value{}, &EvalError{Kind: InternalError, Message: fmt.Sprintf("the evaluation panicked: %v", r)}
		}
	}()
	if e := f.interrupted(); e != nil {
		return Value{}, e
	}
	if v = p.root.eval(f); v.kind == failure {
		return Value{}, v.err()
	}
	return v, nil
}

// frame is one evaluation's state.
type frame struct {
	ctx    context.Context
	vars   []Value // by slot; the zero Value where unbound
	locals []Value // variables of macros, by nesting
	steps  uint64
	limit  uint64
	check  uint64 // the step at which the context is next looked at
}

// stepsBetweenChecks is how often an evaluation looks whether its context has
// ended: every few tens of microseconds.
const stepsBetweenChecks = 1024

func (p *Program) bound(ctx context.Context, b Bindings) *frame {
	f := p.frame(ctx)
	for i, name := range p.vars {
		f.vars[i] = b[name]
	}
	return f
}

func (p *Program) frame(ctx context.Context) *frame {
	f, ok := p.frames.Get().(*frame)
	if !ok {
		f = &frame{vars: make([]Value, len(p.vars)), locals: make([]Value, p.locals)}
	}
	f.ctx, f.steps, f.limit, f.check = ctx, 0, p.limit, stepsBetweenChecks
	return f
}

// release forgets the values, so that a pooled frame keeps no event alive.
func (p *Program) release(f *frame) {
	clear(f.vars)
	clear(f.locals)
	f.ctx = nil
	p.frames.Put(f)
}

// charge counts steps, and says when there are too many or the context has ended.
func (f *frame) charge(steps int) *EvalError {
	f.steps += uint64(steps)
	if f.steps > f.limit {
		return &EvalError{Kind: CostError, Message: fmt.Sprintf("it took more than %d steps", f.limit)}
	}
	if f.steps >= f.check {
		f.check = f.steps + stepsBetweenChecks
		return f.interrupted()
	}
	return nil
}

func (f *frame) interrupted() *EvalError {
	if err := f.ctx.Err(); err != nil {
		return &EvalError{Kind: InterruptError, Message: "the evaluation was interrupted", cause: err}
	}
	return nil
}
