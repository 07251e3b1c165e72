// Package tally is how many events of each stream were valid, invalid, or not judged, since datawatch began to judge it:
// what shares ("97% of 4,200") are made of.
//
// There is a record for each stream and partition of clean, tally/<partition>/<stream> of the state topic, written in the
// transaction that carries the events' verdicts and offsets: each event is counted once, whichever validator is killed.
// What a stream has is the sum over its partitions. Counts only grow; whoever wants those of a time takes the difference.
package tally

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

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

type value struct {
	Version int `json:"version"`
	Count
}

// Tally is what some partitions have.
type Tally map[int32]map[event.Stream]Count

// Read makes a Tally of state records, those of all partitions.
func Read(state map[string][]byte) (Tally, error) {
	t := Tally{}
	for key, text := range state {
		partition, stream, err := parseKey(key)
		if err != nil {
			return nil, err
		}
		var v value
		if err := json.Unmarshal(text, &v); err != nil {
			return nil, fmt.Errorf("read state %s: %w", key, err)
		}
		if v.Version != 1 {
			return nil, fmt.Errorf("read state %s: version %d is newer than this program", key, v.Version)
		}
		t.Add(partition, stream, v.Count)
	}
	return t, nil
}

// Load reads what some partitions have.
func Load(ctx context.Context, scanner *broker.Scanner, topic string, partitions []int32) (Tally, error) {
	state, err := scanner.State(ctx, topic, Prefix)
	if err != nil {
		return nil, err
	}
	all, err := Read(state)
	if err != nil {
		return nil, err
	}
	for partition := range all {
		if !slices.Contains(partitions, partition) {
			delete(all, partition)
		}
	}
	return all, nil
}

// Add counts events.
func (t Tally) Add(partition int32, stream event.Stream, c Count) {
	if t[partition] == nil {
		t[partition] = map[event.Stream]Count{}
	}
	t[partition][stream] = t[partition][stream].Plus(c)
}

// Streams are the sums over the partitions.
func (t Tally) Streams() map[event.Stream]Count {
	sums := map[event.Stream]Count{}
	for _, streams := range t {
		for stream, c := range streams {
			sums[stream] = sums[stream].Plus(c)
		}
	}
	return sums
}

// Record is the state record of what a partition has of a stream.
func (t Tally) Record(topic string, partition int32, stream event.Stream) (broker.Record, error) {
	text, err := json.Marshal(value{1, t[partition][stream]})
	if err != nil {
		return broker.Record{}, fmt.Errorf("write tally of %s: %w", stream, err)
	}
	return broker.Record{Topic: topic, Key: fmt.Appendf(nil, "%s%d/%s", Prefix, partition, stream), Value: text}, nil
}

func parseKey(key string) (int32, event.Stream, error) {
	partition, stream, ok := strings.Cut(strings.TrimPrefix(key, Prefix), "/")
	n, err := strconv.ParseInt(partition, 10, 32)
	if !ok || err != nil {
		return 0, "", fmt.Errorf("read state %s: not a partition and a stream", key)
	}
	return int32(n), event.Stream(stream), nil
}
