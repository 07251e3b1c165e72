// Package pipeline is the preprocessor's step from raw to clean: it normalizes each record of a batch, and makes a dead
// letter of what can't be.
//
// It refuses to stop for a record: whatever one does to the decoders, a panic included, is its own dead letter, and the
// records around it go on. The output of a batch is in the order of its input. Two kinds of records come to nothing, each
// counted and logged: the tombstone behind the envelope of a delete, and a dead letter that was sent again when its events
// are in clean already. A record whose schema can't be had for now isn't to blame: it waits, and what is behind it too.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/broker"
	"datawatch/pkg/broker/unfold"
	"datawatch/pkg/config"
	letter "datawatch/pkg/deadletter"
	"datawatch/pkg/event"
	"datawatch/pkg/normalize"

	"datawatch/preprocessor/internal/deadletter"
)

// Classes of dead letters that aren't the normalizer's.
const (
	classInternal = "internal"  // a bug of ours
	classTooLarge = "too_large" // the clean event is larger than a record may be
)

// contentType is what a clean record is (CloudEvents' Kafka binding, structured mode).
const contentType = "application/cloudevents+json"

// Normalizer makes clean events of a raw record; its errors are *normalize.Error, *normalize.Unavailable, or the context's.
type Normalizer interface {
	Events(ctx context.Context, r *event.Raw) ([]*event.Clean, error)
}

var _ Normalizer = (*normalize.Normalizer)(nil)

// Pipeline is the function and the hook of a broker.Stage.
type Pipeline struct {
	topics     broker.Topics
	limit      int
	normalizer Normalizer
	transform  Transform
	history    History
	metrics    *metrics
	log        *slog.Logger
	now        func() time.Time

	replayed   *deadletter.Replayed
	tombstones *tombstones

	mu      sync.Mutex
	tallies [][]outcome // of the batches that were processed and aren't committed, in order
}

// outcome is what metrics are to say of a written record once it is committed.
type outcome struct {
	stream string
	class  string // of a dead letter; else empty
	drop   string // why nothing was written; else empty
	time   time.Time
	timed  bool // whether time is a commit's
}

// Options are what a Pipeline works with.
type Options struct {
	Broker     config.Broker
	Normalizer Normalizer
	Patience   Patience
	Transform  Transform // nil changes nothing
	History    History
	Metrics    prometheus.Registerer
	Log        *slog.Logger
}

// Transform changes an event in place; drop says why it comes to nothing, and is empty where it goes on. Its errors are
// *normalize.Error, or the context's.
type Transform interface {
	Apply(ctx context.Context, e *event.Clean) (drop string, err error)
}

// New is a Pipeline that writes to the broker's topics.
func New(o Options) *Pipeline {
	topics := broker.TopicsOf(o.Broker.TopicPrefix)
	n := &patient{Normalizer: o.Normalizer, patience: o.Patience, now: time.Now, missing: map[string]missing{}}
	return &Pipeline{
		topics: topics, limit: broker.RecordLimit(o.Broker), normalizer: n, transform: o.Transform, history: o.History,
		metrics: newMetrics(o.Metrics), log: o.Log, now: time.Now,
		replayed:   deadletter.NewReplayed(topics.State, (o.Broker.Retention.DeadLetter + o.Broker.Retention.Raw).Std()),
		tombstones: newTombstones(o.History, n),
	}
}

// SetLimit says how large a record may be from now on, by Record.Size. It is called between sessions.
func (p *Pipeline) SetLimit(bytes int) { p.limit = bytes }

// Assigned begins a session: what is remembered is read from the topics, which hold what was committed, by whomever.
func (p *Pipeline) Assigned(ctx context.Context) error {
	state, err := p.history.Replayed(ctx)
	if err != nil {
		return err
	}
	p.replayed.Load(state, p.now())
	p.tombstones.reset()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tallies = nil
	return nil
}

// Process gives the records to be written for a batch of raw. After an error Assigned comes first.
func (p *Pipeline) Process(ctx context.Context, batch []broker.Record) ([]broker.Record, error) {
	written := make([]broker.Record, 0, len(batch))
	tally := make([]outcome, 0, len(batch))
	for i := range batch {
		clean, outcomes, err := p.clean(ctx, &batch[i])
		if ctx.Err() != nil {
			return nil, ctx.Err() // the record isn't to blame
		}
		if blocked, ok := errors.AsType[*blockedError](err); ok {
			return nil, blocked.err
		}
		if err != nil {
			letter, outcome := p.deadLetter(&batch[i], err)
			written, tally = append(written, letter), append(tally, outcome)
			continue
		}
		written, tally = append(written, clean...), append(tally, outcomes...)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tallies = append(p.tallies, tally)
	return append(written, p.replayed.Records()...), nil
}

// blockedError is what keeps a batch from being processed; no record is to blame.
type blockedError struct{ err error }

func (e *blockedError) Error() string { return e.err.Error() }

// clean makes the records of clean for one of raw, all or none.
func (p *Pipeline) clean(ctx context.Context, r *broker.Record) (written []broker.Record, outcomes []outcome, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			p.log.Error("a record made the preprocessor panic; it is a dead letter", "topic", r.Topic, "partition", r.Partition,
				"offset", r.Offset, "panic", cause, "stack", string(debug.Stack()))
			err = &normalize.Error{Class: classInternal, Reason: fmt.Sprintf("panic: %v", cause)}
		}
	}()
	if r.Mark != nil {
		return nil, nil, markError(r.Mark)
	}
	raw, err := event.ParseRaw(r.Key, r.Value, r.Headers)
	if err != nil {
		return nil, nil, &normalize.Error{Class: normalize.Malformed, Reason: err.Error()}
	}
	events, drop, err := p.events(ctx, raw, r)
	switch {
	case err != nil:
		return nil, nil, err
	case drop != "":
		return nil, []outcome{{stream: string(raw.Stream), drop: drop}}, nil
	}
	canary := event.IsCanary(r.Key) // nobody's data: nothing changes it, and nothing counts it
	for _, e := range events {
		if p.transform != nil && !canary {
			stream := string(e.Stream)
			if drop, err = p.transform.Apply(ctx, e); err != nil {
				return nil, nil, err
			}
			if drop != "" {
				outcomes = append(outcomes, outcome{stream: stream, drop: drop})
				continue
			}
		}
		record, err := p.record(e, len(r.Value))
		if err != nil {
			return nil, nil, err
		}
		written = append(written, record)
		if canary {
			continue
		}
		outcomes = append(outcomes, outcome{
			stream: string(e.Stream), time: raw.Time, timed: e.Change != nil && e.Change.Op != event.Read,
		})
	}
	if deadletter.IsReplayed(r.Headers) {
		p.replayed.Add(raw.ID, p.now())
	}
	return written, outcomes, nil
}

// markError says why a record came otherwise than it lies in raw.
func markError(m *unfold.Mark) error {
	if m.Unreadable {
		return &normalize.Error{Class: normalize.Malformed, Reason: m.Reason}
	}
	return &normalize.Error{Class: classTooLarge, Reason: m.Reason}
}

// Why a record comes to nothing.
const (
	dropTombstone = "tombstone"
	dropReplayed  = "replayed_again"
)

// events are those of a record, or why there are none. A record that was sent again is out of its order, so it says
// nothing of what is the newest of its key.
func (p *Pipeline) events(ctx context.Context, raw *event.Raw, r *broker.Record) (events []*event.Clean, drop string, err error) {
	if deadletter.IsReplayed(r.Headers) {
		if p.replayed.Has(raw.ID) {
			return nil, dropReplayed, nil
		}
		events, err = p.normalizer.Events(ctx, raw)
		return events, "", err
	}
	if raw.Kind != event.Kafka || raw.Type != event.RawType {
		events, err = p.normalizer.Events(ctx, raw)
		return events, "", err
	}
	deletes, err := p.tombstones.of(ctx, r)
	if err != nil {
		return nil, "", &blockedError{err}
	}
	if raw.Value == nil && deletes.has(r.Key) {
		deletes.saw(r.Key, false)
		return nil, dropTombstone, nil
	}
	events, err = p.normalizer.Events(ctx, raw)
	deletes.saw(r.Key, err == nil && isDelete(raw, events))
	return events, "", err
}

// record is the event's record in clean; valueSize guesses how large it gets.
func (p *Pipeline) record(e *event.Clean, valueSize int) (broker.Record, error) {
	record := broker.Record{
		Topic: p.topics.Clean, Key: e.RecordKey(), Value: e.AppendJSON(make([]byte, 0, valueSize+1024)),
		Headers: []event.Header{{Name: "content-type", Value: []byte(contentType)}},
	}
	if size := record.Size(); size > p.limit {
		return record, &normalize.Error{
			Class: classTooLarge, Reason: fmt.Sprintf("the clean event has %d bytes, %d are allowed (broker.max_record_bytes, max.message.bytes of the topics)", size, p.limit),
		}
	}
	return record, nil
}

func (p *Pipeline) deadLetter(r *broker.Record, err error) (broker.Record, outcome) {
	cause := letter.Cause{Stage: letter.Preprocessor, Class: classInternal, Reason: err.Error(), Time: p.now()}
	if known, ok := errors.AsType[*normalize.Error](err); ok {
		cause.Class, cause.Reason = string(known.Class), known.Reason
	}
	if r.Mark != nil {
		cause.Size = r.Size() + r.Mark.Missing
	}
	var stream string // empty where the record isn't one of raw: a label is never made of what anybody may write
	if raw, err := event.ParseRaw(r.Key, r.Value, r.Headers); err == nil {
		stream = string(raw.Stream)
	}
	p.log.Warn("dead letter", "stream", stream, "class", cause.Class, "reason", cause.Reason,
		"topic", r.Topic, "partition", r.Partition, "offset", r.Offset)
	return letter.Letter(p.topics.DeadLetter, *r, cause, p.limit), outcome{stream: stream, class: cause.Class}
}

// committed takes the tally of the batch that comes next.
func (p *Pipeline) committed() (tally []outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.tallies) > 0 {
		tally, p.tallies = p.tallies[0], p.tallies[1:]
	}
	return tally
}

// Committed counts what the batch's transaction has written.
func (p *Pipeline) Committed(_, _ []broker.Record) {
	now := p.now()
	dropped := map[[2]string]int{}
	for _, o := range p.committed() {
		switch {
		case o.class != "":
			p.metrics.deadLettered.WithLabelValues(o.stream, o.class).Inc()
			continue
		case o.drop != "":
			p.metrics.dropped.WithLabelValues(o.stream, o.drop).Inc()
			dropped[[2]string{o.stream, o.drop}]++
			continue
		}
		p.metrics.normalized.WithLabelValues(o.stream).Inc()
		p.metrics.lastEvent.WithLabelValues(o.stream).Set(float64(o.time.UnixMicro()) / 1e6)
		if o.timed {
			p.metrics.latency.Observe(max(0, now.Sub(o.time).Seconds()))
		}
	}
	for what, n := range dropped {
		p.log.Info("dropped", "stream", what[0], "reason", what[1], "records", n)
	}
}
