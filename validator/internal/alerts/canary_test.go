package alerts_test

import (
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// TestALateCanaryIsToldAndThatItIsOver, whichever keeper tells; a partition that stands still isn't hidden by one that goes on.
func TestALateCanaryIsToldAndThatItIsOver(t *testing.T) {
	a := newAPI(t)
	w := newWorld(t, testrig.Embedded(t), a)
	w.silent = time.Second
	beat := func(canaries control.Canaries) {
		t.Helper()
		w.write([]broker.Record{control.BeatRecord(w.topics.Control, control.Beat{Service: "other", Instance: "x", At: time.Now().Add(time.Hour), Canaries: canaries})})
	}
	stop := w.start()
	w.publish(false, violation(1, "x", event.Warning))
	w.reads(a, "🟡")
	now := time.Now()
	beat(control.Canaries{0: now, 1: now.Add(-40 * time.Second)})
	w.reads(a, "🟠 <b>Changes don't come through to the verdict</b> · since", "partition 1", "Nothing is lost", "Do: see /status")
	stop()
	w.start()
	w.write([]broker.Record{control.BeatRecord(w.topics.Control, control.Beat{Service: "other", Instance: "y", At: time.Now().Add(time.Hour)})})
	w.publish(false, violation(2, "y", event.Warning))
	w.reads(a, "🟡", "fp-y")
	beat(control.Canaries{0: now.Add(time.Hour), 1: now.Add(time.Hour)})
	w.reads(a, "🟢 <b>Changes come through to the verdict again</b> · didn't come through ")
	if messages, _ := a.sent(); len(messages) != 3 {
		t.Errorf("%d messages: %+v", len(messages), messages)
	}
}
