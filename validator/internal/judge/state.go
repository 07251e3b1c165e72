package judge

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/validator/internal/tally"
)

// loadState reads, in one go through the topic, what judges have written so far: the counts of the session's partitions, by
// which streams were emptied, and what is known of all streams.
func (j *Judge) loadState(ctx context.Context, partitions []int32) error {
	state, err := j.scanner.State(ctx, j.topics.State, tally.Prefix, emptiedPrefix, unmatchedKey)
	if err != nil {
		return err
	}
	all, err := tally.Read(state)
	if err != nil {
		return err
	}
	j.emptied.begin()
	for key, value := range state {
		if strings.HasPrefix(key, emptiedPrefix) {
			if _, err := j.emptied.take(key, value); err != nil {
				return err
			}
		}
	}
	unmatched := 0
	if value := state[unmatchedKey]; value != nil {
		if unmatched, err = j.names.takeUnmatched(value); err != nil {
			return err
		}
	}
	j.counts = tally.Tally{}
	for partition, streams := range all {
		for stream, e := range streams {
			j.names.takeStream(partition, stream, *e)
		}
	}
	for _, partition := range partitions {
		j.counts[partition] = all[partition]
	}
	j.names.known(unmatched)
	return nil
}

// followState reads what judges write from a place on, until ctx is done, and returns its error.
func (j *Judge) followState(ctx context.Context, from int64) error {
	return broker.Tail(ctx, j.options.Broker, "datawatch-validator", j.topics.State, map[int32]int64{0: from}, j.options.Log, func(r broker.Record) error {
		if err := j.takeState(string(r.Key), r.Value); err != nil {
			j.options.Log.Error("state can't be read", "error", err)
		}
		return nil
	})
}

func (j *Judge) takeState(key string, value []byte) error {
	switch {
	case value == nil:
	case strings.HasPrefix(key, emptiedPrefix):
		fresh, err := j.emptied.take(key, value)
		if fresh {
			j.wakeUp()
		}
		return err
	case strings.HasPrefix(key, tally.Prefix):
		partition, stream, e, err := tally.ReadRecord(key, value)
		if err == nil {
			j.names.takeStream(partition, stream, e)
		}
		return err
	case key == unmatchedKey:
		_, err := j.names.takeUnmatched(value)
		return err
	}
	return nil
}

// record is a record of the state topic.
func (j *Judge) record(key string, value any) (broker.Record, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return broker.Record{}, fmt.Errorf("write state %s: %w", key, err)
	}
	return broker.Record{Topic: j.topics.State, Key: []byte(key), Value: text}, nil
}

// empty is what is written of an event that emptied its stream.
func (j *Judge) empty(r *broker.Record, clean *event.Clean, v *event.Violation) ([]broker.Record, error) {
	out, err := j.records(r, v, nil)
	if err != nil || j.emptied.behind(clean) {
		return out, err
	}
	j.emptied.add(clean.Stream, clean.ID)
	state, err := j.record(emptiedPrefix+string(clean.Stream), emptiedRecord{1, clean.ID})
	if err != nil {
		return nil, err
	}
	j.wakeUp() // the rows of the session's own partitions
	return append(out, state), nil
}
