package supervise

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/broker"
)

// runner runs one unit, session after session.
type runner struct {
	*Supervisor
	unit   Unit
	report *reporter
	log    *slog.Logger
}

func newRunner(s *Supervisor, u Unit) *runner {
	r := &runner{Supervisor: s, unit: u, log: s.Log.With("source", u.Name)}
	r.report = newReporter(u.Name, s.metrics, s.Health, r.log)
	return r
}

func (r *runner) run(ctx context.Context) error {
	wait := r.times.firstPause
	for {
		committed, err := r.session(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, broker.ErrFenced) {
			if err := r.standBy(ctx); err != nil {
				return err
			}
			wait = r.times.firstPause
			continue
		}
		if committed {
			wait = r.times.firstPause
		}
		r.report.State(source.Failed, err.Error())
		r.log.Error("source failed; it is run again", "error", err, "pause", wait)
		if err := pause(ctx, wait/2+rand.N(wait)); err != nil {
			return err
		}
		wait = min(2*wait, r.times.longPause)
	}
}

// standBy returns when nobody else runs the source any more.
func (r *runner) standBy(ctx context.Context) error {
	r.report.State(source.Standby, "another collector runs this source; this one takes over when that one stops or is silent for "+r.times.takeover.String())
	r.log.Warn("another collector took the source over; standing by", "takeover", r.times.takeover)
	w := watcher{runner: r}
	defer w.close()
	for {
		if err := pause(ctx, r.times.watch); err != nil {
			return err
		}
		ended, err := w.look(ctx, time.Now())
		if err != nil {
			r.log.Debug("look at the other collector's sign of life", "error", err)
		}
		if ended {
			r.log.Warn("the other collector runs the source no more; taking over")
			return nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
