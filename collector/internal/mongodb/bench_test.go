package mongodb

import (
	"context"
	"testing"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/testrig"
)

// BenchmarkBacklog reads inserts that wait in the oplog.
func BenchmarkBacklog(b *testing.B) {
	const documents = 20_000
	s := newShop(b, testrig.MongoDB(b))
	c := newCapture()
	src := func() *Source { return New(Options{Name: "shop-mongo", Config: s.config("*"), Reporter: c}) }
	begun := &capture{progress: source.Progress{}}
	ctx, cancel := context.WithCancel(b.Context())
	_ = src().Run(ctx, nil, func(ctx context.Context, batch source.Batch) error {
		defer cancel()
		return begun.Emit(ctx, batch)
	})
	var docs []any
	for i := range documents {
		docs = append(docs, doc("_id", i, "customer", "C-1042", "total", 149.97, "at", time.Now(), "items", []string{"a", "b", "c"}))
	}
	s.insert(b, "carts", docs...)
	b.ResetTimer()
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		n := 0
		_ = src().Run(ctx, begun.copyProgress(), func(_ context.Context, batch source.Batch) error {
			if n += len(batch.Events); n >= documents {
				cancel()
			}
			return nil
		})
		cancel()
	}
	b.ReportMetric(float64(documents)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
