package transform

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"

	"datawatch/pkg/event"
	"datawatch/pkg/filter"
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
	filter *filter.Filter
}

// New prepares rules that have passed Validate.
func New(rules []Rule) (*Transforms, error) {
	t := &Transforms{}
	for i, r := range rules {
		p := prepared{Rule: r}
		if r.Filter != "" {
			var err error
			if p.filter, err = filter.Compile(r.Filter); err != nil {
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

// keeps evaluates the filter; what it doesn't apply to is kept.
func (r *prepared) keeps(ctx context.Context, e *event.Clean) (bool, error) {
	keep, applies, err := r.filter.Match(ctx, e)
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		return false, &normalize.Error{Class: classFilter, Reason: fmt.Sprintf("filter of %s: %v", r.Stream, err)}
	}
	return keep || !applies, nil
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
	canonical, err := normalize.CanonicalKey(append(key, '}'))
	if err != nil {
		return &normalize.Error{Class: classKey, Reason: fmt.Sprintf("the key %v: %v", fields, err)}
	}
	c.Key, c.MovedTo, c.MovedFrom = canonical, nil, nil
	return nil
}
