package feed

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"datawatch/pkg/event"
)

// Feed shows what it is offered.
type Feed struct {
	options Options
	intake  *intake
	backlog *backlog
	writer  writer
	metrics *metrics
}

// New makes a feed, which shows nothing before Run.
func New(o Options) (*Feed, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	return &Feed{
		options: o,
		intake:  newIntake(o.MaxEvents, o.MaxBytes),
		backlog: newBacklog(),
		writer:  writer{words: catalogues[o.Language], zone: o.Zone},
		metrics: newMetrics(o.Metrics),
	}, nil
}

// Offer shows the events of a batch that was committed, in their order. It never blocks and may be called by several
// sources at once. The feed keeps the events' bytes for a while: they mustn't be changed.
func (f *Feed) Offer(events []event.Raw) { f.intake.offer(events) }

// Run shows what is offered until ctx is done, and returns its error.
func (f *Feed) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.assemble(ctx) })
	group.Go(func() error { return f.tell(ctx) })
	err := group.Wait()
	if left := f.backlog.abandon(); left > 0 {
		f.metrics.dropped.Add(float64(left))
		f.options.Log.Warn("feed stopped before everything was shown", "transactions", left)
	}
	return err
}

// assemble makes transactions of events.
func (f *Feed) assemble(ctx context.Context) error {
	a := newAssembler(f.options.Normalizer, f.options.Linger, f.options.Log, f.backlog.add)
	timer := time.NewTimer(f.options.Linger)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			a.completeAll()
			return ctx.Err()
		case <-f.intake.some:
		case <-timer.C:
		}
		events, lost := f.intake.take()
		for i := range events {
			if ctx.Err() != nil {
				break
			}
			a.take(ctx, &events[i], f.backlog.summing())
		}
		if len(lost) > 0 {
			a.completeAll() // what is open may be lacking its end
			f.backlog.lose(lost)
			f.count(lost)
		}
		if wait := a.completeQuiet(time.Now()); wait > 0 {
			timer.Reset(wait)
		}
	}
}

func (f *Feed) count(lost map[string]*loss) {
	for source, l := range lost {
		f.metrics.dropped.Add(float64(l.transactions))
		f.options.Log.Warn("feed can't keep up: changes are told as a number only", "source", source, "changes", l.changes)
	}
}
