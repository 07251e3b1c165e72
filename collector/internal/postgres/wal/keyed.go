package wal

import (
	"slices"

	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// streamKeys are the columns of each stream's key, sorted.
type streamKeys map[event.Stream][]string

// keyed takes note of the key by which a stream's rows are told from here on. Where they were told by another one, the stream ends, and
// begins anew: by what comes, nobody could change what was told before.
func (r *reader) keyed(rel *relation) {
	if rel.stray || rel.excluded || rel.ownKey {
		return
	}
	key := slices.Sorted(slices.Values(rel.key))
	was, told := r.keys[rel.stream]
	if told && slices.Equal(was, key) {
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
