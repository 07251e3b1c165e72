package pipeline

import (
	"fmt"
	"testing"
)

func TestKnownDeletesAreBoundedAndTheOldestGoFirst(t *testing.T) {
	d := &deletes{at: map[rawKey]int64{}}
	key := func(i int) []byte { return fmt.Append(nil, i) }
	for i := range maxDeletes + 10 {
		d.saw(key(i), true)
	}
	d.saw(key(11), true) // again: it is among the newest now
	if len(d.at) > maxDeletes || len(d.queue) > maxDeletes {
		t.Errorf("%d keys, %d queued", len(d.at), len(d.queue))
	}
	for i, known := range map[int]bool{0: false, 9: false, 10: false, 11: true, 12: true, maxDeletes: true} {
		if d.has(key(i)) != known {
			t.Errorf("key %d: known is %v", i, !known)
		}
	}
}

func TestRecordBehindADeleteForgetsIt(t *testing.T) {
	d := &deletes{at: map[rawKey]int64{}}
	d.saw([]byte("a"), true)
	d.saw([]byte("a"), false)
	if d.has([]byte("a")) {
		t.Error("a delete that isn't the newest is known")
	}
}
