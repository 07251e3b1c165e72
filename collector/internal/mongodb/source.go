package mongodb

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// Options are what a Source works with.
type Options struct {
	Name   string
	Config Config
	// MaxRecordBytes is the size of the largest record that the broker takes; 0 is 8 MiB.
	MaxRecordBytes int64

	Reporter source.Reporter
	Log      *slog.Logger
}

// Source follows one deployment.
type Source struct {
	name      string
	config    Config
	maxRecord int64
	report    source.Reporter
	log       *slog.Logger
	selection selection
	now       func() time.Time
	limits    limits
	requests  <-chan source.SnapshotRequest // nil where nobody asks
}

// limits bound what is held, and how often an idle stream's token is committed.
type limits struct {
	events, bytes int // of a batch that is emitted
	received      int32
	await, idle   time.Duration
	chunk         int64 // documents of a renamed collection
}

var defaultLimits = limits{
	events: 5_000, bytes: 4 << 20, received: 2_000, await: 500 * time.Millisecond, idle: 10 * time.Second, chunk: 1_000,
}

var _ source.Source = (*Source)(nil)

// New makes the source; it connects when it is run.
func New(o Options) *Source {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Source{
		name: o.Name, config: o.Config, maxRecord: o.MaxRecordBytes, report: o.Reporter, log: o.Log.With("source", o.Name),
		selection: newSelection(o.Config), now: time.Now, limits: defaultLimits,
	}
}

// Run implements source.Source. Where the stream begins is committed before it is opened.
func (s *Source) Run(ctx context.Context, committed source.Progress, emit source.Emit) error {
	s.report.State(source.Connecting, reason.Text{})
	err := s.run(ctx, committed, emit)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (s *Source) run(ctx context.Context, committed source.Progress, emit source.Emit) error {
	from, err := parseProgress(committed)
	if err != nil {
		return err
	}
	client, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer disconnect(ctx, client)
	d, err := ask(ctx, client)
	if err == nil {
		err = d.usable()
	}
	if err != nil {
		return err
	}
	r := &reader{Source: s, client: client, deployment: d, emit: emit, known: map[namespace]bool{}}
	if r.snapshots, err = s.newTracker(committed); err != nil {
		return err
	}
	if err := r.survey(ctx); err != nil {
		return err
	}
	if err := r.settleOn(ctx, d, from); err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	defer watcher.Wait()
	defer stop()
	watcher.Go(func() { r.watchWindow(watching) })
	return r.run(ctx)
}

// settleOn has the reader go on from progress, or begin where there is none, or where it is of another deployment.
func (r *reader) settleOn(ctx context.Context, d deployment, from *progress) error {
	if from == nil {
		return r.commit(ctx, r.begin(d), nil, nil)
	}
	r.p = *from
	gap, because := r.recognize(ctx, d)
	if gap != "" {
		for _, w := range r.p.Witnesses { // they were captured, and may not be there any more
			r.known[w.namespace()] = true
		}
		return r.lose(ctx, gap, because)
	}
	if because == nil {
		r.identify(&r.p, d)
	}
	return because
}

// stream is the stream of a collection.
func (s *Source) stream(n namespace) event.Stream {
	return event.StreamOf(s.name, event.CollectionEntity(n.database, n.collection))
}

// watch opens the change stream where progress says, with further stages.
func (s *Source) watch(ctx context.Context, client *mongo.Client, d deployment, p progress, stages ...bson.D) (*mongo.ChangeStream, error) {
	o := options.ChangeStream().SetFullDocument(options.UpdateLookup).SetMaxAwaitTime(s.limits.await).SetBatchSize(s.limits.received)
	if d.atLeast(6, 0) {
		o.SetFullDocumentBeforeChange(options.WhenAvailable)
	}
	if p.Token != nil {
		o.SetStartAfter(bson.Raw(p.Token)) // unlike resumeAfter, it also takes the token of an invalidate
	} else {
		o.SetStartAtOperationTime(p.Start.next())
	}
	pipeline := mongo.Pipeline(stages)
	if !s.selection.everything() {
		pipeline = append(pipeline, s.selection.filter())
	}
	if d.splits() {
		pipeline = append(pipeline, bson.D{{Key: "$changeStreamSplitLargeEvent", Value: bson.D{}}})
	}
	if database := s.selection.database(); database != "" {
		return client.Database(database).Watch(ctx, pipeline, o)
	}
	return client.Watch(ctx, pipeline, o)
}
