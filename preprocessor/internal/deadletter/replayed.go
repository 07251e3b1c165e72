package deadletter

import (
	"encoding/json"
	"strings"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/deadletter"
	"datawatch/pkg/event"
)

// StatePrefix begins the keys of the state topic under which the ids of replayed records are remembered.
const StatePrefix = "replayed/"

// maxForgotten bounds how many ids are forgotten in one transaction.
const maxForgotten = 1000

// replayedState is a value of the state topic.
type replayedState struct {
	Version int       `json:"version"` // 1
	At      time.Time `json:"at"`
}

// Replayed remembers which replayed records have come out of clean, by id: in the state topic, written in the transaction
// that wrote their events. An id is in one raw partition always, so whoever owns the partition knows of it, provided that
// it read the state after the owner before had ended.
//
// An id is forgotten after keep, when its letters and what was replayed of them have left their topics.
type Replayed struct {
	topic string
	keep  time.Duration

	known   map[string]time.Time
	expired []string
	fresh   map[string]time.Time // of the batch that isn't committed yet
}

// NewReplayed remembers nothing yet.
func NewReplayed(stateTopic string, keep time.Duration) *Replayed {
	r := &Replayed{topic: stateTopic, keep: keep}
	r.Load(nil, time.Time{})
	return r
}

// Load begins a session with what the state topic holds under StatePrefix.
func (r *Replayed) Load(state map[string][]byte, now time.Time) {
	r.known, r.expired, r.fresh = map[string]time.Time{}, nil, map[string]time.Time{}
	for key, value := range state {
		var s replayedState
		if err := json.Unmarshal(value, &s); err != nil || now.Sub(s.At) > r.keep {
			r.expired = append(r.expired, key)
			continue
		}
		r.known[strings.TrimPrefix(key, StatePrefix)] = s.At
	}
}

// Begin starts a batch. What an unfinished one said is void.
func (r *Replayed) Begin() { clear(r.fresh) }

// Has tells whether a replayed record with the id came out before.
func (r *Replayed) Has(id string) bool {
	_, known := r.known[id]
	_, fresh := r.fresh[id]
	return known || fresh
}

// Add remembers that one comes out now, once the batch is committed.
func (r *Replayed) Add(id string, now time.Time) { r.fresh[id] = now }

// Records are what the batch's transaction has to write.
func (r *Replayed) Records() []broker.Record {
	var records []broker.Record
	for id, at := range r.fresh {
		value, err := json.Marshal(replayedState{Version: 1, At: at})
		if err != nil {
			continue // a time and a number always are JSON
		}
		records = append(records, broker.Record{Topic: r.topic, Key: []byte(StatePrefix + id), Value: value})
	}
	for _, key := range r.expired[:min(len(r.expired), maxForgotten)] {
		records = append(records, broker.Record{Topic: r.topic, Key: []byte(key)})
	}
	return records
}

// Committed ends the batch.
func (r *Replayed) Committed() {
	for id, at := range r.fresh {
		r.known[id] = at
	}
	clear(r.fresh)
	r.expired = r.expired[min(len(r.expired), maxForgotten):]
}

// IsReplayed tells whether a record of raw was sent again.
func IsReplayed(headers []event.Header) bool {
	for _, h := range headers {
		if h.Name == deadletter.HeaderReplayed {
			return true
		}
	}
	return false
}
