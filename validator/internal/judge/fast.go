package judge

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

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

// fastPath is the acceptor and what it knows of streams under one set of schemas. It is for one goroutine.
type fastPath struct {
	reader   *accept.Reader
	set      *schemas.Set
	programs map[*schemas.File]*accept.Program
	streams  map[string]*followed
	last     *followed // events of one stream often follow each other
	name     []byte
}

// followed is a stream that has had an event.
type followed struct {
	stream  event.Stream
	source  string          // up to the slash
	program *accept.Program // nil: there is no schema
}

// newFastPaths are one for each goroutine that may run at a time but one. While there is room for that one, Go wakes at once who
// waits for the broker; without it, only every 10 ms, and a transaction has five answers to wait for. Where the process has a
// machine for itself, that is one for each core (daemon.RunBusy).
func newFastPaths() []*fastPath {
	all := make([]*fastPath, max(1, runtime.GOMAXPROCS(0)-1))
	for i := range all {
		all[i] = &fastPath{reader: accept.NewReader()}
	}
	return all
}

// begin takes a set of schemas; what is compiled of files that it keeps stays.
func (f *fastPath) begin(set *schemas.Set) {
	if f.set == set {
		return
	}
	before := f.programs
	f.set, f.programs, f.streams, f.last = set, map[*schemas.File]*accept.Program{}, map[string]*followed{}, nil
	for _, file := range set.Files() {
		if program := before[file]; program != nil {
			f.programs[file] = program
		}
	}
}

// of finds an event's stream.
func (f *fastPath) of(e *accept.Event) *followed {
	if l := f.last; l != nil && l.source == e.Source && string(l.stream[len(l.source)+1:]) == e.Subject {
		return l
	}
	f.last = f.find(e)
	return f.last
}

func (f *fastPath) find(e *accept.Event) *followed {
	f.name = append(append(append(f.name[:0], e.Source...), '/'), e.Subject...)
	if known := f.streams[string(f.name)]; known != nil {
		return known
	}
	known := &followed{stream: event.Stream(f.name)}
	known.source = string(known.stream[:len(e.Source)])
	if file := f.set.For(known.stream); file != nil {
		if known.program = f.programs[file]; known.program == nil {
			known.program = accept.Compile(file)
			f.programs[file] = known.program
		}
	}
	f.streams[string(known.stream)] = known
	return known
}

// glance is what the acceptor says of one record.
type glance struct {
	canary bool
	enough bool // it is certainly valid, or has no schema
	judged judged
}

// look asks the acceptor.
func (f *fastPath) look(ctx context.Context, r *broker.Record) glance {
	if event.IsCanary(r.Key) {
		return glance{canary: true}
	}
	e, ok := f.reader.Read(r.Value)
	if !ok {
		return glance{}
	}
	followed := f.of(e)
	seen := glance{enough: true, judged: judged{
		stream: followed.stream, result: verdict.Unchecked, at: changedAt(e.Time, e.Op, r.Timestamp), image: imageOf(e.Op, e.HasBefore()),
	}}
	if followed.program == nil {
		return seen
	}
	seen.judged.result, seen.judged.answer = verdict.Valid, accepted
	seen.enough = f.reader.Accepts(ctx, followed.program)
	return seen
}

// share is how many records are worth a goroutine, and how many one takes at a time.
const share = 128

// look asks the acceptor about a batch, on as many cores as there are fast paths: it depends on nothing but the record and the
// schemas. The result is good until the next batch.
func (j *Judge) look(ctx context.Context, set *schemas.Set, batch []broker.Record) []glance {
	j.glances = slices.Grow(j.glances[:0], len(batch))[:len(batch)]
	var lookers sync.WaitGroup
	var taken atomic.Int64
	for _, f := range j.fast[:min(len(j.fast), (len(batch)+share-1)/share)] {
		f.begin(set)
		lookers.Go(func() {
			for {
				end := int(taken.Add(share))
				for at := end - share; at < min(end, len(batch)); at++ {
					j.glances[at] = f.look(ctx, &batch[at])
				}
				if end >= len(batch) {
					return
				}
			}
		})
	}
	lookers.Wait()
	return j.glances
}
