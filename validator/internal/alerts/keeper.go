package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts/life"
	"datawatch/validator/internal/schemas"
)

// Messenger is what the keeper needs of a Telegram client.
type Messenger interface {
	Send(ctx context.Context, to telegram.Chat, m telegram.Message, p telegram.Priority) (telegram.Ref, error)
	Edit(ctx context.Context, ref telegram.Ref, m telegram.Message, p telegram.Priority) error
	SendDocument(ctx context.Context, chat telegram.Chat, d telegram.Document, p telegram.Priority) (telegram.Ref, error)
	Poll(ctx context.Context, h telegram.Handlers) error
}

// Options are what a keeper works with.
type Options struct {
	Broker    config.Broker
	Telegram  config.Telegram // routes, language, zone
	Messenger Messenger
	// Failures are the schema files that can't be loaded now. May be nil.
	Failures func() []schemas.Failure
	// Remarks are about files that are right in themselves, but can't do what their authors meant. May be nil.
	Remarks func() []schemas.Remark
	Log     *slog.Logger
	Metrics prometheus.Registerer
	// Failed is told of what ends a session, and of nil when work goes on; default: nobody is.
	Failed func(error)
	// Loaded tells since when the schema file that judges a stream is in force, and which version it is. May be nil.
	Loaded func(event.Stream) (sha256 string, at time.Time)
	// Times are the lengths by which alerts live; default life.DefaultTimes.
	Times life.Times
	// EditEvery is how often a message is edited at most; default 30 s.
	EditEvery time.Duration
	// LookEvery is how often wrong rows and schema files are looked at; default 1 s.
	LookEvery time.Duration
	// SilentAfter is how long a service may give no sign of life; default 2 minutes.
	SilentAfter time.Duration
	// MaxGroups bounds the memory: what is beyond is counted in a group of its own. Default 10,000.
	MaxGroups int
	// Now is the clock; default time.Now.
	Now func() time.Time
}

func (o *Options) setDefaults() {
	if o.EditEvery == 0 {
		o.EditEvery = 30 * time.Second
	}
	if o.LookEvery == 0 {
		o.LookEvery = time.Second
	}
	if o.SilentAfter == 0 {
		o.SilentAfter = 2 * time.Minute
	}
	if o.MaxGroups == 0 {
		o.MaxGroups = 10_000
	}
	if o.Times == (life.Times{}) {
		o.Times = life.DefaultTimes()
	}
	if o.Loaded == nil {
		o.Loaded = func(event.Stream) (string, time.Time) { return "", time.Time{} }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	if o.Failures == nil {
		o.Failures = func() []schemas.Failure { return nil }
	}
	if o.Remarks == nil {
		o.Remarks = func() []schemas.Remark { return nil }
	}
}

// othersID is the fingerprint of the group of what is beyond Options.MaxGroups.
const othersID = "others"

// lately is how long a schema file counts as changed, and who writes to a stream as new there: groups that are born then
// may be their doing.
const lately = 10 * time.Minute

// Keeper keeps the groups while it holds the partitions of violations.
type Keeper struct {
	options Options
	topics  broker.Topics
	metrics *metrics
	scanner *broker.Scanner
	writers *writers

	pending map[string]*Group // of the batch that is being committed
	dropped []string          // with it
	wake    chan struct{}     // says that there are groups to be dropped
	sending sync.WaitGroup    // the session's sender

	mu      sync.Mutex
	groups  map[string]*Group // as committed; a Group in it is never altered
	retired map[string]bool   // nobody need know of them any more
	changed chan struct{}     // says that groups differ from before
}

// New makes a keeper. It connects when it runs.
func New(o Options) *Keeper {
	o.setDefaults()
	k := &Keeper{options: o, topics: broker.TopicsOf(o.Broker.TopicPrefix), groups: map[string]*Group{}, changed: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	k.metrics = newMetrics(o.Metrics)
	return k
}

// Run keeps, or stands by, until ctx is done, and returns its error.
func (k *Keeper) Run(ctx context.Context) error {
	scanner, err := broker.NewScanner(k.options.Broker, "datawatch-alerts")
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }()
	defer k.sending.Wait()
	k.scanner, k.writers = scanner, newWriters(scanner, k.options.Log)
	return broker.Stage{
		Broker: k.options.Broker, Name: "datawatch-alerts", Group: k.options.Broker.TopicPrefix + "-alerts", Topic: k.topics.Violations,
		Process: k.process, Assigned: k.assigned, Committed: k.committed, Failed: k.options.Failed, OneMember: true, Wake: k.wake, Log: k.options.Log,
	}.Run(ctx)
}

// assigned takes over: what is committed is read, and a sender works as long as the session lasts.
func (k *Keeper) assigned(ctx context.Context, partitions []int32) error {
	k.sending.Wait()
	k.metrics.open.set(nil)
	k.replace(map[string]*Group{})
	if len(partitions) == 0 { // another one keeps
		k.options.Failed(nil)
		return nil
	}
	state, err := k.scanner.State(ctx, k.topics.State, groupPrefix)
	if err != nil {
		return err
	}
	groups, err := readGroups(state)
	if err != nil {
		return err
	}
	k.replace(groups)
	k.options.Log.Info("keeping alerts", "groups", len(groups))
	k.sending.Go(func() { k.send(ctx) })
	k.options.Failed(nil)
	return nil
}

func (k *Keeper) replace(groups map[string]*Group) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.groups, k.retired = groups, map[string]bool{}
}

// retire has a group's state dropped, unless it is counted again first.
func (k *Keeper) retire(id string) {
	k.mu.Lock()
	k.retired[id] = true
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// drop takes the groups that are to be dropped, but for those that the batch has counted.
func (k *Keeper) drop() []broker.Record {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []broker.Record
	k.dropped = nil
	for id := range k.retired {
		if k.pending[id] == nil && k.groups[id] != nil {
			k.dropped = append(k.dropped, id)
			out = append(out, broker.Record{Topic: k.topics.State, Key: []byte(groupPrefix + id)})
		}
	}
	clear(k.retired)
	return out
}

// snapshot are the groups as committed. They are not to be altered.
func (k *Keeper) snapshot() []*Group {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Collect(maps.Values(k.groups))
}

// process counts a batch of violations and gives the state of the groups that it has changed.
func (k *Keeper) process(ctx context.Context, batch []broker.Record) ([]broker.Record, error) {
	k.pending = map[string]*Group{}
	for i := range batch {
		var v event.Violation
		if err := json.Unmarshal(batch[i].Value, &v); err != nil || v.Version != 1 {
			k.metrics.unreadable.Inc()
			k.options.Log.Error("a violation can't be read, and isn't counted", "partition", batch[i].Partition, "offset", batch[i].Offset, "version", v.Version, "error", err)
			continue
		}
		k.count(ctx, &v, &batch[i])
	}
	out := make([]broker.Record, 0, len(k.pending))
	for _, id := range slices.Sorted(maps.Keys(k.pending)) {
		value, err := json.Marshal(k.pending[id])
		if err != nil {
			return nil, fmt.Errorf("write state of alert %s: %w", id, err)
		}
		out = append(out, broker.Record{Topic: k.topics.State, Key: []byte(groupPrefix + id), Value: value})
	}
	return append(out, k.drop()...), nil
}

// count adds an event to each group that one of its errors belongs to.
func (k *Keeper) count(ctx context.Context, v *event.Violation, r *broker.Record) {
	at, err := time.Parse(time.RFC3339Nano, v.EventTime)
	if err != nil {
		at = r.Timestamp
	}
	found, err := time.Parse(time.RFC3339Nano, v.DetectedAt)
	if err != nil {
		found = r.Timestamp
	}
	counted := map[string]bool{}
	for i := range v.Errors {
		e := &v.Errors[i]
		g := k.group(ctx, v, e, at, found)
		if !counted[g.Fingerprint] {
			counted[g.Fingerprint] = true
			g.add(v, e, r.Key, at, found)
		}
	}
}

// group is the error's group, ready to be added to.
func (k *Keeper) group(ctx context.Context, v *event.Violation, e *event.ViolationError, at, found time.Time) *Group {
	id := e.Fingerprint
	k.mu.Lock() // for this goroutine is the only one that writes
	g, groups := k.groups[id], len(k.groups)
	others := k.groups[othersID]
	k.mu.Unlock()
	if k.pending[id] == nil && g == nil && groups+len(k.pending) >= k.options.MaxGroups {
		id, g = othersID, others
	}
	if g := k.pending[id]; g != nil {
		return g
	}
	if g != nil {
		g = g.clone()
	} else {
		g = newGroup(v, e, at)
		sha, since := k.options.Loaded(v.Stream)
		changed := sha == v.Schema.SHA256 && sha != "" && found.Sub(since) < lately
		g.Origin = origin(v, changed, k.writers.isNew(ctx, v, found))
		g.Fingerprint = id
	}
	k.pending[id] = g
	return g
}

// committed makes the batch's groups those that people are told of.
func (k *Keeper) committed([]broker.Record, []broker.Record) {
	k.mu.Lock()
	maps.Copy(k.groups, k.pending)
	for _, id := range k.dropped {
		delete(k.groups, id)
	}
	k.mu.Unlock()
	k.pending, k.dropped = nil, nil
	select {
	case k.changed <- struct{}{}:
	default:
	}
}
