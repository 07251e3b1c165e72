package judge

import (
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/tally"
	"datawatch/validator/internal/verdict"
)

// judged is what became of one event.
type judged struct {
	stream   event.Stream
	result   verdict.Result
	answer   answer // empty: the stream has no schema
	severity event.Severity
	at       time.Time // zero where the time of the change says nothing of delay
	image    image
}

// image says whether a change came with its before image.
type image uint8

const (
	none    image = iota // its kind has none, or nothing can be said
	without              // it could have one
	with
)

// imageOf tells what is known of an event's before image.
func imageOf(op event.Op, before bool) image {
	switch {
	case op == event.Insert || op == event.Read || op == event.Truncate:
		return none
	case before:
		return with
	}
	return without
}

// batch is what a batch of events adds to tallies and metrics, by stream. The tallies are written with its verdicts; metrics
// count it once it is committed.
type batch struct {
	set      *schemas.Set
	streams  map[event.Stream]*sums
	last     *sums       // of the event before: the next is often of the same stream
	changes  []time.Time // when the changes took place
	canaries []*broker.Record
}

// sums are what a batch has of one stream.
type sums struct {
	stream     event.Stream
	answers    map[answer]int
	severities map[event.Severity]int
	newest     time.Time // when the last change took place; zero where no event says so
	parts      []*part
}

// part is what a batch has of one stream in one partition.
type part struct {
	partition int32
	counts    tally.Count
	sighted   bool  // a change came with its before image
	blind     int64 // changes without, behind the last with
}

// newBatch is for a batch of so many events.
func newBatch(set *schemas.Set, events int) *batch {
	return &batch{set: set, streams: map[event.Stream]*sums{}, changes: make([]time.Time, 0, events)}
}

func (b *batch) of(stream event.Stream) *sums {
	if b.last != nil && b.last.stream == stream {
		return b.last
	}
	s := b.streams[stream]
	if s == nil {
		s = &sums{stream: stream, answers: map[answer]int{}, severities: map[event.Severity]int{}}
		b.streams[stream] = s
	}
	b.last = s
	return s
}

func (s *sums) in(partition int32) *part {
	for _, p := range s.parts {
		if p.partition == partition {
			return p
		}
	}
	p := &part{partition: partition}
	s.parts = append(s.parts, p)
	return p
}

// add counts an event.
func (b *batch) add(partition int32, j *judged) {
	s := b.of(j.stream)
	p := s.in(partition)
	switch j.result {
	case verdict.Valid:
		p.counts.Valid++
	case verdict.Invalid:
		p.counts.Invalid++
	default:
		p.counts.Unvalidated++
	}
	switch j.image {
	case with:
		p.sighted, p.blind = true, 0
	case without:
		p.blind++
	}
	if j.answer != "" {
		s.answers[j.answer]++
	}
	if j.severity != "" {
		s.severities[j.severity]++
	}
	if !j.at.IsZero() {
		s.newest = j.at
		b.changes = append(b.changes, j.at)
	}
}

// judge notes what the full judge found of an event; clean is nil where it couldn't be read.
func (b *batch) judge(partition int32, stream event.Stream, v verdict.Verdict, fallback time.Time, clean *event.Clean) {
	j := judged{stream: stream, result: v.Result, at: fallback}
	if v.Violation != nil {
		j.severity = v.Violation.Severity
	}
	if clean != nil {
		j.at = changedAt(clean.Time, clean.Change.Op, fallback)
		j.image = imageOf(clean.Change.Op, clean.Change.HasBefore())
		if b.set.For(stream) != nil {
			j.answer = asked
		}
	}
	b.add(partition, &j)
}

// each calls do for every result that a stream has, with how often.
func (s *sums) each(do func(verdict.Result, int64)) {
	var all tally.Count
	for _, p := range s.parts {
		all = all.Plus(p.counts)
	}
	for _, r := range []struct {
		result verdict.Result
		n      int64
	}{{verdict.Valid, all.Valid}, {verdict.Invalid, all.Invalid}, {verdict.Unchecked, all.Unvalidated}} {
		if r.n > 0 {
			do(r.result, r.n)
		}
	}
}
