package judge_test

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/validator/internal/tally"
)

// tallied waits until the stream was counted so.
func (w *world) tallied(valid, invalid, unvalidated int64) {
	w.t.Helper()
	want := tally.Count{Valid: valid, Invalid: invalid, Unvalidated: unvalidated}
	w.eventually(func() error {
		state, err := w.scanner.State(w.t.Context(), w.topics.State, tally.Prefix)
		if err != nil {
			return err
		}
		all, err := tally.Read(state)
		if err != nil {
			return err
		}
		if got := all.Streams()[stream]; got != want {
			return fmt.Errorf("tally %+v, want %+v", got, want)
		}
		return nil
	})
}

// counterOf is a counter of a registry, by name.
type counterOf struct {
	registry *prometheus.Registry
	name     string
}

func (c counterOf) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, to) }

func (c counterOf) Collect(to chan<- prometheus.Metric) {
	families, err := c.registry.Gather()
	if err != nil {
		return
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == c.name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	to <- prometheus.MustNewConstMetric(prometheus.NewDesc(c.name, "", nil, nil), prometheus.CounterValue, sum)
}
