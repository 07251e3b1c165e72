package mongodb

import (
	"bytes"
	"context"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
)

// intake asks the server for events beside the reader, so that answers come while a batch is being committed. The next batch
// is then all that came meanwhile: little of a quiet stream, much of a backlog, however few events a server gives at a time.
// Its methods are the reader's.
type intake struct {
	stream *mongo.ChangeStream
	most   limits // of what is held, but for the last answer
	ctx    context.Context
	stop   context.CancelFunc
	asking sync.WaitGroup

	mu      sync.Mutex
	changed sync.Cond // any of the following
	held    answer
	bytes   int   // of what is held
	asked   int64 // how often the server was asked
	ahead   bool  // it is asked while there is room
	wanted  bool  // the reader waits, so it is asked in any case
	closed  bool
}

// answer is what the server had: events, and behind them that there are no more for now, or why there never will be.
type answer struct {
	events []arrival
	idle   bool
	token  bson.Raw // of a stream that is idle
	asked  int64    // how many questions had been asked when it was
	err    error
}

// arrival is an event, or a part of one, with the token behind it.
type arrival struct{ document, token bson.Raw }

func newIntake(ctx context.Context, stream *mongo.ChangeStream, most limits) *intake {
	in := &intake{stream: stream, most: most}
	in.changed.L = &in.mu
	in.ctx, in.stop = context.WithCancel(ctx)
	in.asking.Go(in.ask)
	return in
}

// take waits for what there is. It comes soon after the context's end, too. Until it is called again the server is asked on
// where ahead says so. Behind an error there is nothing more to take.
func (in *intake) take(ahead bool) answer {
	in.mu.Lock()
	defer in.mu.Unlock()
	some := func() bool { return len(in.held.events) > 0 || in.held.idle || in.held.err != nil }
	in.ahead, in.wanted = ahead, !some()
	in.changed.Broadcast()
	for !some() {
		in.changed.Wait()
	}
	a := in.held
	in.held, in.bytes = answer{}, 0
	in.changed.Broadcast()
	return a
}

// questions is how many were asked so far.
func (in *intake) questions() int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.asked
}

// close waits until nothing uses the stream.
func (in *intake) close() {
	in.stop()
	in.mu.Lock()
	in.closed = true
	in.changed.Broadcast()
	in.mu.Unlock()
	in.asking.Wait()
}

// Ahead of a reader that is busy, the server needn't be asked for each single event.
const (
	fewEvents = 50 // are an answer of a server that has no more for now
	pause     = 5 * time.Millisecond
)

// ask asks question after question, until one is answered with an error.
func (in *intake) ask() {
	for in.next() {
		a := in.read()
		in.hold(a)
		switch {
		case a.err != nil:
			return
		case len(a.events) < fewEvents:
			in.rest()
		}
	}
}

// rest gives the server time for more events, unless the reader waits for them.
func (in *intake) rest() {
	over := false
	timer := time.AfterFunc(pause, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		over = true
		in.changed.Broadcast()
	})
	defer timer.Stop()
	in.mu.Lock()
	defer in.mu.Unlock()
	for !over && !in.wanted && !in.closed {
		in.changed.Wait()
	}
}

// next waits until another question may be asked.
func (in *intake) next() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	room := func() bool { return len(in.held.events) < in.most.events && in.bytes < in.most.bytes }
	for !in.closed && !in.wanted && (!in.ahead || !room()) {
		in.changed.Wait()
	}
	in.wanted = false
	in.asked++
	return !in.closed
}

// hold keeps an answer behind those that wait.
func (in *intake) hold(a answer) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, e := range a.events {
		in.bytes += len(e.document)
	}
	a.events, a.asked = append(in.held.events, a.events...), in.asked
	in.held = a
	in.changed.Broadcast()
}

// read takes what the server sends at a time: it asks once, and waits as long as the stream's await time at most.
func (in *intake) read() (a answer) {
	for bytes := 0; ; {
		if !in.stream.TryNext(in.ctx) {
			switch err := in.stream.Err(); {
			case err != nil:
				a.err = streamError(err)
			case in.ctx.Err() != nil:
				a.err = in.ctx.Err()
			case in.stream.ID() == 0:
				a.err = errInvalidated
			default:
				a.idle, a.token = true, clone(in.stream.ResumeToken())
			}
			return a
		}
		a.events = append(a.events, arrival{clone(in.stream.Current), clone(in.stream.ResumeToken())})
		if bytes += len(in.stream.Current); bytes >= in.most.bytes || in.stream.RemainingBatchLength() == 0 {
			return a
		}
	}
}

func clone(raw bson.Raw) bson.Raw { return bytes.Clone(raw) }
