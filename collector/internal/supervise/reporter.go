package supervise

import (
	"log/slog"
	"os"
	"sync"
	"time"

	"datawatch/collector/internal/remote"
	"datawatch/collector/internal/source"
	"datawatch/pkg/control"
	"datawatch/pkg/daemon"
	"datawatch/pkg/reason"
)

// reporter turns what a source tells into metrics and health.
type reporter struct {
	name    string
	metrics *metrics
	health  *daemon.Health
	watch   Watcher // may be nil
	log     *slog.Logger

	mu      sync.Mutex
	state   source.State
	reason  string // in English
	why     reason.Text
	changed time.Time // when state became what it is
	lag     float64
	backlog *int64 // nil where the source tells none
	window  *control.Window
	since   time.Time // when the emit that is under way began
}

var (
	_ source.Reporter       = (*reporter)(nil)
	_ source.WindowReporter = (*reporter)(nil)
)

func newReporter(name string, m *metrics, health *daemon.Health, watch Watcher, log *slog.Logger) *reporter {
	r := &reporter{name: name, metrics: m, health: health, watch: watch, log: log}
	m.showLag(name, r.lagKnown, r.fares)
	return r
}

// State implements source.Reporter.
func (r *reporter) State(state source.State, why reason.Text) {
	r.tell(state, why.String(), why, reason.Text{})
}

// fail tells that the source's run has ended with an error, which may know its remedy.
func (r *reporter) fail(err error) {
	why, do := reason.Of(err)
	r.tell(source.Failed, err.Error(), why, do)
}

// tell tells a state; said is why in English, with all that an error has to say.
func (r *reporter) tell(state source.State, said string, why, do reason.Text) {
	r.mu.Lock()
	changed := state != r.state
	if changed {
		r.changed = time.Now()
	}
	r.state, r.reason, r.why = state, said, why
	r.mu.Unlock()
	r.metrics.setState(r.name, state)
	if r.watch != nil {
		r.watch.State(r.name, state, why, do)
	}
	status, verdict := r.verdict(state, said)
	if !do.IsZero() {
		verdict += " (" + do.String() + ")"
	}
	r.health.Set("source "+r.name, status, reason.Quote(verdict))
	if changed && state != source.Failed { // whoever finds a failure logs it
		r.log.Info("source", "state", state, "reason", said)
	}
}

func (r *reporter) verdict(state source.State, reason string) (daemon.Status, string) {
	said := string(state)
	if reason != "" {
		said += ": " + reason
	}
	switch state {
	case source.Streaming, source.Snapshot:
		return daemon.Ready, reason
	case source.Stalled:
		return daemon.Degraded, said
	default:
		return daemon.NotReady, said
	}
}

// Lag implements source.Reporter.
func (r *reporter) Lag(seconds float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lag = seconds
}

// Gap implements source.Reporter.
func (r *reporter) Gap(cause string) { r.metrics.gaps.WithLabelValues(r.name, cause).Inc() }

// Backlog implements source.Reporter.
func (r *reporter) Backlog(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.backlog = &bytes
}

// Window implements source.WindowReporter.
func (r *reporter) Window(w control.Window) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.window = &w
}

// fares is what a sign of life tells of the source.
func (r *reporter) fares() control.Source {
	s := control.Source{Name: r.name, LagSeconds: r.lagNow()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.backlog != nil {
		s.Backlog = *r.backlog
	}
	s.Window = r.window
	return s
}

// changedAfter tells whether the state changed since then.
func (r *reporter) changedAfter(t time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed.After(t)
}

// status is what the state topic is told.
func (r *reporter) status(now time.Time) remote.Status {
	lag := r.lagNow()
	r.mu.Lock()
	defer r.mu.Unlock()
	return remote.Status{
		State: r.state, Reason: r.reason, Why: r.why.Pointer(), Since: r.changed.UTC(), Host: host(), At: now.UTC(), LagSeconds: lag, BacklogBytes: r.backlog,
	}
}

// host is this machine's name, for people; "" where it has none.
func host() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// emitting tells that a batch is being committed, during which the source itself can't tell its lag.
func (r *reporter) emitting(is bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since = time.Time{}
	if is {
		r.since = time.Now()
	}
}

// lagNow is the lag at this moment: while a batch waits for the broker, it grows.
func (r *reporter) lagNow() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since.IsZero() {
		return r.lag
	}
	return r.lag + time.Since(r.since).Seconds()
}

// lagKnown is the lag at this moment, and whether it tells anything: of a source that isn't read nobody knows it.
func (r *reporter) lagKnown() (lag float64, known bool) {
	lag = r.lagNow()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.state {
	case source.Streaming, source.Snapshot, source.Stalled:
		return lag, true
	default:
		return 0, false
	}
}
