package judge

import (
	"context"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/validator/internal/accept"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/verdict"
)

// answer is what the acceptor said of an event whose stream has a schema; it is a metric's label.
type answer string

const (
	accepted answer = "accepted"
	asked    answer = "asked" // the judge had to look
)

// fastPath is the acceptor and what it knows of streams under one set of schemas.
type fastPath struct {
	reader   *accept.Reader
	set      *schemas.Set
	programs map[*schemas.File]*accept.Program
	streams  map[string]*followed
	name     []byte
}

// followed is a stream that has had an event.
type followed struct {
	stream  event.Stream
	program *accept.Program // nil: there is no schema
}

func newFastPath() *fastPath { return &fastPath{reader: accept.NewReader()} }

// begin takes a set of schemas; what is compiled of files that it keeps stays.
func (f *fastPath) begin(set *schemas.Set) {
	if f.set == set {
		return
	}
	before := f.programs
	f.set, f.programs, f.streams = set, map[*schemas.File]*accept.Program{}, map[string]*followed{}
	for _, file := range set.Files() {
		if program := before[file]; program != nil {
			f.programs[file] = program
		}
	}
}

// of finds an event's stream.
func (f *fastPath) of(e *accept.Event) *followed {
	f.name = append(append(append(f.name[:0], e.Source...), '/'), e.Subject...)
	if known := f.streams[string(f.name)]; known != nil {
		return known
	}
	known := &followed{stream: event.Stream(f.name)}
	if file := f.set.For(known.stream); file != nil {
		if known.program = f.programs[file]; known.program == nil {
			known.program = accept.Compile(file)
			f.programs[file] = known.program
		}
	}
	f.streams[string(known.stream)] = known
	return known
}

// fast judges an event by the acceptor alone: one that is certainly valid, or has no schema, of a row of which nothing
// stands. False where there is more to do.
func (j *Judge) fast(ctx context.Context, r *broker.Record) bool {
	if len(j.rows.Standing(r.Partition, r.Key)) > 0 {
		return false
	}
	e, ok := j.fastPath.reader.Read(r.Value)
	if !ok {
		return false
	}
	followed := j.fastPath.of(e)
	if followed.program == nil {
		j.tally.take(judged{stream: followed.stream, result: verdict.Unchecked, at: changedAt(e.Time, e.Op, r.Timestamp)})
		return true
	}
	unrunnable, certain := j.fastPath.reader.Accepts(ctx, followed.program)
	if certain {
		j.tally.take(judged{
			stream: followed.stream, result: verdict.Valid, answer: accepted, at: changedAt(e.Time, e.Op, r.Timestamp), unrunnable: unrunnable,
		})
	}
	return certain
}
