// Package pipeline is the preprocessor's step from raw to clean: it normalizes each record of a batch, and makes a dead
// letter of what can't be.
//
// It refuses to stop for a record: whatever one does to the decoders, a panic included, is its own dead letter, and the
// records around it go on. The output of a batch is in the order of its input.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
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

// Normalizer makes clean events of a raw record; its errors are *normalize.Error.
type Normalizer interface {
	Events(ctx context.Context, r *event.Raw) ([]*event.Clean, error)
}

var _ Normalizer = (*normalize.Normalizer)(nil)

// Pipeline is the function and the hook of a broker.Stage.
type Pipeline struct {
	topics     broker.Topics
	limit      int
	normalizer Normalizer
	metrics    *metrics
	log        *slog.Logger
	now        func() time.Time

	tally []outcome // of the batch that was processed last, until it is committed
}

// outcome is what metrics are to say of a written record once it is committed.
type outcome struct {
	stream string
	class  string // of a dead letter; else empty
	time   time.Time
	timed  bool // whether time is a commit's
}

// New is a Pipeline that writes to the topics of c.
func New(c config.Broker, n Normalizer, reg prometheus.Registerer, log *slog.Logger) *Pipeline {
	return &Pipeline{
		topics: broker.TopicsOf(c.TopicPrefix), limit: broker.RecordLimit(c),
		normalizer: n, metrics: newMetrics(reg), log: log, now: time.Now,
	}
}

// Process gives the records to be written for a batch of raw.
func (p *Pipeline) Process(ctx context.Context, batch []broker.Record) ([]broker.Record, error) {
	written := make([]broker.Record, 0, len(batch))
	p.tally = p.tally[:0]
	for i := range batch {
		clean, outcomes, err := p.clean(ctx, &batch[i])
		if ctx.Err() != nil {
			return nil, ctx.Err() // the record isn't to blame
		}
		if err != nil {
			letter, outcome := p.deadLetter(&batch[i], err)
			written, p.tally = append(written, letter), append(p.tally, outcome)
			continue
		}
		written, p.tally = append(written, clean...), append(p.tally, outcomes...)
	}
	return written, nil
}

// clean makes the records of clean for one of raw, all or none.
func (p *Pipeline) clean(ctx context.Context, r *broker.Record) (written []broker.Record, outcomes []outcome, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			p.log.Error("a record made the preprocessor panic; it is a dead letter", "topic", r.Topic, "partition", r.Partition,
				"offset", r.Offset, "panic", cause, "stack", string(debug.Stack()))
			err = &normalize.Error{Class: classInternal, Reason: fmt.Sprintf("panic: %v", cause)}
		}
	}()
	raw, err := event.ParseRaw(r.Key, r.Value, r.Headers)
	if err != nil {
		return nil, nil, &normalize.Error{Class: normalize.Malformed, Reason: err.Error()}
	}
	events, err := p.normalizer.Events(ctx, raw)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range events {
		record := broker.Record{
			Topic: p.topics.Clean, Key: e.RecordKey(), Value: e.AppendJSON(make([]byte, 0, len(r.Value)+1024)),
			Headers: []event.Header{{Name: "content-type", Value: []byte(contentType)}},
		}
		if size := record.Size(); size > p.limit {
			return nil, nil, &normalize.Error{
				Class: classTooLarge, Reason: fmt.Sprintf("the clean event has %d bytes, %d are allowed (broker.max_record_bytes)", size, p.limit),
			}
		}
		written = append(written, record)
		outcomes = append(outcomes, outcome{
			stream: string(e.Stream), time: raw.Time, timed: e.Change != nil && e.Change.Op != event.Read,
		})
	}
	return written, outcomes, nil
}

func (p *Pipeline) deadLetter(r *broker.Record, err error) (broker.Record, outcome) {
	cause := deadletter.Cause{Class: classInternal, Reason: err.Error(), Time: p.now()}
	if known, ok := errors.AsType[*normalize.Error](err); ok {
		cause.Class, cause.Reason = string(known.Class), known.Reason
	}
	var stream string // empty where the record isn't one of raw: a label is never made of what anybody may write
	if raw, err := event.ParseRaw(r.Key, r.Value, r.Headers); err == nil {
		stream = string(raw.Stream)
	}
	p.log.Warn("dead letter", "stream", stream, "class", cause.Class, "reason", cause.Reason,
		"topic", r.Topic, "partition", r.Partition, "offset", r.Offset)
	return deadletter.Letter(p.topics.DeadLetter, *r, cause, p.limit), outcome{stream: stream, class: cause.Class}
}

// Committed counts what the batch's transaction has written.
func (p *Pipeline) Committed(_, _ []broker.Record) {
	now := p.now()
	for _, o := range p.tally {
		if o.class != "" {
			p.metrics.deadLettered.WithLabelValues(o.stream, o.class).Inc()
			continue
		}
		p.metrics.normalized.WithLabelValues(o.stream).Inc()
		p.metrics.lastEvent.WithLabelValues(o.stream).Set(float64(o.time.UnixMicro()) / 1e6)
		if o.timed {
			p.metrics.latency.Observe(max(0, now.Sub(o.time).Seconds()))
		}
	}
	p.tally = p.tally[:0]
}
