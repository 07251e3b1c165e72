package judge

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
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
	// Judged is told of events whose verdict is committed, of so many of one stream that came after each other; default:
	// nobody is.
	Judged func(s event.Stream, r verdict.Result, n int)
	// Stuck is told of wrong rows that can't be judged again by a schema file that has changed; default: nobody is.
	Stuck func(Stuck)
}

// Stuck are wrong rows that stand as an older version of their schema file said, until their next change.
type Stuck struct {
	Stream event.Stream
	Rows   int       // in this validator's partitions
	Since  time.Time // what clean still holds begins here; zero where it holds nothing of the partition
}

// Judge is one validator's share of the work.
type Judge struct {
	options Options
	topics  broker.Topics
	metrics *metrics
	scanner *broker.Scanner
	wake    chan struct{} // of capacity one
	emptied *emptied

	// What follows is the session's.
	partitions []int32
	rows       *wrongrows.Rows
	counts     tally.Tally
	touched    map[tallied]bool // counts that the batch has changed
	set        *schemas.Set     // by which the rows were last looked at
	works      []work
	tally      batch // that is being committed
	fast       []*fastPath
	glances    []glance // at the batch
}

type tallied struct {
	partition int32
	stream    event.Stream
}

// New makes a judge. It connects when it runs.
func New(o Options) *Judge {
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	if o.Judged == nil {
		o.Judged = func(event.Stream, verdict.Result, int) {}
	}
	if o.Stuck == nil {
		o.Stuck = func(Stuck) {}
	}
	return &Judge{
		options: o, topics: broker.TopicsOf(o.Broker.TopicPrefix), metrics: newMetrics(o.Metrics), rows: wrongrows.New(), counts: tally.Tally{},
		wake: make(chan struct{}, 1), touched: map[tallied]bool{}, fast: newFastPaths(),
	}
}

// Wake has the judge look at the schemas in force, though no event comes.
func (j *Judge) Wake() {
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
	j.emptied = newEmptied()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return j.followEmptied(ctx, end) })
	group.Go(func() error { return j.stage().Run(ctx) })
	return group.Wait()
}

func (j *Judge) stage() broker.Stage {
	return broker.Stage{
		Broker: j.options.Broker, Name: "datawatch-validator", Group: broker.GroupsOf(j.options.Broker.TopicPrefix).Validator,
		Topic: j.topics.Clean, Process: j.process, Assigned: j.assigned, Committed: j.committed, Failed: j.options.Failed,
		Wake: j.wake, Log: j.options.Log,
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
	counts, err := tally.Load(ctx, j.scanner, j.topics.State, partitions)
	if err != nil {
		return err
	}
	if err := j.loadEmptied(ctx); err != nil {
		return err
	}
	j.partitions, j.rows, j.counts, j.set, j.works = partitions, rows, counts, nil, nil
	j.metrics.rows.set(rows)
	j.options.Log.Debug("wrong rows read", "partitions", partitions, "took", time.Since(started))
	j.options.Failed(nil)
	j.Wake()
	return nil
}

func (j *Judge) process(ctx context.Context, batch []broker.Record) ([]broker.Record, error) {
	set := j.options.Schemas()
	if err := j.notice(ctx, set); err != nil {
		return nil, err
	}
	j.tally.begin(set)
	glances := j.look(ctx, set, batch)
	var out []broker.Record
	for i := range batch {
		// Of a row of which something stands, the event is judged in full, so that it ends.
		if glances[i].enough && !j.rows.Stands(batch[i].Partition, batch[i].Key) {
			j.tally.take(glances[i].judged)
			j.tell(batch[i].Partition, glances[i].judged.stream, glances[i].judged.result)
			continue
		}
		records, err := j.one(ctx, set, &batch[i])
		if err != nil {
			return nil, err
		}
		out = append(out, records...)
	}
	more, err := j.proceed(ctx)
	if err != nil {
		return nil, err
	}
	counts, err := j.countRecords()
	if err != nil {
		return nil, err
	}
	return slices.Concat(out, more, counts), nil
}

// count adds an event to what is told of its stream.
func (j *Judge) count(r *broker.Record, stream event.Stream, v verdict.Verdict, clean *event.Clean) {
	j.tally.add(stream, v, r.Timestamp, clean)
	j.tell(r.Partition, stream, v.Result)
}

// tell counts an event in its stream's tally.
func (j *Judge) tell(partition int32, stream event.Stream, result verdict.Result) {
	var one tally.Count
	switch result {
	case verdict.Valid:
		one.Valid = 1
	case verdict.Invalid:
		one.Invalid = 1
	default:
		one.Unvalidated = 1
	}
	j.counts.Add(partition, stream, one)
	j.touched[tallied{partition, stream}] = true
}

// countRecords are the counts that the batch has changed.
func (j *Judge) countRecords() ([]broker.Record, error) {
	defer clear(j.touched)
	records := make([]broker.Record, 0, len(j.touched))
	for at := range j.touched {
		r, err := j.counts.Record(j.topics.State, at.partition, at.stream)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
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
		j.count(r, v.Stream, verdict.Verdict{Result: verdict.Invalid, Violation: v}, nil)
		return j.records(r, v, nil)
	}
	if clean.Change == nil {
		return nil, nil
	}
	file := set.For(clean.Stream)
	v, err := verdict.Judge(ctx, file, clean, position, now)
	if err != nil {
		return nil, err
	}
	j.count(r, clean.Stream, v, clean)
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
	for rule, severity := range standing {
		now = append(now, wrongrows.Standing{Rule: rule, Severity: severity})
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

func (j *Judge) committed([]broker.Record, []broker.Record) {
	for all := j.tally.judged; len(all) > 0; {
		n := 1
		for n < len(all) && all[n].stream == all[0].stream && all[n].result == all[0].result {
			n++
		}
		j.options.Judged(all[0].stream, all[0].result, n)
		all = all[n:]
	}
	for _, at := range j.metrics.take(&j.tally) {
		j.options.Log.Warn("a rule names old, and the source gives no before image: it isn't asked", "stream", at.stream, "rule", at.rule,
			"hint", "PostgreSQL: replica identity full or triggers; MongoDB: pre-images; Kafka: a change envelope")
	}
}
