package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/broker"
	"datawatch/pkg/reason"
)

// runner runs one unit, session after session.
type runner struct {
	*Supervisor
	unit   Unit
	report *reporter
	log    *slog.Logger
}

func newRunner(s *Supervisor, u Unit) *runner {
	if u.Do != nil {
		return &runner{Supervisor: s, unit: u, log: s.Log.With("part", u.Name)}
	}
	r := &runner{Supervisor: s, unit: u, log: s.Log.With("source", u.label())}
	r.report = newReporter(u.label(), s.metrics, s.Health, s.Watch, r.log)
	return r
}

// run ends with ctx only.
func (r *runner) run(ctx context.Context) {
	wait := r.times.firstPause
	for {
		committed, err := r.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if committed {
			wait = r.times.firstPause
		}
		if r.report != nil && errors.Is(err, broker.ErrFenced) {
			// Another collector runs it, as one does when this one was paused; or the broker gave up a transaction that took
			// too long. The group knows: if it is another's, ctx ends.
			r.report.State(source.Connecting, reason.Fenced.With())
			r.log.Warn("the writer was fenced; the group of collectors is asked whose the source is")
			if r.settle(ctx) != nil {
				return
			}
		} else {
			r.failed(err, wait)
		}
		if pause(ctx, wait/2+rand.N(wait)) != nil {
			return
		}
		wait = min(2*wait, r.times.longPause)
	}
}

// once runs the unit until it fails; committed tells whether it got anywhere.
func (r *runner) once(ctx context.Context) (committed bool, err error) {
	if r.unit.Do == nil {
		return r.session(ctx)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return false, r.unit.Do(ctx)
}

func (r *runner) failed(err error, wait time.Duration) {
	if r.report == nil {
		r.log.Error("it failed, and is begun again", "error", err, "pause", wait)
		return
	}
	r.report.fail(err)
	log := r.log
	if _, do := reason.Of(err); !do.IsZero() {
		log = log.With("remedy", do)
	}
	log.Error("source failed; it is run again", "error", err, "pause", wait)
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
