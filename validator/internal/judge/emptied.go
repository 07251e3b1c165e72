package judge

import (
	"encoding/json"
	"fmt"
	"sync"

	"datawatch/pkg/event"
)

// emptiedPrefix is the kind of the state records that say up to which event a stream was emptied. The event of a TRUNCATE
// lies in one partition, the rows that it took away in all of them: whoever has those reads of it here.
const emptiedPrefix = "emptied/"

type emptiedRecord struct {
	Version int    `json:"version"` // 1
	EventID string `json:"event_id"`
}

// emptied are the newest events that emptied streams, by stream. Ids sort in the order in which changes took effect.
type emptied struct {
	mu   sync.Mutex
	ids  map[event.Stream]string
	done map[event.Stream]string // those whose rows the session has looked through
}

func newEmptied() *emptied {
	return &emptied{ids: map[event.Stream]string{}, done: map[event.Stream]string{}}
}

// add tells whether the event is newer than what was known.
func (e *emptied) add(stream event.Stream, id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if id <= e.ids[stream] {
		return false
	}
	e.ids[stream] = id
	return true
}

func (e *emptied) of(stream event.Stream) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ids[stream]
}

// behind tells whether the event's row was taken away by a later event that emptied its stream.
func (e *emptied) behind(clean *event.Clean) bool { return clean.ID < e.of(clean.Stream) }

// due tells, once a session, that the rows of a stream are to be looked through.
func (e *emptied) due(stream event.Stream, id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.done[stream] == id {
		return false
	}
	e.done[stream] = id
	return true
}

// begin forgets what the session before has looked through.
func (e *emptied) begin() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.done)
}

func (e *emptied) take(key string, value []byte) (bool, error) {
	var r emptiedRecord
	if err := json.Unmarshal(value, &r); err != nil {
		return false, fmt.Errorf("read state %s: %w", key, err)
	}
	if r.Version != 1 {
		return false, fmt.Errorf("read state %s: version %d is newer than this program", key, r.Version)
	}
	return e.add(event.Stream(key[len(emptiedPrefix):]), r.EventID), nil
}
