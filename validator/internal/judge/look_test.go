package judge

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/broker"
	"datawatch/validator/internal/accept"
	"datawatch/validator/internal/accept/ordersample"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/verdict"
)

// TestLookOnSeveralCoresTellsOfEachRecordItsOwn compares batches of several sizes with what each record is.
func TestLookOnSeveralCoresTellsOfEachRecordItsOwn(t *testing.T) {
	j := New(Options{Metrics: prometheus.NewRegistry()})
	j.fast = nil
	for range 4 {
		j.fast = append(j.fast, &fastPath{reader: accept.NewReader()})
	}
	set := sampleSet(t)
	for _, set := range []*schemas.Set{set, schemas.Empty(), set} {
		for _, size := range []int{0, 1, share, share + 1, 4*share + 3, 5000} {
			batch := make([]broker.Record, size)
			for i := range batch {
				total := ordersample.RightTotal
				if i%7 == 3 {
					total = "1.00"
				}
				if batch[i].Value = ordersample.Event(i, total).AppendJSON(nil); i%11 == 5 {
					batch[i].Value = []byte("not an event")
				}
			}
			seen := j.look(t.Context(), set, batch)
			if len(seen) != size {
				t.Fatalf("%d records gave %d glances", size, len(seen))
			}
			for i := range seen {
				checked := set.For(ordersample.Stream) != nil
				result, enough := verdict.Valid, i%11 != 5 && (i%7 != 3 || !checked)
				if !checked {
					result = verdict.Unchecked
				}
				if seen[i].enough != enough || enough && seen[i].judged.result != result {
					t.Fatalf("record %d of %d: %+v", i, size, seen[i])
				}
			}
		}
	}
}
