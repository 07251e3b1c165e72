package tally

import (
	"testing"
	"time"

	"datawatch/pkg/event"
)

const orders = event.Stream("shop-db/public.orders")

func TestTallySurvivesTheWayThroughTheTopic(t *testing.T) {
	written := Tally{}
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	*written.Of(3, orders) = Entry{Count{Valid: 3, Invalid: 1, Unvalidated: 4}, at, 2}
	written.Of(0, orders).Invalid = 5
	state := map[string][]byte{"emptied/" + string(orders): []byte("of another kind")}
	for _, partition := range []int32{0, 3} {
		r, err := written.Record("state", partition, orders)
		if err != nil {
			t.Fatal(err)
		}
		state[string(r.Key)] = r.Value
	}
	if got := string(state["tally/3/shop-db/public.orders"]); got != `{"version":1,"valid":3,"invalid":1,"unvalidated":4,"newest":"2026-11-22T08:00:00Z","blind":2}` {
		t.Errorf("written: %s", got)
	}
	if got := string(state["tally/0/shop-db/public.orders"]); got != `{"version":1,"valid":0,"invalid":5,"unvalidated":0}` {
		t.Errorf("written: %s", got)
	}
	read, err := Read(state)
	if err != nil {
		t.Fatal(err)
	}
	if got := read.Streams()[orders]; got != (Count{3, 6, 4}) {
		t.Errorf("read: %+v", got)
	}
	if got := *read.Of(3, orders); got != *written.Of(3, orders) {
		t.Errorf("read: %+v", got)
	}
	for key, value := range map[string]string{"tally/x/a/b": "{}", "tally/1": "{}", "tally/1/a/b": `{"version":2}`, "tally/2/a/b": "no"} {
		if _, err := Read(map[string][]byte{key: []byte(value)}); err == nil {
			t.Errorf("%s: %s is taken", key, value)
		}
	}
}
