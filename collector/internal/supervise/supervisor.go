package supervise

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"datawatch/collector/internal/source"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/control"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// Feed is shown what was committed. Offer must not block.
type Feed interface {
	Offer(events []event.Raw)
}

// Unit is one thing that one collector at a time is to do: to run a source, or a shard of one, or what Do says.
type Unit struct {
	Name string
	// Shards is into how many units a source that can be split is split, of which this one is number Shard, from 0. A source
	// that can't be split has none.
	Shard, Shards int
	// New makes the source for one run.
	New func(reporter source.Reporter) source.Source
	// Feed is nil where the source's events aren't shown.
	Feed Feed
	// Do is what is to be done where the unit is no source. It may be called again after it returned; Name is its part's
	// in /readyz, which Do tells how it fares.
	Do func(ctx context.Context) error
	// Config is what New and Do go by: a unit whose Config differs after Change is run anew.
	Config any
}

func (u Unit) seat() seat {
	if u.Do != nil {
		return seat{Of: u.Name, Shards: 1}
	}
	return seat{Of: "source " + u.Name, Shard: u.Shard, Shards: max(u.Shards, 1)}
}

// label names the unit for people.
func (u Unit) label() string {
	if u.Shards > 1 {
		return u.Name + "/" + strconv.Itoa(u.Shard)
	}
	return u.Name
}

func (u Unit) part() string {
	if u.Do != nil {
		return u.Name
	}
	return "source " + u.label()
}

// Watcher is told in which state each source is. It must not block.
type Watcher interface {
	State(source string, state source.State, why, do reason.Text)
	// Gone says that another collector runs the source.
	Gone(source string)
	// Removed says that the configuration has no such source any more; one that is split anew has other names.
	Removed(source string, split bool)
}

// Options are what a Supervisor works with.
type Options struct {
	Broker config.Broker
	Units  []Unit
	// Mask hides what nobody may see, before anything leaves the collector; nil hides nothing.
	Mask Masker
	// Watch may be nil.
	Watch   Watcher
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Health  *daemon.Health
}

// Supervisor runs the units that are its own.
type Supervisor struct {
	Options
	metrics *metrics
	holder  string // this collector's name in signs of life
	times   times
	again   chan struct{} // has the group put in order

	mu       sync.Mutex
	since    time.Time // when the units became what they are
	units    []Unit
	assigned []seat
	lost     reason.Text   // why nothing is assigned; says nothing where the group says what is
	round    chan struct{} // closed when the group has been put in order
	running  map[seat]*work
	unplaced map[seat]bool // units that the group has yet to place, and whether its members have been told of them
	stopped  sync.WaitGroup
	ctx      context.Context // of Run; nil before it
}

// work is a unit at work.
type work struct {
	unit   Unit
	cancel context.CancelFunc
}

// times are the spans that tests shorten.
type times struct {
	firstPause, longPause time.Duration // between runs of a source that fails
	beat                  time.Duration // between signs of life
	ask                   time.Duration // between looks at what people ask for
}

// New prepares the units; until Run is called they are not ready.
func New(o Options) *Supervisor {
	for _, u := range o.Units {
		o.Health.Set(u.part(), daemon.NotReady, reason.WaitsForBroker.With())
	}
	return &Supervisor{
		Options: o,
		metrics: newMetrics(o.Metrics),
		holder:  uuid.NewString(),
		times:   times{firstPause: 500 * time.Millisecond, longPause: 30 * time.Second, beat: 3 * time.Second, ask: askEvery},
		again:   make(chan struct{}, 1),
		since:   time.Now(),
		units:   o.Units,
		lost:    reason.WaitsForBroker.With(),
		round:   make(chan struct{}),
		running: map[seat]*work{}, unplaced: map[seat]bool{},
	}
}

// drainTimeout is how long a stop waits for units before it leaves the group; they are fenced if they take longer.
const drainTimeout = 8 * time.Second

// Run runs what the group of collectors assigns to this one until ctx is done, and returns its error.
func (s *Supervisor) Run(ctx context.Context) error {
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	membership, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	member := broker.Member{
		Broker: s.Broker, Name: "datawatch-collector", Group: Group(s.Broker.TopicPrefix), Log: s.Log, Again: s.again,
		Describe: s.describe, Share: shareEncoded, Assigned: s.assign, Lost: s.lose,
	}
	var group errgroup.Group
	group.Go(func() error { return member.Run(membership) })
	<-ctx.Done()
	s.lose(ctx.Err()) // whoever stops lets go of its units before it leaves
	drained := make(chan struct{})
	go func() { s.stopped.Wait(); close(drained) }()
	select {
	case <-drained:
	case <-time.After(drainTimeout):
	}
	leave()
	_ = group.Wait() // it ends with its context
	<-drained
	return ctx.Err()
}

// Group is the consumer group in which collectors share their work.
func Group(prefix string) string { return prefix + "-collector" }

// Change replaces the units: what is as before goes on undisturbed.
func (s *Supervisor) Change(units []Unit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.units
	s.units, s.since = units, time.Now()
	maps.DeleteFunc(s.unplaced, func(at seat, _ bool) bool { return !seated(units, at) })
	for _, u := range units {
		if !seated(before, u.seat()) {
			s.unplaced[u.seat()] = false
		}
	}
	for _, old := range before {
		s.dismiss(old)
	}
	s.reconcile()
	s.reorder()
}

// seated tells whether one of the units has a seat.
func seated(units []Unit, at seat) bool {
	return slices.ContainsFunc(units, func(u Unit) bool { return u.seat() == at })
}

// dismiss lets go of what was told of a unit, where it is one no more; the caller holds mu.
func (s *Supervisor) dismiss(old Unit) {
	if slices.ContainsFunc(s.units, func(u Unit) bool { return u.part() == old.part() }) {
		return
	}
	s.Health.Forget(old.part())
	if old.Do != nil {
		return
	}
	s.metrics.forget(old.label())
	if s.Watch != nil {
		s.Watch.Removed(old.label(), slices.ContainsFunc(s.units, func(u Unit) bool { return u.Do == nil && u.Name == old.Name }))
	}
}

// reorder has the group put in order once more.
func (s *Supervisor) reorder() {
	select {
	case s.again <- struct{}{}:
	default:
	}
}

// describe is this collector's card.
func (s *Supervisor) describe() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := card{Version: cardVersion, Since: s.since.UnixMilli(), Wants: []seat{}, Holds: []seat{}}
	for _, u := range s.units {
		c.Wants = append(c.Wants, u.seat())
	}
	for at := range s.unplaced {
		s.unplaced[at] = true
	}
	for at := range s.running {
		c.Holds = append(c.Holds, at)
	}
	return encode(c)
}

// assign takes over what the group decided.
func (s *Supervisor) assign(text []byte) {
	var seats []seat
	if err := json.Unmarshal(text, &seats); err != nil && len(text) > 0 {
		s.Log.Error("the group of collectors speaks another language: another version runs beside this one", "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.assigned, s.lost = seats, reason.Text{}
	maps.DeleteFunc(s.unplaced, func(_ seat, told bool) bool { return told })
	close(s.round)
	s.round = make(chan struct{})
	s.Log.Debug("assigned", "seats", seats)
	s.reconcile()
}

// lose lets go of everything: others may have it by now.
func (s *Supervisor) lose(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.assigned, s.lost = nil, reason.MembershipEnded.With()
	if err != nil {
		s.lost = reason.LostPlace.With().Quoting(err)
	}
	if s.ctx.Err() == nil {
		s.Log.Warn("nothing is run here until the broker is heard again", "reason", s.lost)
	}
	s.reconcile()
}

// reconcile starts and stops what has to be; the caller holds mu.
func (s *Supervisor) reconcile() {
	if s.ctx == nil {
		return
	}
	mine := map[seat]bool{}
	for _, u := range s.units {
		at := u.seat()
		w := s.running[at]
		mine[at] = slices.Contains(s.assigned, at) && s.ctx.Err() == nil
		switch {
		case mine[at] && w == nil:
			s.start(u)
		case w != nil && (!mine[at] || !reflect.DeepEqual(w.unit.Config, u.Config)):
			w.cancel()
		case w == nil:
			s.standBy(u)
		}
	}
	for at, w := range s.running {
		if _, known := mine[at]; !known {
			w.cancel()
		}
	}
}

// start runs a unit; the caller holds mu.
func (s *Supervisor) start(u Unit) {
	ctx, cancel := context.WithCancel(s.ctx)
	w := &work{u, cancel}
	s.running[u.seat()] = w
	r := newRunner(s, u)
	s.stopped.Go(func() {
		defer cancel()
		r.run(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.running, u.seat())
		s.dismiss(u) // it may have told something of itself meanwhile
		s.reconcile()
		s.reorder() // somebody may be waiting for it
	})
}

// standBy tells of a unit that isn't run here.
func (s *Supervisor) standBy(u Unit) {
	_, unplaced := s.unplaced[u.seat()]
	switch {
	case !s.lost.IsZero():
		s.Health.Set(u.part(), daemon.NotReady, s.lost)
	case unplaced:
		s.Health.Set(u.part(), daemon.NotReady, reason.WaitsForBroker.With())
	default:
		s.Health.Set(u.part(), daemon.Ready, reason.Standby.With())
	}
	if u.Do == nil {
		s.metrics.setState(u.label(), source.Standby)
		s.metrics.hide(u.label())
		if s.Watch != nil && s.lost.IsZero() { // else nobody may run it
			s.Watch.Gone(u.label())
		}
	}
}

// settle waits until the group has been put in order once more.
func (s *Supervisor) settle(ctx context.Context) error {
	s.mu.Lock()
	round := s.round
	s.mu.Unlock()
	s.reorder()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-round:
		return nil
	}
}

// Sources are how the sources fare that this collector runs, by name.
func (s *Supervisor) Sources() []control.Source {
	s.metrics.lags.mu.Lock()
	defer s.metrics.lags.mu.Unlock()
	var all []control.Source
	for _, name := range slices.Sorted(maps.Keys(s.metrics.lags.fares)) {
		all = append(all, s.metrics.lags.fares[name]())
	}
	return all
}
