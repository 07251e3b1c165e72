package tally

import "testing"

func TestTallySurvivesTheWayThroughTheTopic(t *testing.T) {
	written := Tally{}
	written.Add(3, "shop-db/public.orders", Count{Valid: 2, Invalid: 1})
	written.Add(3, "shop-db/public.orders", Count{Valid: 1, Unvalidated: 4})
	written.Add(0, "shop-db/public.orders", Count{Invalid: 5})
	state := map[string][]byte{}
	for _, partition := range []int32{0, 3} {
		r, err := written.Record("state", partition, "shop-db/public.orders")
		if err != nil {
			t.Fatal(err)
		}
		state[string(r.Key)] = r.Value
	}
	if got := string(state["tally/3/shop-db/public.orders"]); got != `{"version":1,"valid":3,"invalid":1,"unvalidated":4}` {
		t.Errorf("written: %s", got)
	}
	read, err := Read(state)
	if err != nil {
		t.Fatal(err)
	}
	if got := read.Streams()["shop-db/public.orders"]; got != (Count{3, 6, 4}) {
		t.Errorf("read: %+v", got)
	}
	for key, value := range map[string]string{"tally/x/a/b": "{}", "tally/1": "{}", "tally/1/a/b": `{"version":2}`, "tally/2/a/b": "no"} {
		if _, err := Read(map[string][]byte{key: []byte(value)}); err == nil {
			t.Errorf("%s: %s is taken", key, value)
		}
	}
}
