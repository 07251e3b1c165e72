package collector

import (
	"sync"

	"datawatch/collector/internal/feed"
	"datawatch/collector/internal/trouble"
	"datawatch/pkg/control"
)

// fares is how the sources fare that this collector reads, as its signs of life tell the validator: whether they are read,
// how far behind, what waits in them, how much they take, and what changed in them.
type fares struct {
	sources func() []control.Source // as whoever reads them tells
	trouble *trouble.Teller
	feed    *feed.Feed // nil where there is none

	mu   sync.Mutex
	caps map[string]int64 // of outboxes that capture stops at, by source
}

func (f *fares) configure(c Config) {
	caps := map[string]int64{}
	for _, s := range c.Collector.Sources {
		if s.Postgres != nil && !s.Postgres.CapturesWAL() && s.Postgres.Outbox.WhenFull == "stop_capture" {
			caps[s.Name] = int64(s.Postgres.Outbox.MaxBytes)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.caps = caps
}

// say adds it to a sign of life.
func (f *fares) say(b *control.Beat) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b.Sources = f.sources()
	if f.feed != nil {
		b.Changes = f.feed.TakeChanged()
	}
	for i := range b.Sources {
		s := &b.Sources[i]
		s.BacklogCap, s.Trouble = f.caps[s.Name], f.trouble.Of(s.Name)
	}
}
