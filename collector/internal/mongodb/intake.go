package mongodb

import (
	"bytes"
	"context"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
)

// intake asks the server for events, one answer at a time, beside the reader: so the next can be on its way while the last
// is being committed. Its methods are the reader's.
type intake struct {
	stream  *mongo.ChangeStream
	most    int // bytes of an answer, roughly
	answers chan answer
	asked   bool // an answer is on its way
	ahead   bool // and was asked for before the last was done with
	stop    context.CancelFunc
	ctx     context.Context
}

// answer is what the server had: events, or none for now, or why there are no more.
type answer struct {
	events []arrival
	idle   bson.Raw // the token of a stream without an event
	ahead  bool     // asked for before the answer before it was done with
	err    error
}

// arrival is an event, or a part of one, with the token behind it.
type arrival struct{ document, token bson.Raw }

func newIntake(ctx context.Context, stream *mongo.ChangeStream, most int) *intake {
	in := &intake{stream: stream, most: most, answers: make(chan answer, 1)}
	in.ctx, in.stop = context.WithCancel(ctx)
	return in
}

// ask has the server asked, where it isn't already.
func (in *intake) ask(ahead bool) {
	if in.asked {
		return
	}
	in.asked, in.ahead = true, ahead
	go func() { in.answers <- in.read() }()
}

// take waits for the answer. It comes soon after the context's end, too.
func (in *intake) take() answer {
	in.ask(false)
	a := <-in.answers
	in.asked, a.ahead = false, in.ahead
	return a
}

// close waits until nothing uses the stream.
func (in *intake) close() {
	in.stop()
	if in.asked {
		<-in.answers
	}
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
				a.idle = clone(in.stream.ResumeToken())
			}
			return a
		}
		a.events = append(a.events, arrival{clone(in.stream.Current), clone(in.stream.ResumeToken())})
		if bytes += len(in.stream.Current); bytes >= in.most || in.stream.RemainingBatchLength() == 0 {
			return a
		}
	}
}

func clone(raw bson.Raw) bson.Raw { return bytes.Clone(raw) }
