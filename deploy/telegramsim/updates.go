package telegramsim

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

const (
	// firstUpdate is where update ids begin: anywhere but at 1, as in Telegram.
	firstUpdate = 730_100_001
	maxUpdates  = 100
	maxPoll     = 50 * time.Second
)

// Kinds of updates.
const (
	updateMessage  = "message"
	updateCallback = "callback_query"
	updateMember   = "my_chat_member"
)

// update is one in the queue; it stays until a later offset confirms it.
type update struct {
	id      int64
	kind    string
	content any
}

func (u update) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"update_id": u.id, u.kind: u.content})
}

// updateQueue holds what the bot hasn't confirmed.
type updateQueue struct {
	next    int64
	pending []update
	allowed []string      // empty: all kinds
	arrived chan struct{} // closed when one comes
	polling *poll
}

// poll is a getUpdates that waits.
type poll struct{ overtaken chan struct{} }

func (q *updateQueue) init() {
	q.next = firstUpdate
	q.arrived = make(chan struct{})
}

func (q *updateQueue) add(kind string, content any) {
	if len(q.allowed) > 0 && !slices.Contains(q.allowed, kind) {
		return
	}
	q.pending = append(q.pending, update{q.next, kind, content})
	q.next++
	close(q.arrived)
	q.arrived = make(chan struct{})
}

// confirm forgets what lies before the offset; a negative one counts from the
// end.
func (q *updateQueue) confirm(offset int64) {
	if offset < 0 {
		keep := min(int(-offset), len(q.pending))
		q.pending = q.pending[len(q.pending)-keep:]
		return
	}
	q.pending = slices.DeleteFunc(q.pending, func(u update) bool { return u.id < offset })
}

// take ends the poll that waits, if any: one token has one poller.
func (q *updateQueue) take() *poll {
	if q.polling != nil {
		close(q.polling.overtaken)
	}
	q.polling = &poll{make(chan struct{})}
	return q.polling
}

func (q *updateQueue) release(p *poll) {
	if q.polling == p {
		q.polling = nil
	}
}

func (s *Server) getUpdates(c *call) (any, *failure) {
	limit := int(c.integer("limit"))
	if limit < 1 || limit > maxUpdates {
		limit = maxUpdates
	}
	wait := min(max(0, time.Duration(c.integer("timeout"))*time.Second), maxPoll)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.updates.allow(c.text("allowed_updates")); err != nil {
		return nil, err
	}
	mine := s.updates.take()
	defer s.updates.release(mine)
	s.updates.confirm(c.integer("offset"))
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for len(s.updates.pending) == 0 && wait > 0 {
		arrived := s.updates.arrived
		s.mu.Unlock()
		over := false
		select {
		case <-arrived:
		case <-mine.overtaken:
		case <-deadline.C:
			over = true
		case <-s.closed:
			over = true
		case <-c.request.Context().Done():
			over = true
		}
		s.mu.Lock()
		if s.updates.polling != mine {
			s.stats.Conflicts++
			return nil, errConflict
		}
		if over {
			break
		}
	}
	pending := s.updates.pending
	return append([]update{}, pending[:min(limit, len(pending))]...), nil
}

// allow sets which kinds are queued from now on; without the parameter it
// stays as it was.
func (q *updateQueue) allow(raw string) *failure {
	raw = strings.TrimSpace(raw)
	if raw == "" || raw == "null" {
		return nil
	}
	var kinds []string
	if json.Unmarshal([]byte(raw), &kinds) != nil {
		return badRequest("can't parse allowed updates JSON object")
	}
	q.allowed = kinds
	return nil
}
