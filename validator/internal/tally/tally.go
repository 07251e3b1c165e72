// Package tally is how many events of each stream were valid, invalid, or not judged, since datawatch began to judge it:
// what shares ("97% of 4,200") are made of. Beside it stands when the newest was judged, and whether changes come without
// a before image.
//
// There is a record for each stream and partition of clean, tally/<partition>/<stream> of the state topic, written in the
// transaction that carries the events' verdicts and offsets: each event is counted once, whichever validator is killed.
// What a stream has is the sum over its partitions. Counts only grow; whoever wants those of a time takes the difference.
package tally

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
)

// Prefix is the kind of the state records.
const Prefix = "tally/"

// Count is how the events of a stream were judged.
type Count struct {
	Valid       int64 `json:"valid"`
	Invalid     int64 `json:"invalid"`
	Unvalidated int64 `json:"unvalidated"` // without a schema, or too little known to judge
}

// Plus is the sum of two counts.
func (c Count) Plus(o Count) Count {
	return Count{c.Valid + o.Valid, c.Invalid + o.Invalid, c.Unvalidated + o.Unvalidated}
}

// Entry is what a partition has of a stream.
type Entry struct {
	Count
	// Newest is when its newest event was judged; zero where that isn't known.
	Newest time.Time `json:"newest,omitzero"`
	// Blind is how many changes in a row, up to the newest, have come without the before image that their kind could have.
	Blind int64 `json:"blind,omitempty"`
}

type value struct {
	Version int `json:"version"`
	Entry
}

// Tally is what some partitions have.
type Tally map[int32]map[event.Stream]*Entry

// Read makes a Tally of state records, those of all partitions; records of other kinds are passed over.
func Read(state map[string][]byte) (Tally, error) {
	t := Tally{}
	for key, text := range state {
		if !strings.HasPrefix(key, Prefix) {
			continue
		}
		partition, stream, e, err := ReadRecord(key, text)
		if err != nil {
			return nil, err
		}
		*t.Of(partition, stream) = e
	}
	return t, nil
}

// ReadRecord reads one state record.
func ReadRecord(key string, text []byte) (int32, event.Stream, Entry, error) {
	name, stream, ok := strings.Cut(strings.TrimPrefix(key, Prefix), "/")
	partition, err := strconv.ParseInt(name, 10, 32)
	if !ok || err != nil {
		return 0, "", Entry{}, fmt.Errorf("read state %s: not a partition and a stream", key)
	}
	var v value
	if err := json.Unmarshal(text, &v); err != nil {
		return 0, "", Entry{}, fmt.Errorf("read state %s: %w", key, err)
	}
	if v.Version != 1 {
		return 0, "", Entry{}, fmt.Errorf("read state %s: version %d is newer than this program", key, v.Version)
	}
	return int32(partition), event.Stream(stream), v.Entry, nil
}

// Of is the entry of a stream in a partition, made where there is none.
func (t Tally) Of(partition int32, stream event.Stream) *Entry {
	if t[partition] == nil {
		t[partition] = map[event.Stream]*Entry{}
	}
	if t[partition][stream] == nil {
		t[partition][stream] = &Entry{}
	}
	return t[partition][stream]
}

// Streams are the sums over the partitions.
func (t Tally) Streams() map[event.Stream]Count {
	sums := map[event.Stream]Count{}
	for _, streams := range t {
		for stream, e := range streams {
			sums[stream] = sums[stream].Plus(e.Count)
		}
	}
	return sums
}

// Record is the state record of what a partition has of a stream.
func (t Tally) Record(topic string, partition int32, stream event.Stream) (broker.Record, error) {
	text, err := json.Marshal(value{1, *t.Of(partition, stream)})
	if err != nil {
		return broker.Record{}, fmt.Errorf("write tally of %s: %w", stream, err)
	}
	return broker.Record{Topic: topic, Key: fmt.Appendf(nil, "%s%d/%s", Prefix, partition, stream), Value: text}, nil
}
