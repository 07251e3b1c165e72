package supervise

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/collector/internal/source"
	"datawatch/pkg/daemon"
	"datawatch/pkg/reason"
)

// TestLagIsToldOnlyOfASourceThatIsRead: 0 for one that never connected would read as nothing to catch up with.
func TestLagIsToldOnlyOfASourceThatIsRead(t *testing.T) {
	registry := prometheus.NewRegistry()
	r := newReporter("one", newMetrics(registry), daemon.NewHealth(), nil, slog.New(slog.DiscardHandler))
	told := func() (lags []float64) {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "datawatch_collector_source_lag_seconds" {
				for _, m := range f.GetMetric() {
					lags = append(lags, m.GetGauge().GetValue())
				}
			}
		}
		return lags
	}
	if lags := told(); len(lags) > 0 {
		t.Errorf("before it said anything: %v", lags)
	}
	for _, c := range []struct {
		state source.State
		read  bool
	}{{source.Connecting, false}, {source.Failed, false}, {source.Streaming, true}, {source.Stalled, true}, {source.Snapshot, true}, {source.Failed, false}, {source.Standby, false}} {
		r.State(c.state, reason.Text{})
		r.Lag(7)
		if lags := told(); c.read != (len(lags) == 1 && lags[0] == 7) {
			t.Errorf("%s: %v", c.state, lags)
		}
	}
}
