package transform

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"time"

	"datawatch/pkg/cel"
	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
)

// Classes of the dead letters that come of a rule.
const (
	classFilter = "filter" // the filter couldn't be evaluated
	classKey    = "key"    // the key couldn't be made
)

// Why an event comes to nothing.
const (
	Dropped  = "transform_drop"
	Filtered = "transform_filter"
)

// Transforms are the rules, ready to be applied. They may be used by several goroutines.
type Transforms struct{ rules []prepared }

type prepared struct {
	Rule
	filter *cel.Program
}

// New prepares rules that have passed Validate.
func New(rules []Rule) (*Transforms, error) {
	t := &Transforms{}
	for i, r := range rules {
		p := prepared{Rule: r}
		if r.Filter != "" {
			var err error
			if p.filter, err = compile(r.Filter); err != nil {
				return nil, fmt.Errorf("transforms[%d].filter: %w", i, err)
			}
		}
		t.rules = append(t.rules, p)
	}
	return t, nil
}

// Apply changes an event in place. drop says why it comes to nothing; empty keeps it. The error is a *normalize.Error, or
// the context's.
func (t *Transforms) Apply(ctx context.Context, e *event.Clean) (drop string, err error) {
	for i := range t.rules {
		r := &t.rules[i]
		if ok, err := path.Match(r.Stream, string(e.Stream)); err != nil || !ok {
			continue // Validate has seen to the glob
		}
		switch {
		case r.Drop:
			return Dropped, nil
		case r.Rename != "":
			e.Stream = event.Stream(r.Rename)
		case e.Change == nil: // a gap
		case r.filter != nil:
			keep, err := r.keeps(ctx, e)
			if err != nil {
				return "", err
			}
			if !keep {
				return Filtered, nil
			}
		default:
			if err := setKey(e.Change, r.Key); err != nil {
				return "", err
			}
		}
	}
	return "", nil
}

// keeps evaluates the filter, where the event has what it names.
func (r *prepared) keeps(ctx context.Context, e *event.Clean) (bool, error) {
	c := e.Change
	self := c.After
	if c.Op == event.Delete {
		self = c.Before
	}
	if self == nil && (r.filter.Names("self") || r.filter.Names("root")) || c.Before == nil && r.filter.Names("old") {
		return true, nil
	}
	bindings := cel.Bindings{"op": cel.StringValue(string(c.Op)), "stream": cel.StringValue(string(e.Stream)), "tag": cel.NullValue}
	if c.Origin.Tag != "" {
		bindings["tag"] = cel.StringValue(c.Origin.Tag)
	}
	if at, err := time.Parse(time.RFC3339Nano, e.Time); err == nil {
		bindings["time"] = cel.TimeValue(at)
	}
	var actor []byte
	if c.Origin.Actor != nil {
		var err error
		if actor, err = json.Marshal(c.Origin.Actor); err != nil {
			return false, &normalize.Error{Class: classFilter, Reason: err.Error()}
		}
	}
	for name, text := range map[string][]byte{"self": self, "root": self, "old": c.Before, "key": c.Key, "actor": actor} {
		if !r.filter.Names(name) {
			continue
		}
		bindings[name] = cel.NullValue
		if text != nil {
			value, err := cel.ParseJSON(text)
			if err != nil {
				return false, &normalize.Error{Class: classFilter, Reason: fmt.Sprintf("filter of %s: %s: %v", r.Stream, name, err)}
			}
			bindings[name] = value
		}
	}
	keep, err := r.filter.Eval(ctx, bindings)
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		return false, &normalize.Error{Class: classFilter, Reason: fmt.Sprintf("filter of %s: %v", r.Stream, err)}
	}
	return keep, nil
}

// setKey makes the key of fields of the row after the change, of a delete before it. A truncate has no key.
func setKey(c *event.Change, fields []string) error {
	if c.Op == event.Truncate {
		return nil
	}
	row := c.After
	if c.Op == event.Delete {
		row = c.Before
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(row, &members); err != nil {
		return &normalize.Error{Class: classKey, Reason: fmt.Sprintf("there is no row to take the key %v from", fields)}
	}
	key := []byte{'{'}
	for i, name := range slices.Sorted(slices.Values(fields)) {
		value, ok := members[name]
		if !ok {
			return &normalize.Error{Class: classKey, Reason: fmt.Sprintf("the row has no field %q for the key", name)}
		}
		if i > 0 {
			key = append(key, ',')
		}
		key = append(append(event.AppendString(key, name), ':'), bytes.TrimSpace(value)...)
	}
	canonical, err := event.Canonical(append(key, '}'))
	if err != nil {
		return &normalize.Error{Class: classKey, Reason: fmt.Sprintf("the key %v: %v", fields, err)}
	}
	c.Key, c.MovedTo, c.MovedFrom = canonical, nil, nil
	return nil
}
