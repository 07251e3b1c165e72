package alerts

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/validator/internal/wrongrows"
)

// TestAMillionWrongRowsFitIntoSixtyFourMegabytesWithTheJudges counts what one validator holds that judges all partitions and
// keeps the alerts too.
func TestAMillionWrongRowsFitIntoSixtyFourMegabytesWithTheJudges(t *testing.T) {
	const stream = event.Stream("shop-db/public.orders")
	value, err := json.Marshal(event.Violation{Errors: []event.ViolationError{{Rule: "adds-up", Fingerprint: "k3f9a1"}}})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	rows, kept := wrongrows.New(), newWrong(nil, "wrong")
	standing := []wrongrows.Standing{{Rule: "adds-up", Severity: event.Warning}}
	const n = 1_000_000
	for i := range n {
		key := fmt.Appendf(nil, "%s\n{\"id\":%d}", stream, i)
		rows.Set(int32(i%6), stream, key, "sha", standing)
		if i%1000 != 0 { // as take does, without reading a million equal values
			kept.set(wrongrows.Hash(wrongrows.Key(key, "adds-up")), []string{"k3f9a1"})
			continue
		}
		if err := kept.take(broker.Record{Key: wrongrows.Key(key, "adds-up"), Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d MiB", used>>20)
	if used > 64<<20 {
		t.Errorf("%d MiB", used>>20)
	}
	if kept.counts["k3f9a1"] != n || len(rows.Counts()) != 1 {
		t.Errorf("%d rows of %d are counted", kept.counts["k3f9a1"], n)
	}
	runtime.KeepAlive(rows)
}
