package wal

import (
	"slices"
	"strings"

	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// streamKeys are the columns of each stream's key, sorted, with types that are one where they print values alike.
type streamKeys map[event.Stream][]string

func keyOf(rel *relation) (columns []string) {
	for _, c := range rel.shape {
		if !slices.Contains(rel.key, c.Name) {
			continue
		}
		of := c.Type
		switch c.Base {
		case "int2", "int4", "int8":
			of = "int"
		case "text", "varchar":
			of = "text"
		}
		columns = append(columns, c.Name+" "+of)
	}
	slices.Sort(columns)
	return columns
}

// keyed takes note of the key by which a stream's rows are told from here on. Where they were told by another one, the stream ends, and
// begins anew: by what comes, nobody could change what was told before.
func (r *reader) keyed(rel *relation) {
	if rel.stray || rel.excluded || rel.ownKey {
		return
	}
	key := keyOf(rel)
	was, told := r.keys[rel.stream]
	// Progress of before may have names of types in quotes.
	if told && slices.EqualFunc(was, key, func(was, is string) bool { return was == is || strings.ReplaceAll(was, `"`, "") == is }) {
		return
	}
	if told {
		r.ended(knownTable{Schema: rel.streamSchema, Table: rel.streamTable}, leftKey)
		r.gap(rel.stream, event.Gap{From: r.time(), To: r.time(), Cause: causeKeyChanged}.Advising(reason.DoKeyChanged.With()))
	}
	if r.keys == nil {
		r.keys = streamKeys{}
	}
	r.keys[rel.stream] = key
	r.noteTables()
}
