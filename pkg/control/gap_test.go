package control_test

import (
	"reflect"
	"testing"
	"time"

	"datawatch/pkg/control"
	"datawatch/pkg/event"
)

// TestAGapComesOutAsItWentIn, and other records aren't taken for one.
func TestAGapComesOutAsItWentIn(t *testing.T) {
	lost := int64(3)
	at := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	e := &event.Clean{ID: "shop-db/1", Stream: "shop-db/public.orders", Gap: &event.Gap{From: at, To: at.Add(time.Hour), Cause: "cause", Lost: &lost, Remedy: "remedy"}}
	g, ok := control.ReadGap(control.GapRecord("control", e))
	if !ok || g.Stream != e.Stream || !reflect.DeepEqual(g.What, *e.Gap) {
		t.Errorf("read %v %+v", ok, g)
	}
	if _, ok := control.ReadGap(control.BeatRecord("control", control.Beat{Service: "collector"})); ok {
		t.Error("a beat is a gap")
	}
}
