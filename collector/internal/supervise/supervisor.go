package supervise

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"datawatch/collector/internal/source"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
)

// Feed is shown what was committed. Offer must not block.
type Feed interface {
	Offer(events []event.Raw)
}

// Unit is one source to run.
type Unit struct {
	Name string
	// New makes the source for one run.
	New func(reporter source.Reporter) source.Source
	// Feed is nil where the source's events aren't shown.
	Feed Feed
}

// Options are what a Supervisor works with.
type Options struct {
	Broker config.Broker
	Units  []Unit
	// Mask hides what nobody may see, before anything leaves the collector; nil hides nothing.
	Mask    Masker
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Health  *daemon.Health
}

// Supervisor runs units.
type Supervisor struct {
	Options
	metrics *metrics
	holder  string // this collector's name in signs of life
	times   times
}

// times are the spans that tests shorten.
type times struct {
	firstPause, longPause time.Duration // between runs of a source that fails
	beat                  time.Duration // between signs of life
	watch                 time.Duration // between looks at another's
	takeover              time.Duration // how long another's may be silent
	ask                   time.Duration // between looks at what people ask for
}

// New prepares the units; until Run is called they are not ready.
func New(o Options) *Supervisor {
	for _, u := range o.Units {
		o.Health.Set("source "+u.Name, daemon.NotReady, "waits for the broker")
	}
	return &Supervisor{
		Options: o,
		metrics: newMetrics(o.Metrics),
		holder:  uuid.NewString(),
		times:   times{firstPause: 500 * time.Millisecond, longPause: 30 * time.Second, beat: 3 * time.Second, watch: 2 * time.Second, takeover: 12 * time.Second, ask: askEvery},
	}
}

// Run runs every unit until ctx is done, and returns its error.
func (s *Supervisor) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, u := range s.Units {
		group.Go(func() error { return newRunner(s, u).run(ctx) })
	}
	group.Go(func() error { <-ctx.Done(); return ctx.Err() }) // without units too, it runs until it is stopped
	return group.Wait()
}
