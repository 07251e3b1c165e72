package postgres

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/collector/internal/source"
	"datawatch/pkg/testrig"
)

// gauges are the metrics of the outbox.
func (r *rig) gauges(registry *prometheus.Registry) (bytes, rows float64) {
	r.t.Helper()
	families, err := registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		switch f.GetName() {
		case "datawatch_collector_outbox_bytes":
			bytes = f.GetMetric()[0].GetGauge().GetValue()
		case "datawatch_collector_outbox_rows":
			rows = f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return bytes, rows
}

// TestTheOutboxIsMeasuredWhileTheBrokerIsAway: what waits there is told when it matters, and that nothing waits afterwards.
func TestTheOutboxIsMeasuredWhileTheBrokerIsAway(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	registry := prometheus.NewRegistry()
	r.opts.Metrics = registry
	r.install()
	ctx, cancel := context.WithCancel(t.Context())
	back, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_ = r.source().Run(ctx, nil, func(ctx context.Context, b source.Batch) error {
			select {
			case <-back:
				return r.emit(ctx, b)
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	const statements = 100
	for i := range statements {
		r.exec(fmt.Sprintf(`insert into t select %d + g, md5(g::text) from generate_series(0, 9) g`, 10*i))
	}
	testrig.Eventually(t, time.Minute, func() error {
		bytes, rows := r.gauges(registry)
		if size, err := outboxBytes(t.Context(), r.db); err != nil || rows < statements || rows > 2*statements || bytes != float64(size) {
			return fmt.Errorf("%.0f statements wait in %.0f of %d bytes, %w", rows, bytes, size, err)
		}
		return nil
	})
	close(back)
	r.await(10 * statements)
	testrig.Eventually(t, time.Minute, func() error {
		if _, rows := r.gauges(registry); rows > 0 {
			return fmt.Errorf("%.0f statements wait", rows)
		}
		return nil
	})
	cancel()
	<-ended
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families { // another collector may read it by now
		if strings.HasPrefix(f.GetName(), "datawatch_collector_outbox_") {
			t.Errorf("%s is told of a source that isn't read", f.GetName())
		}
	}
}
