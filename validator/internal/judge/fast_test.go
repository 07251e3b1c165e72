package judge_test

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// TestValidEventsTakeTheFastPathAndTheMetricSaysSo counts what reaches the judge: what is invalid, and the event that
// ends what stands.
func TestValidEventsTakeTheFastPathAndTheMetricSaysSo(t *testing.T) {
	w := newWorld(t, testrig.Embedded(t))
	var events []*event.Clean
	for i := range 50 {
		events = append(events, change(i, i, event.Insert, "", `{"total": 1, "status": "new"}`))
	}
	events = append(events, change(50, 100, event.Insert, "", `{"total": -1}`), change(51, 100, event.Update, `{"total": -1}`, `{"total": 3}`),
		change(52, 100, event.Update, `{"total": 3}`, `{"total": 4}`), change(53, 100, event.Delete, `{"total": 4}`, ""))
	other := change(54, 1, event.Insert, "", `{}`)
	other.Stream = "shop-db/public.unwatched"
	w.publish(append(events, other)...)
	registry, _ := w.start()
	w.eventually(func() error {
		return testutil.GatherAndCompare(registry, metricOf("datawatch_validator_fast_path_events_total", "counter",
			"Events of streams with a schema, by what became of them on the fast path: accepted, or asked where the full judge had to look.", `
			datawatch_validator_fast_path_events_total{answer="accepted",stream="shop-db/public.orders"} 52
			datawatch_validator_fast_path_events_total{answer="asked",stream="shop-db/public.orders"} 2
		`), "datawatch_validator_fast_path_events_total")
	})
	w.eventually(func() error {
		standing, err := w.standing()
		if err == nil && len(standing) > 0 {
			err = fmt.Errorf("standing: %v", standing)
		}
		return err
	})
	w.eachOnce(1)
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}
