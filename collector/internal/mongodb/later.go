package mongodb

import (
	"bytes"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/bson"

	"datawatch/pkg/event"
)

// markLater marks updates whose looked-up document shows that it is of a later state. It marks none of which it isn't
// sure: a later change of the document then follows, and nothing stays unjudged.
func markLater(batch []*happening) {
	type document struct {
		ns  namespace
		key string
	}
	behind := make(map[document]*happening, len(batch))
	for i := len(batch) - 1; i >= 0; i-- {
		h := batch[i]
		if h.key == nil {
			continue
		}
		d := document{h.ns, string(h.key)}
		if h.op == opUpdate && h.after != nil {
			h.later = !agrees(h.after, h.description) || !unchanged(h) || holds(h.after, behind[d])
		}
		behind[d] = h
	}
}

// agrees tells whether a document is as an update's description left it.
func agrees(after, description bson.Raw) bool {
	updated, _ := description.Lookup("updatedFields").DocumentOK()
	elements, err := updated.Elements()
	if err != nil {
		return true
	}
	for _, e := range elements {
		if !has(after, e.Key(), e.Value()) {
			return false
		}
	}
	removed, _ := description.Lookup("removedFields").ArrayOK()
	fields, err := removed.Values()
	if err != nil {
		return true
	}
	for _, f := range fields {
		// A dot may be part of a name, so of paths nothing is sure.
		if name, _ := f.StringValueOK(); !strings.Contains(name, ".") {
			if _, err := after.LookupErr(name); err == nil {
				return false
			}
		}
	}
	return true
}

// has tells whether the document has that value at a path, of which a part may be a name with dots in it, and a number an
// array's index.
func has(doc bson.Raw, path string, value bson.RawValue) bool {
	for end := 0; end <= len(path); end++ {
		if end < len(path) && path[end] != '.' {
			continue
		}
		v, err := doc.LookupErr(path[:end])
		if err != nil {
			continue
		}
		if end == len(path) {
			return v.Type == value.Type && bytes.Equal(v.Value, value.Value)
		}
		if hasInside(v, path[end+1:], value) {
			return true
		}
	}
	return false
}

func hasInside(v bson.RawValue, path string, value bson.RawValue) bool {
	switch v.Type {
	case bson.TypeEmbeddedDocument:
		return has(v.Document(), path, value)
	case bson.TypeArray:
		first, _, _ := strings.Cut(path, ".")
		if _, err := strconv.ParseUint(first, 10, 31); err != nil {
			return false
		}
		return has(v.Array(), path, value) // BSON names an array's elements by their indexes
	default:
		return false
	}
}

// unchanged tells whether what the update didn't touch is as it was before, where that is known.
func unchanged(h *happening) bool {
	if h.before == nil {
		return true
	}
	paths, err := event.ChangedPaths(h.description)
	if err != nil {
		return true
	}
	touched := map[string]bool{}
	for _, path := range paths {
		top, _, _ := strings.Cut(path, ".")
		touched[top], touched[path] = true, true
	}
	return covers(h.before, h.after, touched) && covers(h.after, h.before, touched)
}

// covers tells whether b has all that a has, but for the members that are touched.
func covers(a, b bson.Raw, touched map[string]bool) bool {
	elements, err := a.Elements()
	if err != nil {
		return true
	}
	for _, e := range elements {
		name := e.Key()
		if top, _, _ := strings.Cut(name, "."); touched[name] || touched[top] {
			continue
		}
		v, err := b.LookupErr(name)
		if err != nil || v.Type != e.Value().Type || !bytes.Equal(v.Value, e.Value().Value) {
			return false
		}
	}
	return true
}

// holds tells whether a document has what a later event did.
func holds(after bson.Raw, later *happening) bool {
	if later == nil {
		return false
	}
	switch later.op {
	case opInsert, opReplace:
		return bytes.Equal(after, later.after)
	case opUpdate:
		updated, _ := later.description.Lookup("updatedFields").DocumentOK()
		return len(updated) > len(bson.Raw{5, 0, 0, 0, 0}) && agrees(after, later.description)
	default:
		return false
	}
}
