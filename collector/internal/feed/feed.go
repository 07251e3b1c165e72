package feed

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"datawatch/pkg/event"
)

// Feed shows what it is offered.
type Feed struct {
	options  Options
	intake   *intake
	audience *audience
	board    *board
	writer   writer
	metrics  *metrics
	left     []Left
}

// New makes a feed, which shows nothing before Run.
func New(o Options) (*Feed, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	b := newBoard()
	audience := newAudience(o.Chat, b)
	return &Feed{
		options:  o,
		intake:   newIntake(o.MaxEvents, o.MaxBytes),
		audience: audience,
		board:    b,
		writer:   writer{words: catalogues[o.Language], zone: o.Zone},
		metrics:  newMetrics(o.Metrics, audience.waiting),
	}, nil
}

// Offer shows the events of a batch that was committed, in their order. It never blocks and may be called by several
// sources at once. The feed keeps the events' bytes for a while: they mustn't be changed.
func (f *Feed) Offer(events []event.Raw) { f.intake.offer(events) }

// Judge has what was found wrong written into the messages of the transactions that it is about, whether they were shown
// already or will be within a while.
func (f *Feed) Judge(findings []Finding) { f.board.find(findings) }

// Run shows what is offered until ctx is done, and returns its error.
func (f *Feed) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.assemble(ctx) })
	group.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case v := <-f.audience.joined:
				group.Go(func() error { return f.tell(ctx, v) })
				group.Go(func() error { return f.amend(ctx, v) })
			}
		}
	})
	err := group.Wait()
	f.abandon(time.Now())
	return err
}

// assemble makes transactions of events.
func (f *Feed) assemble(ctx context.Context) error {
	a := newAssembler(f.options.Normalizer, f.audience, f.options.Hidden, f.options.Linger, f.options.Log, deliver)
	if err := f.awaitHidden(ctx); err != nil {
		f.takeLast(ctx, a)
		return err
	}
	timer := time.NewTimer(f.options.Linger)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			f.takeLast(ctx, a)
			return ctx.Err()
		case <-f.intake.some:
		case <-timer.C:
		}
		f.take(ctx, a)
		if wait := a.completeQuiet(time.Now()); wait > 0 {
			timer.Reset(wait)
		}
	}
}

// take reads what was offered.
func (f *Feed) take(ctx context.Context, a *assembler) {
	events, lost := f.intake.take()
	a.begin(len(events))
	for i := range events {
		a.take(ctx, &events[i])
	}
	if len(lost) > 0 {
		a.completeAll() // what is open may be lacking its end
		f.lose(lost)
	}
}

// takeLast counts what nobody will be shown any more.
func (f *Feed) takeLast(ctx context.Context, a *assembler) {
	f.take(context.WithoutCancel(ctx), a)
	a.completeAll()
}

// deliver hands a transaction to those who are shown it.
func deliver(t *transaction) {
	for _, v := range t.to {
		v.backlog.add(t, !t.bare || slices.Contains(t.wanted, v))
	}
}

// lose tells everybody of what nobody can be shown.
func (f *Feed) lose(lost map[string]*loss) {
	for _, v := range f.audience.list() {
		v.backlog.lose(lost)
	}
	f.count(lost)
}

func (f *Feed) count(lost map[string]*loss) {
	for source, l := range lost {
		f.metrics.dropped.Add(float64(l.transactions))
		f.options.Log.Warn("feed can't keep up: changes are told as a number only", "source", source, "changes", l.changes)
	}
}
