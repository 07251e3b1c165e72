package remote

import (
	"testing"
	"time"

	"datawatch/collector/internal/source"
)

func TestShardsSpeakForThemselvesAndTheWorstCounts(t *testing.T) {
	now := time.Now().UTC()
	state := map[string][]byte{}
	say := func(s Status) {
		r := s.Record("state", "shop-kafka")
		state[string(r.Key)] = r.Value
	}
	look := func() *Status {
		t.Helper()
		s, err := statusOf(state, "shop-kafka")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if look() != nil {
		t.Error("nobody spoke yet")
	}
	say(Status{State: Stopped, At: now.Add(-time.Hour)}) // when it was whole
	if s := look(); s.State != Stopped {
		t.Errorf("%+v", s)
	}
	say(Status{State: source.Streaming, At: now, Shard: 0, Shards: 3, Host: "a", LagSeconds: 1})
	if s := look(); s.State != source.Failed || s.Reason != "2 of 3 shards have not been heard of" {
		t.Errorf("%+v", s)
	}
	say(Status{State: source.Streaming, At: now.Add(-time.Minute), Shard: 1, Shards: 3, Host: "b", LagSeconds: 9})
	say(Status{State: source.Stalled, Reason: "no leader", At: now, Shard: 2, Shards: 3, Host: "a"})
	s := look()
	if s.State != source.Stalled || s.Reason != "shard 2 of 3: no leader" || s.LagSeconds != 9 || s.Host != "several" {
		t.Errorf("%+v", s)
	}
	if s.Running(now) {
		t.Error("shard 1 is silent, and the source is said to run")
	}
	say(Status{State: source.Streaming, At: now.Add(time.Second), Shard: 0, Shards: 2, Host: "a"})
	say(Status{State: source.Streaming, At: now.Add(time.Second), Shard: 1, Shards: 2, Host: "a"})
	if s := look(); s.State != source.Streaming || s.Host != "a" {
		t.Errorf("split into two, it is %+v", s)
	}
	say(Status{State: Stopped, At: now.Add(2 * time.Second), Shard: 0, Shards: 3, Host: "a"}) // the last word of the former number
	if s := look(); s.State != source.Streaming || s.Shards != 2 {
		t.Errorf("split into two, it is %+v", s)
	}
}
