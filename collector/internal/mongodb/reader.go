package mongodb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"

	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// reader reads the change stream of one run.
type reader struct {
	*Source
	client     *mongo.Client
	deployment deployment
	emit       source.Emit
	p          progress           // as committed
	known      map[namespace]bool // captured collections that there are
	listed     []listing          // those that there were when it was last looked
	told       time.Time          // when progress was last committed
	readUpTo   atomic.Int64       // the deployment's time of what was read, in nanoseconds since 1970

	intake    *intake // of the stream that is open
	snapshots *backfill.Tracker
	chunk     *chunk // that was read, and waits for the stream; nil where none does
}

// survey finds the collections that are there.
func (r *reader) survey(ctx context.Context) error {
	found, err := r.collections(ctx, r.client)
	if err != nil {
		return err
	}
	names := make([]namespace, len(found))
	for i, n := range found {
		names[i], r.known[n.namespace] = n.namespace, true
	}
	r.listed = found
	r.keepPreImages(ctx, names)
	return nil
}

// errInvalidated ends a change stream whose database is no more; the next one begins behind it.
var errInvalidated = errors.New("the change stream was invalidated")

func (r *reader) run(ctx context.Context) error {
	for {
		if err := r.readRenamed(ctx); err != nil {
			return err
		}
		err := r.open(ctx)
		switch cause := lost(err); {
		case errors.Is(err, errInvalidated):
		case cause != "":
			if err := r.lose(ctx, cause, err); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

func (r *reader) open(ctx context.Context) error {
	stream, err := r.watch(ctx, r.client, r.deployment, r.p)
	if err != nil {
		return notOpened(err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), disconnectWithin)
		defer cancel()
		_ = stream.Close(closing) // the server forgets it anyway
	}()
	r.report.State(source.Streaming, reason.Text{})
	r.chunk = nil // it may be of another deployment
	return r.follow(ctx, stream)
}

// follow reads until the stream ends.
func (r *reader) follow(ctx context.Context, stream *mongo.ChangeStream) error {
	r.intake = newIntake(ctx, stream, r.limits)
	defer r.intake.close()
	b := r.newBatch()
	for {
		a := r.intake.take(r.chunk == nil && r.snapshots.Job() == nil) // a snapshot's reads want answers of their own
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var err error
		if b, err = r.absorb(ctx, b, a.events); err != nil {
			return err
		}
		if a.err != nil {
			return a.err
		}
		if a.idle {
			if err := r.idle(ctx, a); err != nil {
				return err
			}
		}
	}
}

// absorb commits events behind those of b, and gives the batch that follows.
func (r *reader) absorb(ctx context.Context, b *batch, events []arrival) (*batch, error) {
	for i, e := range events {
		whole, err := b.add(e.document)
		if err != nil {
			return nil, err
		}
		if whole {
			b.next.resumed(e.token)
		}
		if last := i == len(events)-1; !b.full() && !last && b.next.Reading == nil {
			continue
		}
		if err := r.settle(ctx, b); err != nil {
			return nil, err
		}
		b = r.newBatchBehind(b)
	}
	return b, nil
}

// settle commits a batch, and does what is to be done behind it.
func (r *reader) settle(ctx context.Context, b *batch) error {
	if err := b.flush(ctx); err != nil {
		return err
	}
	r.keepPreImages(ctx, b.arrived)
	if err := r.readRenamed(ctx); err != nil {
		return err
	}
	return r.backfill(ctx, nil)
}

// idle takes an answer that there is no event. One to a question from before the chunk was read says nothing about it.
func (r *reader) idle(ctx context.Context, a answer) error {
	if err := r.rest(ctx, a.token); err != nil {
		return err
	}
	if r.chunk != nil && a.asked <= r.chunk.asked {
		return nil
	}
	return r.backfill(ctx, a.token)
}

// streamError says what to do about an event that the server can't send: it would stand in the way for ever.
func streamError(err error) error {
	var command mongo.CommandError
	if errors.As(err, &command) && command.Code == codeTooLarge {
		return reason.Wrap(err, reason.MongoTooLarge.With())
	}
	return reason.Wrap(err, reason.MongoNotRead.With())
}

// rest commits an idle stream's token now and then, lest it fall off the oplog.
func (r *reader) rest(ctx context.Context, token bson.Raw) error {
	r.report.Lag(0)
	r.readUpTo.Store(r.now().UnixNano())
	if token == nil || bytes.Equal(token, r.p.Token) || r.p.Token != nil && r.now().Sub(r.told) < r.limits.idle {
		return nil
	}
	next := r.p
	next.resumed(bytes.Clone(token))
	return r.commit(ctx, next, nil, nil)
}

// commit hands events and the progress behind them to the broker; also is what else has progressed.
func (r *reader) commit(ctx context.Context, next progress, events []event.Raw, also source.Progress) error {
	state, err := next.source()
	if err != nil {
		return err
	}
	maps.Copy(state, also)
	if err := r.emit(ctx, source.Batch{Events: events, Progress: state}); err != nil {
		return fmt.Errorf("commit events: %w", err)
	}
	r.p, r.told = next, r.now()
	if n := len(events); n > 0 {
		r.readUpTo.Store(events[n-1].Time.UnixNano())
		r.report.Lag(max(0, r.told.Sub(events[n-1].Time).Seconds()))
	}
	return nil
}
