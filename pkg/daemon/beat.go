package daemon

import (
	"context"
	"time"

	"github.com/google/uuid"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/control"
	"datawatch/pkg/event"
)

const (
	beatEvery = 5 * time.Second
	// beatStop bounds the last beat of a service that stops.
	beatStop = 2 * time.Second
)

// Beat gives signs of life on the control topic until ctx is done, and returns its error: which of the service's
// dependencies aren't ready, and what say adds to each: of tallies and changes, what was judged and captured since
// the last call. A broker that is away is waited for; what could not be written of them comes with the next beat. Nil adds nothing.
func Beat(ctx context.Context, c config.Broker, service string, env Env, say func(*control.Beat)) error {
	b := beater{broker: c, beat: control.Beat{Service: service, Instance: uuid.NewString()}, env: env, say: say, left: map[string]control.Tally{}, changes: map[event.Stream]control.Changes{}}
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	defer b.stop()
	for {
		if err := b.once(ctx); err != nil && ctx.Err() == nil {
			env.Log.Debug("no sign of life could be given", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

type beater struct {
	broker    config.Broker
	beat      control.Beat
	env       Env
	say       func(*control.Beat)
	left      map[string]control.Tally         // not written yet
	changes   map[event.Stream]control.Changes // the same
	publisher *broker.Publisher
}

func (b *beater) once(ctx context.Context) error {
	b.beat.Tallies, b.beat.Changes = nil, nil
	if b.say != nil {
		b.say(&b.beat)
	}
	for stream, t := range b.beat.Tallies {
		b.left[stream] = b.left[stream].Add(t)
	}
	for stream, c := range b.beat.Changes {
		b.changes[stream] = b.changes[stream].Add(c)
	}
	if b.publisher == nil {
		p, err := broker.OpenPublisher(ctx, b.broker, b.broker.TopicPrefix+"-beat-"+b.beat.Instance)
		if err != nil {
			return err
		}
		b.publisher = p
	}
	b.beat.At, b.beat.Parts, b.beat.Tallies, b.beat.Changes = time.Now(), nil, b.left, b.changes
	for _, p := range b.env.Health.Parts() {
		if p.Status != Ready {
			b.beat.Parts = append(b.beat.Parts, control.Part{Name: p.Name, Ready: p.Status == Degraded, Reason: p.Reason, Why: p.Why.Pointer(), Since: p.Since})
		}
	}
	err := b.publisher.Publish(ctx, []broker.Record{control.BeatRecord(broker.TopicsOf(b.broker.TopicPrefix).Control, b.beat)})
	if err != nil {
		_ = b.publisher.Close() // it has failed, and stays so
		b.publisher = nil
		return err
	}
	clear(b.left)
	clear(b.changes)
	return nil
}

// stop says that the service wasn't lost, but told to stop.
func (b *beater) stop() {
	if b.publisher == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), beatStop)
	defer cancel()
	b.beat.Stopping = true
	if err := b.once(ctx); err != nil {
		b.env.Log.Debug("no last sign of life could be given", "error", err)
	}
	if b.publisher != nil {
		_ = b.publisher.Close()
	}
}
