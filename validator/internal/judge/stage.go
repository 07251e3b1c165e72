package judge

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/tally"
	"datawatch/validator/internal/verdict"
	"datawatch/validator/internal/wrongrows"
)

// Options are what a judge works with.
type Options struct {
	Broker  config.Broker
	Schemas func() *schemas.Set // in force now
	Log     *slog.Logger
	Metrics prometheus.Registerer
	// Failed is told of what ends a session, and of nil when work goes on; default: nobody is.
	Failed func(error)
	// Judged is told of events whose verdict is committed, of so many of one stream; default: nobody is.
	Judged func(s event.Stream, r verdict.Result, n int)
	// Canary is told of canaries that went through, in which partition and when they were sent; default: nobody is.
	Canary func(partition int32, sent time.Time)
	// Assigned is told which partitions this judge has from now on; default: nobody is.
	Assigned func(partitions []int32)
	// Stuck is told of wrong rows that can't be judged again by a schema file that has changed; default: nobody is.
	Stuck func(Stuck)
	// Now is the clock of what is known of streams and files; default time.Now.
	Now func() time.Time
}

// Stuck are wrong rows that stand as an older version of their schema file said, until their next change.
type Stuck struct {
	Stream event.Stream
	Rows   int       // in this validator's partitions
	Broken int       // of them, those that were judged, and of which a rule isn't asked since their structure is broken
	Since  time.Time // what clean still holds begins here; zero where it holds nothing of the partition
}

// Gone are the rows whose event clean no longer holds, or not whole.
func (s Stuck) Gone() int { return s.Rows - s.Broken }

// Judge is one validator's share of the work.
type Judge struct {
	options Options
	topics  broker.Topics
	metrics *metrics
	scanner *broker.Scanner
	wake    chan struct{} // of capacity one
	emptied *emptied
	names   *names
	inTurn  *inTurn

	// What follows is the session's.
	partitions []int32
	rows       *wrongrows.Rows
	counts     tally.Tally
	set        *schemas.Set // by which the rows were last looked at
	works      []work
	batch      *batch // that is being judged
	fast       []*fastPath
	glances    []glance // at the batch
}

// New makes a judge. It connects when it runs.
func New(o Options) *Judge {
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	if o.Judged == nil {
		o.Judged = func(event.Stream, verdict.Result, int) {}
	}
	if o.Canary == nil {
		o.Canary = func(int32, time.Time) {}
	}
	if o.Assigned == nil {
		o.Assigned = func([]int32) {}
	}
	if o.Stuck == nil {
		o.Stuck = func(Stuck) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m := newMetrics(o.Metrics)
	return &Judge{
		options: o, topics: broker.TopicsOf(o.Broker.TopicPrefix), metrics: m, rows: wrongrows.New(), counts: tally.Tally{},
		wake: make(chan struct{}, 1), emptied: newEmptied(), names: newNames(o.Log, m, o.Now), inTurn: newInTurn(), fast: newFastPaths(),
	}
}

// Remarks are about files in force that are right in themselves, but can't do what their authors meant: those of the folder,
// and those that the streams which were seen show. It may be called at any time.
func (j *Judge) Remarks() []schemas.Remark { return j.names.all() }

// Wake has the judge look at the schemas in force, though no event comes.
func (j *Judge) Wake() {
	j.names.wake()
	j.wakeUp()
}

func (j *Judge) wakeUp() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Run judges until ctx is done and returns its error.
func (j *Judge) Run(ctx context.Context) error {
	scanner, err := broker.NewScanner(j.options.Broker, "datawatch-validator")
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }()
	j.scanner = scanner
	end, err := scanner.End(j.topics.State, 0)
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return j.followState(ctx, end) })
	group.Go(func() error { return j.names.run(ctx, j.options.Schemas, j.wakeUp) })
	group.Go(func() error { return j.stage().Run(ctx) })
	return group.Wait()
}

func (j *Judge) stage() broker.Stage {
	return broker.Stage{
		Broker: j.options.Broker, Name: "datawatch-validator", Group: broker.GroupsOf(j.options.Broker.TopicPrefix).Validator,
		Topic: j.topics.Clean, Process: j.process, Assigned: j.assigned, Committed: j.committed, Failed: j.options.Failed,
		Ahead: 2, Wake: j.wake, Log: j.options.Log,
	}
}

// assigned learns what stands in the session's partitions, and what was counted there. What was known before is forgotten:
// a transaction that failed may have changed it.
func (j *Judge) assigned(ctx context.Context, partitions []int32) error {
	started := time.Now()
	rows, err := wrongrows.Load(ctx, j.scanner, j.topics.Wrong, partitions)
	if err != nil {
		return err
	}
	if err := j.loadState(ctx, partitions); err != nil {
		return err
	}
	j.inTurn.forget()
	j.partitions, j.rows, j.set, j.works = partitions, rows, nil, nil
	j.metrics.rows.set(rows)
	j.options.Log.Debug("wrong rows read", "partitions", partitions, "took", time.Since(started))
	j.options.Failed(nil)
	j.options.Assigned(partitions)
	j.wakeUp()
	return nil
}

func (j *Judge) process(ctx context.Context, records []broker.Record) ([]broker.Record, error) {
	set := j.options.Schemas()
	if err := j.notice(ctx, set); err != nil {
		return nil, err
	}
	j.batch = newBatch(set, len(records))
	glances := j.look(ctx, set, records)
	var out []broker.Record
	for i := range records {
		if glances[i].canary {
			j.batch.canaries = append(j.batch.canaries, &records[i])
			continue
		}
		// Of a row of which something stands, the event is judged in full, so that it ends.
		if glances[i].enough && !j.rows.Stands(records[i].Partition, records[i].Key) {
			j.batch.add(records[i].Partition, &glances[i].judged)
			continue
		}
		more, err := j.one(ctx, set, &records[i])
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	for _, step := range []func() ([]broker.Record, error){
		func() ([]broker.Record, error) { return j.proceed(ctx) },
		j.countRecords,
		func() ([]broker.Record, error) { return j.names.save(j) },
	} {
		more, err := step()
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	if len(records) > 0 || len(out) > 0 { // else nothing is committed
		j.inTurn.push(j.batch)
	}
	return out, nil
}

// countRecords are the counts that the batch has changed.
func (j *Judge) countRecords() ([]broker.Record, error) {
	var records []broker.Record
	now := j.options.Now().UTC().Truncate(time.Second)
	for _, s := range j.batch.streams {
		for _, p := range s.parts {
			e := j.counts.Of(p.partition, s.stream)
			e.Count, e.Newest = e.Plus(p.counts), now
			if p.sighted {
				e.Blind = 0
			}
			e.Blind += p.blind
			r, err := j.counts.Record(j.topics.State, p.partition, s.stream)
			if err != nil {
				return nil, err
			}
			records = append(records, r)
		}
	}
	return records, nil
}

// one judges one record.
func (j *Judge) one(ctx context.Context, set *schemas.Set, r *broker.Record) ([]broker.Record, error) {
	position := event.ViolationPosition{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
	now := time.Now()
	clean, err := event.ParseClean(r.Value)
	if err != nil {
		j.options.Log.Warn("a record of clean can't be read", "partition", r.Partition, "offset", r.Offset, "error", err)
		v := verdict.Unreadable(r.Key, position, now)
		j.batch.judge(r.Partition, v.Stream, verdict.Verdict{Result: verdict.Invalid, Violation: v}, r.Timestamp, nil)
		return j.records(r, v, nil)
	}
	if clean.Change == nil {
		return []broker.Record{control.GapRecord(j.topics.Control, clean)}, nil
	}
	file := set.For(clean.Stream)
	v, err := verdict.Judge(ctx, file, clean, position, now)
	if err != nil {
		return nil, err
	}
	j.batch.judge(r.Partition, clean.Stream, v, r.Timestamp, clean)
	if clean.Change.Op == event.Truncate {
		return j.empty(r, clean, v.Violation)
	}
	return j.records(r, v.Violation, j.stand(r, file, clean, v))
}

// change is what a verdict changes in the wrong rows.
type change struct {
	rule string
	over bool
}

// stand tells what the event changes in what stands of its row.
func (j *Judge) stand(r *broker.Record, file *schemas.File, clean *event.Clean, v verdict.Verdict) []change {
	before, schema := j.rows.Standing(r.Partition, r.Key)
	gone := clean.Change.Op == event.Delete || j.emptied.behind(clean)
	standing := v.Standing
	if gone {
		standing = nil
	}
	if len(before) == 0 && len(standing) == 0 || clean.Change.Op == event.Message || clean.Change.Key == nil || file == nil && !gone {
		return nil
	}
	if file != nil && !slices.ContainsFunc(before, func(s wrongrows.Standing) bool { return v.Unjudged[s.Rule] }) {
		schema = file.Version()
	}
	var changes []change
	var now []wrongrows.Standing
	for _, s := range before {
		_, again := standing[s.Rule]
		switch {
		case again:
		case v.Unjudged[s.Rule] && !gone:
			now = append(now, s)
		default:
			changes = append(changes, change{s.Rule, true})
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(standing)) {
		now = append(now, wrongrows.Standing{Rule: rule, Severity: standing[rule]})
		changes = append(changes, change{rule, false})
	}
	j.rows.Set(r.Partition, clean.Stream, r.Key, schema, now)
	for _, w := range j.works {
		w.passed(r, clean.Stream, changes)
	}
	return changes
}

// records are what is written for one event.
func (j *Judge) records(r *broker.Record, v *event.Violation, changes []change) ([]broker.Record, error) {
	var out []broker.Record
	var value []byte
	if v != nil {
		var err error
		if value, err = json.Marshal(v); err != nil {
			return nil, fmt.Errorf("write violation of %s: %w", v.EventID, err)
		}
		out = append(out, broker.Record{Topic: j.topics.Violations, Key: r.Key, Value: value})
	}
	for _, c := range changes {
		record := broker.Record{Topic: j.topics.Wrong, Key: wrongrows.Key(r.Key, c.rule), PartitionBy: r.Key}
		if !c.over {
			record.Value = value
		}
		out = append(out, record)
	}
	return out, nil
}

// committed is told of a batch while the next is judged, maybe.
func (j *Judge) committed(_, _ []broker.Record) {
	b := j.inTurn.pop()
	j.tellCanaries(b.canaries)
	for _, s := range b.streams {
		s.each(func(r verdict.Result, n int64) { j.options.Judged(s.stream, r, int(n)) })
	}
	j.metrics.take(b)
}
