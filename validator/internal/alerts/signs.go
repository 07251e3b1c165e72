package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/validator/internal/alerts/life"
)

const (
	signsKey  = "alert-signs/read" // of the state topic
	signsBack = 20 * time.Minute
	// shareWindow is how far back the share of invalid events of a stream reaches.
	shareWindow = 10 * time.Minute
	// maxDead bounds how many kinds of dead letters are told apart.
	maxDead = 500
)

// signs is what the topics control and deadletter say: signs of life, tallies, dead letters, and what was accepted on the
// command line. What is counted is stored with the place up to which it was.
type signs struct {
	scanner *broker.Scanner
	topics  broker.Topics
	known   signsState
	changed bool
	stored  time.Time
	opened  time.Time // when this keeper began: what was silent before may only have been stopped with it
	after   time.Duration

	services map[string]map[string]control.Beat // by service and instance
	recent   []control.Beat                     // with tallies, of the last shareWindow
	accepts  []Accept                           // not decided yet
	behind   map[string]behind                  // sources that are far behind
}

// signsState is what is stored of signs.
type signsState struct {
	Version int                            `json:"version"` // 1
	Control int64                          `json:"control"` // the next offset
	Dead    map[int32]int64                `json:"dead"`    // the next offsets, by partition
	Streams map[event.Stream]control.Tally `json:"streams"` // all told
	Letters map[string]*letters            `json:"letters"` // by ID
	// Canaries are the newest that any validator judged.
	Canaries control.Canaries `json:"canaries,omitempty"`
	Gaps     map[string]*gaps `json:"gaps,omitempty"` // by ID
}

// letters are the dead letters of one stream and one class of errors.
type letters struct {
	Stream event.Stream `json:"stream"`
	Stage  string       `json:"stage"`
	Class  string       `json:"class"`
	Reason string       `json:"reason"` // of the newest
	Count  int64        `json:"count"`
	First  time.Time    `json:"first"`
	Last   time.Time    `json:"last"`
}

// openSigns goes on where the keeper before was. Signs of life are read from a while before, for they aren't stored.
func openSigns(ctx context.Context, scanner *broker.Scanner, topics broker.Topics, now time.Time, silentAfter time.Duration) (*signs, error) {
	s := &signs{scanner: scanner, topics: topics, opened: now, after: silentAfter, services: map[string]map[string]control.Beat{}, behind: map[string]behind{}}
	state, err := scanner.State(ctx, topics.State, signsKey)
	if err != nil {
		return nil, err
	}
	value, stored := state[signsKey]
	if stored {
		if err := json.Unmarshal(value, &s.known); err != nil {
			return nil, fmt.Errorf("read state %s: %w", signsKey, err)
		}
		if s.known.Version != 1 {
			return nil, fmt.Errorf("read state %s: version %d is newer than this program", signsKey, s.known.Version)
		}
	} else {
		s.known = signsState{Version: 1, Dead: map[int32]int64{}, Streams: map[event.Stream]control.Tally{}, Letters: map[string]*letters{}}
		if s.known.Control, err = scanner.End(topics.Control, 0); err != nil {
			return nil, err
		}
	}
	if s.known.Canaries == nil {
		s.known.Canaries = control.Canaries{}
	}
	if s.known.Gaps == nil {
		s.known.Gaps = map[string]*gaps{}
	}
	from, err := scanner.Since(topics.Control, 0, now.Add(-signsBack))
	if err != nil {
		return nil, err
	}
	if from < s.known.Control {
		err = scanner.Scan(ctx, topics.Control, 0, from, s.known.Control, func(r broker.Record) error {
			if b, ok := control.ReadBeat(r); ok {
				s.beat(b)
			}
			return nil
		})
	}
	return s, err
}

// refresh reads what has come since.
func (s *signs) refresh(ctx context.Context, now time.Time) error {
	end, err := s.scanner.End(s.topics.Control, 0)
	if err != nil {
		return fmt.Errorf("read signs of life: %w", err)
	}
	oldest, err := s.scanner.Oldest(s.topics.Control, 0)
	if err != nil {
		return fmt.Errorf("read signs of life: %w", err)
	}
	if from := max(s.known.Control, oldest); from < end {
		if err := s.scanner.Scan(ctx, s.topics.Control, 0, from, end, func(r broker.Record) error { s.take(r); return nil }); err != nil {
			return fmt.Errorf("read signs of life: %w", err)
		}
	}
	s.known.Control = end
	s.recent = slices.DeleteFunc(s.recent, func(b control.Beat) bool { return now.Sub(b.At) > shareWindow })
	return s.readDead(ctx)
}

func (s *signs) take(r broker.Record) {
	if b, ok := control.ReadBeat(r); ok {
		s.beat(b)
		for stream, t := range b.Tallies {
			s.known.Streams[event.Stream(stream)] = s.known.Streams[event.Stream(stream)].Add(t)
			s.changed = true
		}
		return
	}
	if g, ok := control.ReadGap(r); ok {
		s.gap(g, r.Timestamp)
		return
	}
	if a, ok := readAccept(r); ok {
		s.accepts = append(s.accepts, a)
		s.changed = true
	}
}

func (s *signs) beat(b control.Beat) {
	if s.services[b.Service] == nil {
		s.services[b.Service] = map[string]control.Beat{}
	}
	of := s.services[b.Service]
	if b.Stopping { // it reads nothing any more: what it read is as it said before
		b.Sources = of[b.Instance].Sources
	}
	of[b.Instance] = b
	s.lags(b)
	maps.DeleteFunc(of, func(_ string, old control.Beat) bool { return b.At.Sub(old.At) > time.Hour })
	if len(b.Tallies) > 0 {
		s.recent = append(s.recent, b)
	}
	if len(b.Canaries) > 0 {
		s.known.Canaries.Add(b.Canaries)
		s.changed = true
	}
}

// readDead counts the dead letters that have come since.
func (s *signs) readDead(ctx context.Context) error {
	partitions, err := s.scanner.Partitions(s.topics.DeadLetter)
	if errors.Is(err, broker.ErrUnknownTopic) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read dead letters: %w", err)
	}
	for _, p := range partitions {
		end, err := s.scanner.End(s.topics.DeadLetter, p)
		if err != nil {
			return fmt.Errorf("read dead letters: %w", err)
		}
		from, known := s.known.Dead[p]
		if known && from < end {
			if err := s.scanner.Scan(ctx, s.topics.DeadLetter, p, from, end, func(r broker.Record) error { s.dead(r); return nil }); err != nil {
				return fmt.Errorf("read dead letters: %w", err)
			}
		}
		s.known.Dead[p] = end
		s.changed = s.changed || !known
	}
	return nil
}

func (s *signs) dead(r broker.Record) {
	l := letters{Last: r.Timestamp}
	stream, _, _ := strings.Cut(string(r.Key), "\n")
	l.Stream = event.Stream(stream)
	for _, h := range r.Headers {
		switch h.Name {
		case "datawatch_error_stage":
			l.Stage = string(h.Value)
		case "datawatch_error_class":
			l.Class = string(h.Value)
		case "datawatch_error_reason":
			l.Reason = string(h.Value)
		}
	}
	id := deadID(l.Stream, l.Class)
	if s.known.Letters[id] == nil && len(s.known.Letters) >= maxDead {
		id = deadID("", "")
	}
	old := s.known.Letters[id]
	if old == nil {
		old = &letters{Stream: l.Stream, Stage: l.Stage, Class: l.Class, First: r.Timestamp}
		s.known.Letters[id] = old
	}
	old.Count++
	old.Last, old.Reason = r.Timestamp, l.Reason
	s.changed = true
}

// shares are the streams of late of which at least half was invalid at some time, from then on.
func (s *signs) shares() map[event.Stream]life.Share {
	shares := map[event.Stream]life.Share{}
	for _, b := range s.recent {
		for name, t := range b.Tallies {
			stream := event.Stream(name)
			share, begun := shares[stream]
			if !begun && 2*t.Invalid < t.Valid+t.Invalid || t.Valid+t.Invalid == 0 {
				continue
			}
			if !begun {
				share.Since = b.At
			}
			share.Invalid, share.Total = share.Invalid+t.Invalid, share.Total+t.Valid+t.Invalid
			shares[stream] = share
		}
	}
	return shares
}

// lastBeat is when a service gave its newest sign of life.
func (s *signs) lastBeat(service string) time.Time {
	var last time.Time
	for _, b := range s.services[service] {
		if b.At.After(last) {
			last = b.At
		}
	}
	return last
}

// silent tells since when a service gives no sign of life; zero where it does, or where it was never heard of.
func (s *signs) silent(service string, now time.Time) time.Time {
	last := s.lastBeat(service)
	if last.IsZero() || now.Sub(last) < s.after || now.Sub(s.opened) < s.after {
		return time.Time{}
	}
	return last
}

// record is what is to be stored, if anything: at once where decisions hang on it, else now and then.
func (s *signs) record(now time.Time, atOnce bool) []broker.Record {
	if !s.changed || !atOnce && now.Sub(s.stored) < signsEvery {
		return nil
	}
	value, err := json.Marshal(s.known)
	if err != nil {
		panic(err) // texts, numbers and times
	}
	s.changed, s.stored = false, now
	return []broker.Record{{Topic: s.topics.State, Key: []byte(signsKey), Value: value}}
}

// signsEvery is how often counts are stored: what was counted since is counted again by the next keeper, from its place.
const signsEvery = 15 * time.Second
