package judge

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/validator/internal/schemas"
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
}

// Judge is one validator's share of the work.
type Judge struct {
	options Options
	topics  broker.Topics
	metrics *metrics
	scanner *broker.Scanner
	rows    *wrongrows.Rows
	tally   tally // of the batch that is being committed
	fast    []*fastPath
	glances []glance // at the batch
}

// New makes a judge. It connects when it runs.
func New(o Options) *Judge {
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	if o.Judged == nil {
		o.Judged = func(event.Stream, verdict.Result, int) {}
	}
	return &Judge{options: o, topics: broker.TopicsOf(o.Broker.TopicPrefix), metrics: newMetrics(o.Metrics), rows: wrongrows.New(), fast: newFastPaths()}
}

// Run judges until ctx is done and returns its error.
func (j *Judge) Run(ctx context.Context) error {
	scanner, err := broker.NewScanner(j.options.Broker, "datawatch-validator")
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }()
	j.scanner = scanner
	return j.stage().Run(ctx)
}

func (j *Judge) stage() broker.Stage {
	return broker.Stage{
		Broker: j.options.Broker, Name: "datawatch-validator", Group: broker.GroupsOf(j.options.Broker.TopicPrefix).Validator,
		Topic: j.topics.Clean, Process: j.process, Assigned: j.assigned, Committed: j.committed, Failed: j.options.Failed,
		Log: j.options.Log,
	}
}

// assigned learns what stands in the session's partitions. What was known before is forgotten: a transaction that
// failed may have changed it.
func (j *Judge) assigned(ctx context.Context, partitions []int32) error {
	started := time.Now()
	rows, err := wrongrows.Load(ctx, j.scanner, j.topics.Wrong, partitions)
	if err != nil {
		return err
	}
	j.rows = rows
	j.metrics.rows.set(rows)
	j.options.Log.Debug("wrong rows read", "partitions", partitions, "took", time.Since(started))
	j.options.Failed(nil)
	return nil
}

func (j *Judge) process(ctx context.Context, batch []broker.Record) ([]broker.Record, error) {
	set := j.options.Schemas()
	j.tally.begin(set)
	glances := j.look(ctx, set, batch)
	var out []broker.Record
	for i := range batch {
		// Of a row of which something stands, the event is judged in full, so that it ends.
		if glances[i].enough && len(j.rows.Standing(batch[i].Partition, batch[i].Key)) == 0 {
			j.tally.take(glances[i].judged)
			continue
		}
		records, err := j.one(ctx, set, &batch[i])
		if err != nil {
			return nil, err
		}
		out = append(out, records...)
	}
	return out, nil
}

// one judges one record.
func (j *Judge) one(ctx context.Context, set *schemas.Set, r *broker.Record) ([]broker.Record, error) {
	position := event.ViolationPosition{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
	now := time.Now()
	clean, err := event.ParseClean(r.Value)
	if err != nil {
		j.options.Log.Warn("a record of clean can't be read", "partition", r.Partition, "offset", r.Offset, "error", err)
		v := verdict.Unreadable(r.Key, position, now)
		j.tally.add(v.Stream, verdict.Verdict{Result: verdict.Invalid, Violation: v}, r.Timestamp, nil)
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
	j.tally.add(clean.Stream, v, r.Timestamp, clean)
	return j.records(r, v.Violation, j.stand(r, file, clean, v))
}

// change is what a verdict changes in the wrong rows.
type change struct {
	rule string
	over bool
}

// stand tells what the event changes in what stands of its row.
func (j *Judge) stand(r *broker.Record, file *schemas.File, clean *event.Clean, v verdict.Verdict) []change {
	before := j.rows.Standing(r.Partition, r.Key)
	gone := clean.Change.Op == event.Delete
	if len(before) == 0 && len(v.Standing) == 0 || clean.Change.Op == event.Message || clean.Change.Key == nil || file == nil && !gone {
		return nil
	}
	var changes []change
	var now []wrongrows.Standing
	for _, s := range before {
		_, again := v.Standing[s.Rule]
		switch {
		case again:
		case v.Unjudged[s.Rule] && !gone:
			now = append(now, s)
		default:
			changes = append(changes, change{s.Rule, true})
		}
	}
	for rule, severity := range v.Standing {
		now = append(now, wrongrows.Standing{Rule: rule, Severity: severity})
		changes = append(changes, change{rule, false})
	}
	j.rows.Set(r.Partition, clean.Stream, r.Key, now)
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
