package kafka

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// TestTimesThatNoCalendarHasStopNothing has producers that take microseconds for milliseconds, or send the largest number
// there is, or none.
func TestTimesThatNoCalendarHasStopNothing(t *testing.T) {
	const micros, last, usual = 1_700_000_000_000_000, 253402300799999, 1_700_000_000_000 // last is the end of the year 9999
	eachVersion(t, func(t *testing.T, addr string) {
		k := newCompany(t, addr)
		topic := k.topic(t, "orders", 1, map[string]string{"message.timestamp.after.max.ms": strconv.FormatInt(math.MaxInt64, 10)})
		c := newCapture()
		c.run(t, k.config(nil))
		c.awaitBegun(t)
		one := testrig.Repeated{Value: 'x', Times: 1}
		for _, millis := range []int64{micros, math.MaxInt64, last + 1, last, -1} {
			testrig.SendAt(t, addr, topic, 0, millis, one)
		}
		testrig.SendAt(t, addr, topic, 0, usual, one, testrig.Repeated{Value: 'x', Times: 1, Later: micros - usual})
		want := []struct {
			timestamp string // "" is none
			time      int64  // 0 is that of the capture
		}{
			{strconv.Itoa(micros), 0},
			{strconv.Itoa(math.MaxInt64), 0},
			{strconv.Itoa(last + 1), 0},
			{strconv.Itoa(last), last},
			{"", 0},
			{strconv.Itoa(usual), usual},
			{"", 0}, // the client can't tell it: it is three centuries behind the batch's first
		}
		testrig.Eventually(t, 30*time.Second, func() error {
			if n := len(c.all()); n != len(want) {
				return fmt.Errorf("%d records", n)
			}
			return nil
		})
		for i, e := range c.all() {
			headers := e.RecordHeaders()
			back, err := event.ParseRaw(e.RecordKey, e.Value, headers)
			if err != nil {
				t.Fatal(err)
			}
			timestamp := ""
			for _, h := range headers {
				if h.Name == "datawatch_timestamp" {
					timestamp = string(h.Value)
				}
			}
			at := time.UnixMilli(want[i].time)
			if want[i].time == 0 {
				at = e.CapturedAt
			}
			if timestamp != want[i].timestamp || !back.Time.Equal(at) {
				t.Errorf("record %d: timestamp %q, time %s; not %q and %s", i, timestamp, back.Time, want[i].timestamp, at)
			}
		}
		if at := c.at(t, topic+"/0"); at.Offset != int64(len(want)) {
			t.Errorf("progress is %+v", at)
		}
	})
}
