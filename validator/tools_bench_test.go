package validator_test

import (
	"context"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/validator/internal/infer"
	"datawatch/validator/internal/replay"
	"datawatch/validator/internal/schemas"
)

// BenchmarkPast measures how fast past traffic is read from a broker and learned from or judged.
func BenchmarkPast(b *testing.B) {
	const n = 100_000
	w := newTraffic(b, testrig.Embedded(b))
	for begin := 0; begin < n; begin += 5000 {
		records := make([]broker.Record, 0, 5000)
		for i := begin; i < begin+5000; i++ {
			records = append(records, w.clean(order(i)))
		}
		w.publish(records...)
	}
	scanner, err := broker.NewScanner(w.broker, "bench")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = scanner.Close() })
	set, err := schemas.Load("../deploy/schemas")
	if err != nil {
		b.Fatal(err)
	}
	rate := func(b *testing.B, run func(context.Context, *replay.Past) error) {
		b.ReportAllocs()
		for b.Loop() {
			past, err := replay.Open(b.Context(), scanner, w.topics.Clean, replay.Range{Stream: orders, Last: n})
			if err == nil {
				err = run(b.Context(), past)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
	}
	b.Run("infer", func(b *testing.B) {
		rate(b, func(ctx context.Context, past *replay.Past) error {
			f := infer.New(orders, infer.Options{})
			return past.Each(ctx, func(_ *broker.Record, clean *event.Clean) error { return f.Add(clean.Change, time.Time{}) })
		})
	})
	b.Run("replay", func(b *testing.B) {
		rate(b, func(ctx context.Context, past *replay.Past) error {
			_, err := replay.Run(ctx, past, replay.Options{Schemas: set, Samples: 3})
			return err
		})
	})
}
