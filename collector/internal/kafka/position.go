package kafka

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
)

// partition names one partition of one topic.
type partition struct {
	topic string
	id    int32
}

func (p partition) String() string { return p.topic + "/" + strconv.Itoa(int(p.id)) }

func (p partition) stream(source string) event.Stream {
	return event.StreamOf(source, event.TopicEntity(p.topic))
}

// entry is the name of the partition's progress.
func (p partition) entry() string { return p.String() }

func parsePartition(entry string) (partition, error) {
	topic, digits, ok := strings.Cut(entry, "/")
	id, err := strconv.ParseInt(digits, 10, 32)
	if !ok || err != nil {
		return partition{}, fmt.Errorf("progress entry %q is not <topic>/<partition>", entry)
	}
	return partition{topic, int32(id)}, nil
}

// position is how far a partition was read; its JSON is the partition's progress.
type position struct {
	Version int         `json:"version"`
	Epoch   event.Epoch `json:"epoch"`
	// TopicID is the cluster's id of the topic, empty where the cluster is too old to have any.
	TopicID string `json:"topic_id,omitempty"`
	// Offset is the next one to read, or atEnd, or nowhere.
	Offset int64 `json:"offset"`
	// LeaderEpoch is that of the last batch read, or a later one under which the log was found to still hold it; nil where
	// there is none.
	LeaderEpoch *int32 `json:"leader_epoch,omitempty"`
	// Time is that of the last record read: where a gap begins.
	Time time.Time `json:"time,omitzero"`
}

// reached notes the leader epoch of what was read, or of a log that was looked at again.
func (at *position) reached(epoch int32) {
	if epoch != noEpoch && (at.LeaderEpoch == nil || epoch > *at.LeaderEpoch) {
		at.LeaderEpoch = &epoch
	}
}

// atEnd is the offset of a partition that had no leader to tell its end when the source first ran with start: latest.
const atEnd int64 = -1

// nowhere is the offset of a partition whose topic was deleted before all of it was read, which a gap says: one of the same
// name is a new topic.
const nowhere int64 = -2

// began is the source's own progress entry: it has run, so what isn't in progress came later.
type began struct {
	Version int         `json:"version"`
	Epoch   event.Epoch `json:"epoch"`
}

const (
	progressVersion = 1
	beganEntry      = ""
)

// readProgress reads progress back; first tells that the source never ran.
func readProgress(progress source.Progress) (positions map[partition]position, first bool, err error) {
	positions = make(map[partition]position, len(progress))
	for entry, value := range progress {
		if entry == beganEntry {
			continue
		}
		p, err := parsePartition(entry)
		if err != nil {
			return nil, false, err
		}
		var at position
		if err := json.Unmarshal(value, &at); err != nil {
			return nil, false, fmt.Errorf("progress of %s: %w", entry, err)
		}
		if at.Version != progressVersion {
			return nil, false, fmt.Errorf("progress of %s has version %d, this datawatch reads %d: it was written by a newer one", entry, at.Version, progressVersion)
		}
		positions[p] = at
	}
	return positions, len(progress) == 0, nil
}

func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // positions hold numbers, texts and times from the cluster only
	}
	return b
}
