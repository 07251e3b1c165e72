package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/deadletter"
	"datawatch/pkg/event"

	"datawatch/preprocessor/internal/waitalert"
)

// normalizerFunc lets a test decide what becomes of a record.
type normalizerFunc func(ctx context.Context, r *event.Raw) ([]*event.Clean, error)

func (f normalizerFunc) Events(ctx context.Context, r *event.Raw) ([]*event.Clean, error) {
	return f(ctx, r)
}

// noHistory is that of a new topic.
type noHistory struct{}

func (noHistory) Before(context.Context, int32, int64, int64, func(broker.Record) error) error {
	return nil
}

func (noHistory) Replayed(context.Context) (map[string][]byte, error) { return nil, nil }

func pipeline(n normalizerFunc) *Pipeline {
	return New(Options{
		Broker: config.DefaultShared().Broker, Normalizer: n, Patience: Patience{Waiting: func([]waitalert.Wait) {}}, History: noHistory{},
		Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
	})
}

func raw(id string) broker.Record {
	r := event.Raw{
		Type: event.RawType, Kind: event.Kafka, ID: id, Stream: "shop-kafka/t", Time: time.Now(), RecordKey: []byte("shop-kafka/t\nk"), CapturedAt: time.Now(),
	}
	return broker.Record{Topic: "datawatch.raw", Key: r.RecordKey, Value: []byte("v"), Headers: r.RecordHeaders()}
}

func clean(id string) *event.Clean {
	return &event.Clean{ID: id, Stream: "shop-kafka/t", Type: event.ChangeType, Change: &event.Change{Op: event.Message, Origin: event.Origin{Kind: event.Kafka}}}
}

func class(r broker.Record) string {
	for _, h := range r.Headers {
		if h.Name == deadletter.HeaderClass {
			return string(h.Value)
		}
	}
	return ""
}

func TestPanicIsTheDeadLetterOfItsRecordAlone(t *testing.T) {
	p := pipeline(func(_ context.Context, r *event.Raw) ([]*event.Clean, error) {
		if r.ID == "bad" {
			panic("decoder")
		}
		return []*event.Clean{clean(r.ID)}, nil
	})
	written, err := p.Process(t.Context(), []broker.Record{raw("a"), raw("bad"), raw("b")})
	if err != nil || len(written) != 3 {
		t.Fatalf("%d records, %v", len(written), err)
	}
	for i, topic := range []string{"datawatch.clean", "datawatch.deadletter", "datawatch.clean"} {
		if written[i].Topic != topic {
			t.Errorf("record %d goes to %s, not %s", i, written[i].Topic, topic)
		}
	}
	if class(written[1]) != "internal" {
		t.Errorf("class %q", class(written[1]))
	}
}

func TestRecordOfSeveralEventsIsWrittenWholeOrNotAtAll(t *testing.T) {
	large := clean("large")
	large.Change.After = []byte(`"` + strings.Repeat("x", 9<<20) + `"`)
	p := pipeline(func(_ context.Context, r *event.Raw) ([]*event.Clean, error) {
		if r.ID == "large" {
			return []*event.Clean{clean("large#0"), large}, nil
		}
		return []*event.Clean{clean("a#0"), clean("a#1")}, nil
	})
	written, err := p.Process(t.Context(), []broker.Record{raw("large"), raw("a")})
	if err != nil {
		t.Fatal(err)
	}
	if len(written) != 3 || class(written[0]) != "too_large" || written[1].Topic != "datawatch.clean" || written[2].Topic != "datawatch.clean" {
		t.Errorf("written: %d records, the first of class %q", len(written), class(written[0]))
	}
}

func TestStopIsNobodysDeadLetter(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := pipeline(func(ctx context.Context, _ *event.Raw) ([]*event.Clean, error) {
		cancel()
		return nil, ctx.Err()
	})
	if written, err := p.Process(ctx, []broker.Record{raw("a")}); !errors.Is(err, context.Canceled) || written != nil {
		t.Errorf("%d records, %v", len(written), err)
	}
}

func TestOnlyWhatWasCommittedIsCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	p := pipeline(func(_ context.Context, r *event.Raw) ([]*event.Clean, error) { return []*event.Clean{clean(r.ID)}, nil })
	p.metrics = newMetrics(registry)
	batch := []broker.Record{raw("a"), raw("b")}
	for range 2 { // the first transaction fails: the batch comes again
		if err := p.Assigned(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Process(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	p.Committed(batch, nil)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "datawatch_preprocessor_events_normalized_total" {
			if n := f.GetMetric()[0].GetCounter().GetValue(); n != 2 {
				t.Errorf("%v events counted", n)
			}
		}
	}
}
