package postgres

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"datawatch/collector/internal/source"
	"datawatch/pkg/config"
	"datawatch/pkg/reason"
)

// Options are what a source works with besides its configuration. The zero value of each is usable.
type Options struct {
	// MaxRecordBytes is the size of the largest record that the broker takes.
	MaxRecordBytes int64
	Log            *slog.Logger
	Metrics        prometheus.Registerer
	Reporter       source.Reporter
	// Mask: what is to be dropped never enters the outbox. Hashes and the like are the work of whoever takes the events.
	Mask []config.Mask
}

// Source captures one database.
type Source struct {
	name    string
	config  Config
	options Options
	log     *slog.Logger
	report  source.Reporter
	metrics *metrics
	now     func() time.Time
	limits  limits
	// unfollowed: no event trigger is made, as where the installer may have none.
	unfollowed bool

	requests <-chan source.SnapshotRequest // nil where nobody asks
	told     chan told                     // the latest progress that was committed; one place
	readTo   atomic.Int64                  // about the number of the last statement that was read and committed
	wanting  atomic.Bool                   // the outbox waits for progress, be it without events
	logged   map[string]bool               // gaps; the reader's
	looked   time.Time                     // when nothing was missing, by the database's clock; maintain's
	hindered int                           // how often in a row a chunk couldn't be read; whoever reads it counts
	settled  settled                       // maintain's
	refused  atomic.Pointer[uncaptured]    // what can't be captured, as the last installation found; nil before
	barred   error                         // why it couldn't be tried to install on any table; maintain's
}

var _ source.Source = (*Source)(nil)

const defaultMaxRecordBytes = 8 << 20

// New is the source of that name. Nothing is connected yet.
func New(name string, c Config, o Options) *Source {
	if o.MaxRecordBytes <= 0 {
		o.MaxRecordBytes = defaultMaxRecordBytes
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Reporter == nil {
		o.Reporter = silent{}
	}
	return &Source{
		name: name, config: c, options: o, log: o.Log.With("source", name), report: o.Reporter,
		metrics: newMetrics(o.Metrics, name), now: time.Now, limits: defaultLimits, told: make(chan told, 1),
	}
}

// Run captures until ctx is done: it installs what is missing (unless manage_triggers is off), reads, and in a second
// session follows new and altered tables and reclaims what was committed.
func (s *Source) Run(ctx context.Context, committed source.Progress, emit source.Emit) error {
	s.report.State(source.Connecting, reason.Text{})
	defer func(ctx context.Context) {
		if ctx.Err() != nil { // else it is run again
			s.metrics.forget()
		}
	}(ctx)
	from, err := parseProgress(committed)
	if err != nil {
		return err
	}
	begun, err := s.begunStreams(from, committed)
	if err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	db, err := s.connectReader(ctx)
	if err != nil {
		return err
	}
	defer closeConn(ctx, db)
	r, err := s.newReader(ctx, db, from, begun, emit)
	if err != nil {
		return err
	}
	if r.snapshots, err = s.newTracker(committed); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.run(ctx) })
	g.Go(func() error { return s.maintain(ctx) })
	err = g.Wait()
	if err == nil {
		err = errors.New("the source stopped")
	}
	return err
}

// installTries are made at the start; tables that long transactions keep are left to reconcile.
const installTries = 3

// prepare installs, and says what is missing.
func (s *Source) prepare(ctx context.Context) error {
	if s.config.ManageTriggers {
		err := s.install(ctx, installTries)
		if ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if errors.Is(err, errNoPlaces) || errors.Is(err, ErrStandby) {
			return err
		}
		if err != nil {
			s.log.Warn("not everything could be installed", "error", message(err))
		}
	}
	status, err := s.Status(ctx)
	if err != nil {
		return err
	}
	if err := (installed{version: status.Version, missing: status.Missing, empty: status.Empty}).readable(); err != nil {
		return err
	}
	if status.Version == 0 {
		return reason.New(reason.NotInstalled.With(s.name))
	}
	if status.Off != nil {
		s.log.Warn("capture is switched off in the database: select datawatch.on() switches it on", "since", *status.Off)
	}
	for _, g := range status.Idle {
		s.log.Warn("a pattern of tables selects none", "pattern", g)
	}
	for _, t := range status.Tables {
		if !t.Complete() {
			s.log.Warn("a table isn't captured as configured", "table", t.Table, "missing", t.Missing, "disabled", t.Disabled, "outdated", t.Outdated)
		}
	}
	return nil
}

// silent is a reporter that nobody listens to.
type silent struct{}

func (silent) State(source.State, reason.Text) {}
func (silent) Lag(float64)                     {}
func (silent) Backlog(int64)                   {}
func (silent) Gap(string)                      {}
