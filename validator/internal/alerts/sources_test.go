package alerts_test

import (
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// TestSourcesAndGapsAreAlertsOfTheSameLife: told with buttons, over by themselves or by a press, the same for another keeper.
func TestSourcesAndGapsAreAlertsOfTheSameLife(t *testing.T) {
	a := newAPI(t)
	w := newWorld(t, testrig.Embedded(t), a)
	beat := func(sources ...control.Source) {
		t.Helper()
		w.write([]broker.Record{control.BeatRecord(w.topics.Control, control.Beat{Service: "collector", Instance: "x", At: time.Now().Add(time.Hour), Sources: sources})})
	}
	stop := w.start()
	w.publish(false, violation(1, "x", event.Warning))
	w.reads(a, "🟡")
	trouble := &control.SourceTrouble{Since: time.Now().Add(-2 * time.Minute), Reason: "no route to host", Remedy: "check the uri"}
	beat(control.Source{Name: "shop-mongo", Trouble: trouble}, control.Source{Name: "shop-db", Backlog: 19, BacklogCap: 20})
	id := w.reads(a, "🟠 <b>shop-mongo is not being read</b>", "no route to host", "Do: check the uri")
	w.reads(a, "🟠 <b>The outbox of shop-db is 95% full</b>")
	if err := a.press(id, "Ack"); err != nil {
		t.Fatal(err)
	}
	w.reads(a, "🟠 <b>shop-mongo is not being read</b>", "acknowledged by @linh")
	gap := &event.Clean{ID: "shop-db/1", Stream: stream, Gap: &event.Gap{From: time.Now(), To: time.Now(), Cause: "capture was off", Remedy: "read it anew"}}
	w.write([]broker.Record{control.GapRecord(w.topics.Control, gap)})
	id = w.reads(a, "🟠 <b>shop-db: a gap</b>", "capture was off", "Do: read it anew")
	if err := a.press(id, "Resolved"); err != nil {
		t.Fatal(err)
	}
	w.reads(a, "🟢 <b>shop-db: a gap: over</b>")
	stop()
	w.start()
	beat(control.Source{Name: "shop-mongo"}, control.Source{Name: "shop-db", Backlog: 15, BacklogCap: 20}) // it isn't well yet
	w.reads(a, "🟢 <b>shop-mongo is being read again</b>")
	w.reads(a, "🟠 <b>The outbox of shop-db")
	beat(control.Source{Name: "shop-mongo"}, control.Source{Name: "shop-db", Backlog: 10, BacklogCap: 20})
	w.reads(a, "🟢 <b>The outbox of shop-db has room again</b>")
	if messages, _ := a.sent(); len(messages) != 4 {
		t.Errorf("%d messages: %+v", len(messages), messages)
	}
}

// TestASourceThatIsNotReadIsNotSaidToBeWhereItsCollectorStops: another takes over, which isn't told of for a minute.
func TestASourceThatIsNotReadIsNotSaidToBeWhereItsCollectorStops(t *testing.T) {
	a := newAPI(t)
	w := newWorld(t, testrig.Embedded(t), a)
	w.start()
	beat := func(instance string, stops bool, sources ...control.Source) {
		t.Helper()
		w.write([]broker.Record{control.BeatRecord(w.topics.Control, control.Beat{Service: "collector", Instance: instance, At: time.Now(), Stopping: stops, Sources: sources})})
	}
	trouble := func(since time.Time) control.Source {
		return control.Source{Name: "shop-mongo", Trouble: &control.SourceTrouble{Since: since, Reason: "no route to host", Remedy: "check the uri"}}
	}
	full := func(name string) control.Source { return control.Source{Name: name, Backlog: 19, BacklogCap: 20} }
	beat("x", false, trouble(time.Now().Add(-2*time.Minute)))
	w.reads(a, "🟠 <b>shop-mongo is not being read</b>")
	beat("x", true)
	beat("y", false, full("shop-db"))
	w.reads(a, "🟠 <b>The outbox of shop-db is 95% full</b>")
	beat("y", false, trouble(time.Now()), full("shop-db"), full("shop-2"))
	w.reads(a, "🟠 <b>The outbox of shop-2 is 95% full</b>")
	w.reads(a, "🟠 <b>shop-mongo is not being read</b>")
	beat("y", false, control.Source{Name: "shop-mongo"}, full("shop-db"), full("shop-2"))
	w.reads(a, "🟢 <b>shop-mongo is being read again</b>")
	if messages, _ := a.sent(); len(messages) != 3 {
		t.Errorf("%d messages: %+v", len(messages), messages)
	}
}
