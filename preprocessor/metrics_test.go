package preprocessor_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"datawatch/pkg/testrig"
)

func TestMetricsTellOfEachStreamAndOfNoKey(t *testing.T) {
	c, topics := settings(t, testrig.Embedded(t))
	i := start(t, c)
	good := row(topics, 1, 7, "fine")
	began := float64(time.Now().Add(-time.Minute).Unix())
	publish(t, publisher(t, c), good, poisonRow(topics, 2))
	await(t, c, topics.Clean, 1)
	await(t, c, topics.DeadLetter, 1)
	const stream = "shop-db/public.orders"
	for name, want := range map[string]struct {
		labels map[string]string
		least  float64
	}{
		"events_normalized_total":      {map[string]string{"stream": stream}, 1},
		"events_deadlettered_total":    {map[string]string{"stream": stream, "class": "type"}, 1},
		"commit_to_clean_seconds":      {map[string]string{}, 1},
		"last_event_timestamp_seconds": {map[string]string{"stream": stream}, began},
	} {
		testrig.Eventually(t, 10*time.Second, func() error {
			families, err := i.env.Metrics.Gather()
			if err != nil {
				return err
			}
			for _, f := range families {
				if f.GetName() != "datawatch_preprocessor_"+name {
					continue
				}
				if len(f.GetMetric()) != 1 {
					return fmt.Errorf("%s has %d series", name, len(f.GetMetric()))
				}
				m := f.GetMetric()[0]
				value := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
				got := map[string]string{}
				for _, l := range m.GetLabel() {
					got[l.GetName()] = l.GetValue()
				}
				if fmt.Sprint(got) != fmt.Sprint(want.labels) || value < want.least {
					return fmt.Errorf("%s%v is %v", name, got, value)
				}
				return nil
			}
			return errors.New("no " + name)
		})
	}
}
