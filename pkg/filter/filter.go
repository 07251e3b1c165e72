// Package filter says of a change whether a person or a configuration wants it: an expression in CEL over the clean event,
// with exact decimals, by the names that the validator's rules use.
//
// It refuses to guess: an expression that has no result is an error, and one that names a row which the event doesn't
// hold doesn't apply.
package filter

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"datawatch/pkg/cel"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// Filter is a compiled expression. It is safe for concurrent use.
type Filter struct{ program *cel.Program }

// variables are the names in expressions: those of the validator's rules, and the rows by their names in the event.
func variables() []cel.Variable {
	return append(cel.Variables("self", "old", "root", "before", "after", "key", "actor", "tag"),
		cel.Variable{Name: "op", Type: cel.String}, cel.Variable{Name: "stream", Type: cel.String}, cel.Variable{Name: "time", Type: cel.Timestamp})
}

// Compile checks an expression. The error says what is wrong with it, and where.
func Compile(source string) (*Filter, error) {
	env, err := cel.NewEnv(variables()...)
	if err != nil {
		return nil, err
	}
	program, issues := env.Compile(source, cel.Options{})
	for _, issue := range issues {
		if issue.Severity == cel.Error {
			return nil, reason.New(reason.Phrase(issue.String()))
		}
	}
	return &Filter{program}, nil
}

// Source is the expression's text.
func (f *Filter) Source() string { return f.program.Source() }

// Match judges a change. applies is false where the expression names a row that the event doesn't hold: self and root are
// the row after the change, of a delete the one before it; old and before are the one before, after the one after.
func (f *Filter) Match(ctx context.Context, e *event.Clean) (match, applies bool, err error) {
	c := e.Change
	self := c.After
	if c.Op == event.Delete {
		self = c.Before
	}
	rows := map[string]json.RawMessage{"self": self, "root": self, "old": c.Before, "before": c.Before, "after": c.After}
	bindings := cel.Bindings{"op": cel.StringValue(string(c.Op)), "stream": cel.StringValue(string(e.Stream)), "tag": cel.NullValue}
	if c.Origin.Tag != "" {
		bindings["tag"] = cel.StringValue(c.Origin.Tag)
	}
	if at, err := time.Parse(time.RFC3339Nano, e.Time); err == nil {
		bindings["time"] = cel.TimeValue(at)
	}
	for name, row := range rows {
		if !f.program.Names(name) {
			continue
		}
		if row == nil {
			return false, false, nil
		}
		if err := bind(bindings, name, row); err != nil {
			return false, true, err
		}
	}
	if f.program.Names("key") {
		if err := bind(bindings, "key", c.Key); err != nil {
			return false, true, err
		}
	}
	if f.program.Names("actor") {
		var actor []byte
		if c.Origin.Actor != nil {
			if actor, err = json.Marshal(c.Origin.Actor); err != nil {
				return false, true, err
			}
		}
		if err := bind(bindings, "actor", actor); err != nil {
			return false, true, err
		}
	}
	match, err = f.program.Eval(ctx, bindings)
	return match, true, err
}

func bind(to cel.Bindings, name string, text []byte) error {
	to[name] = cel.NullValue
	if text == nil {
		return nil
	}
	value, err := cel.ParseJSON(text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	to[name] = value
	return nil
}
