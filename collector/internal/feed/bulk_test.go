package feed

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"datawatch/pkg/event"
)

// bulk is a transaction of n inserted rows.
func bulk(n int) []event.Raw {
	events := make([]event.Raw, n)
	for i := range events {
		events[i] = did{tick: 1, n: int64(i), table: "orders", op: event.Insert, key: []string{"id"}, after: fmt.Sprintf(`{"id":%d}`, i), tx: "7"}.raw()
	}
	return events
}

// TestOfABulkOnlyRowsThatAreShownAreDecoded has a transaction whose other rows couldn't be decoded: they are counted.
func TestOfABulkOnlyRowsThatAreShownAreDecoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0, nil)
		defer r.stop()
		events := bulk(1000)
		for i := maxRows; i < len(events); i++ {
			events[i].Value = bytes.Replace(events[i].Value, []byte(`"after":{"id":`), []byte(`"after":{"id"?`), 1)
		}
		r.Offer(events)
		time.Sleep(time.Minute)
		got, _ := r.chat.told()
		if len(got) != 1 || !strings.Contains(got[0], "1,000 changes") || !strings.Contains(got[0], "orders 0") {
			t.Errorf("told: %q", got)
		}
	})
}

// TestWhatABulkSaysBehindItsShownRowsIsTold has a tag that was set, and a key that moves, when nothing more is shown of the table.
func TestWhatABulkSaysBehindItsShownRowsIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0, nil)
		defer r.stop()
		events := bulk(10)
		move := did{tick: 1, table: "orders", key: []string{"id"}, before: `{"id":1}`, after: `{"id":77}`, tx: "7", tag: "checkout"}
		away, back := move, move
		away.n, away.op, away.to = 10, event.Delete, true
		back.n, back.op, back.from = 11, event.Insert, true
		last := move
		last.n, last.op, last.before, last.after, last.tag = 12, event.Insert, "", `{"id":78}`, ""
		r.Offer(append(events, away.raw(), back.raw(), last.raw()))
		time.Sleep(time.Minute)
		got, _ := r.chat.told()
		if len(got) != 1 || !strings.Contains(got[0], "12 changes") || !strings.Contains(got[0], "checkout") {
			t.Errorf("told: %q", got)
		}
	})
}
