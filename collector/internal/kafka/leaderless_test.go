package kafka

import (
	"testing"

	"datawatch/pkg/testrig"
)

// TestPartitionWithoutALeaderAtTheFirstStartBeginsWhereStartSays: its end can only be asked for once it has a leader, and until
// then progress says so, over a restart.
func TestPartitionWithoutALeaderAtTheFirstStartBeginsWhereStartSays(t *testing.T) {
	for start, want := range map[string]int64{startLatest: 2, startEarliest: 0} {
		t.Run(start, func(t *testing.T) {
			k := newCompany(t, testrig.Embedded(t))
			topic := k.topic(t, "orders", 1, nil)
			k.send(t, message(topic, 0, "a"), message(topic, 0, "b"))
			c := newCapture()
			begin := func() *reader {
				s := New(Options{Name: "k", Config: k.config(func(cfg *Config) { cfg.Start = start }), Internal: internal(), Reporter: c})
				cluster, err := newCluster(t.Context(), s.Config.Cluster, s.Internal)
				if err != nil {
					t.Fatal(err)
				}
				positions, _, err := readProgress(c.committed())
				if err != nil {
					t.Fatal(err)
				}
				r := newReader(s, cluster, positions, c.emit)
				r.fetchers = func(*fetcher) {}
				t.Cleanup(func() { r.emitter.close(); cluster.close() })
				return r
			}
			r := begin()
			topics, err := r.cluster.topics(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			topics[topic].leaders[0] = noLeader
			if err := r.reconcile(t.Context(), topics, true); err != nil {
				t.Fatal(err)
			}
			r.started = encode(began{Version: progressVersion})
			commit := func(r *reader) {
				t.Helper()
				if err := r.flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := r.emitter.wait(); err != nil {
					t.Fatal(err)
				}
			}
			commit(r)
			r = begin() // as a new run does
			if err := r.look(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			commit(r)
			if at := c.at(t, topic+"/0"); at.Version != progressVersion || at.Offset != want {
				t.Errorf("it begins at %+v, not at %d", at, want)
			}
		})
	}
}
