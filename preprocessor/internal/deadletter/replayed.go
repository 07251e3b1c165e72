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
// it read the state after the owner before had ended. A transaction that fails ends the session: Load begins the next one
// with what was committed.
//
// An id is forgotten after keep, when its letters and what was replayed of them have left their topics.
type Replayed struct {
	topic string
	keep  time.Duration

	known   map[string]time.Time
	unsent  []string // of known, what isn't in the state topic
	expired []string
}

// NewReplayed remembers nothing yet.
func NewReplayed(stateTopic string, keep time.Duration) *Replayed {
	r := &Replayed{topic: stateTopic, keep: keep}
	r.Load(nil, time.Time{})
	return r
}

// Load begins a session with what the state topic holds under StatePrefix.
func (r *Replayed) Load(state map[string][]byte, now time.Time) {
	r.known, r.unsent, r.expired = map[string]time.Time{}, nil, nil
	for key, value := range state {
		var s replayedState
		if err := json.Unmarshal(value, &s); err != nil || now.Sub(s.At) > r.keep {
			r.expired = append(r.expired, key)
			continue
		}
		r.known[strings.TrimPrefix(key, StatePrefix)] = s.At
	}
}

// Has tells whether a replayed record with the id came out before.
func (r *Replayed) Has(id string) bool {
	_, known := r.known[id]
	return known
}

// Add remembers that one comes out now, with the batch that is processed.
func (r *Replayed) Add(id string, now time.Time) {
	r.known[id] = now
	r.unsent = append(r.unsent, id)
}

// Records are what the batch's transaction has to write.
func (r *Replayed) Records() []broker.Record {
	var records []broker.Record
	for _, id := range r.unsent {
		value, err := json.Marshal(replayedState{Version: 1, At: r.known[id]})
		if err != nil {
			continue // a time and a number always are JSON
		}
		records = append(records, broker.Record{Topic: r.topic, Key: []byte(StatePrefix + id), Value: value})
	}
	forget := r.expired[:min(len(r.expired), maxForgotten)]
	for _, key := range forget {
		records = append(records, broker.Record{Topic: r.topic, Key: []byte(key)})
	}
	r.unsent, r.expired = r.unsent[:0], r.expired[len(forget):]
	return records
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
