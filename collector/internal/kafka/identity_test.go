package kafka

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// byHand is a reader whose fetches are made when the test says so.
type byHand struct {
	*reader
	fetcher *fetcher
	capture *capture
}

func newByHand(t *testing.T, k *company) *byHand {
	t.Helper()
	c := newCapture()
	s := New(Options{Name: "k", Config: k.config(nil), Internal: internal(), Reporter: c})
	s.refresh = time.Hour
	cluster, err := newCluster(t.Context(), s.Config.Cluster, s.Internal)
	if err != nil {
		t.Fatal(err)
	}
	h := &byHand{capture: c, reader: newReader(s, cluster, map[partition]position{}, c.emit)}
	h.fetchers = func(f *fetcher) {
		h.fetcher = f
		f.taken, f.empty = make(chan struct{}, 1), map[partition]int{}
	}
	t.Cleanup(func() { h.emitter.close(); cluster.close() })
	if err := h.begin(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	return h
}

// fetchOnce fetches what is due, and takes and commits what came.
func (h *byHand) fetchOnce(t *testing.T) {
	t.Helper()
	due, _ := h.board.due(h.fetcher.broker)
	ended := make(chan error, 1)
	go func() {
		_, err := h.fetcher.fetch(t.Context(), due, fetchLeast)
		ended <- err
	}()
	for {
		select {
		case c := <-h.chunks:
			if err := h.take(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			c.taken <- struct{}{}
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			h.commit(t)
			return
		}
	}
}

func (h *byHand) commit(t *testing.T) {
	t.Helper()
	if err := h.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.emitter.wait(); err != nil {
		t.Fatal(err)
	}
}

// lookNow has the cluster described, as it is now and then.
func (h *byHand) lookNow(t *testing.T) {
	t.Helper()
	if err := h.look(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	h.commit(t)
}

// TestTopicThatIsRecreatedBetweenTwoFetchesIsANewEpoch: no fetch was refused, and the new topic has the offset that is next.
func TestTopicThatIsRecreatedBetweenTwoFetchesIsANewEpoch(t *testing.T) {
	eachVersion(t, func(t *testing.T, addr string) {
		k := newCompany(t, addr)
		topic := k.topic(t, "orders", 1, nil)
		h := newByHand(t, k)
		k.send(t, message(topic, 0, "a"), message(topic, 0, "b"))
		for len(h.capture.values()) < 2 {
			h.fetchOnce(t)
		}
		before := h.capture.at(t, topic+"/0")
		if err := k.admin.DeleteTopic(topic); err != nil {
			t.Fatal(err)
		}
		k.topic(t, "orders", 1, nil)
		k.send(t, message(topic, 0, "c"), message(topic, 0, "d"), message(topic, 0, "e"), message(topic, 0, "f"))
		h.fetchOnce(t)
		if got := h.capture.values(); len(got) != 2 {
			t.Fatalf("%q came as the topic's that is gone", got)
		}
		if due := time.Until(h.refreshDue); due > minRefresh {
			t.Errorf("the cluster is to be asked in %s only", due)
		}
		h.lookNow(t)
		for len(h.capture.values()) < 6 {
			h.fetchOnce(t)
		}
		gap, _ := h.capture.awaitGap(t, gapRecreated)
		if gap.Position() != event.OffsetPosition(before.Epoch, 2) {
			t.Errorf("gap at %s", gap.Position())
		}
		last := ""
		for _, e := range h.capture.all() {
			if e.Position() <= last {
				t.Errorf("%q at %s came behind %s", e.Value, e.Position(), last)
			}
			last = e.Position()
		}
		if after := h.capture.at(t, topic+"/0"); after.Offset != 4 || after.TopicID == before.TopicID {
			t.Errorf("progress went from %+v to %+v", before, after)
		}
	})
}

// TestTopicThatIsDeletedBeforeAllOfItWasReadIsAGap has more in one partition than a fetch brings, and another read to its end.
// A topic of that name which comes later is a new one, and no second gap.
func TestTopicThatIsDeletedBeforeAllOfItWasReadIsAGap(t *testing.T) {
	eachVersion(t, func(t *testing.T, addr string) {
		const records = 40
		k := newCompany(t, addr)
		topic := k.topic(t, "orders", 2, nil)
		h := newByHand(t, k)
		k.send(t, message(topic, 1, "all of it"))
		for len(h.capture.values()) < 1 {
			h.fetchOnce(t)
		}
		value := string(make([]byte, 100<<10))
		for range records {
			k.send(t, message(topic, 0, value))
		}
		for len(h.capture.values()) < 2 {
			h.fetchOnce(t)
		}
		before := h.capture.at(t, topic+"/0")
		if before.Offset == 0 || before.Offset == records {
			t.Fatalf("a fetch brought %d of %d records", before.Offset, records)
		}
		if err := k.admin.DeleteTopic(topic); err != nil {
			t.Fatal(err)
		}
		testrig.Eventually(t, 30*time.Second, func() error {
			if h.lookNow(t); len(h.capture.gaps) == 0 {
				return errors.New("no gap")
			}
			return nil
		})
		told, gap := h.capture.awaitGap(t, gapDeleted)
		if gap.Lost == nil || *gap.Lost != records-before.Offset || !strings.HasSuffix(told.Position(), fmt.Sprintf("%019d", before.Offset)) {
			t.Errorf("gap %+v at %s, behind %+v", gap, told.Position(), before)
		}
		k.topic(t, "orders", 1, nil)
		k.send(t, message(topic, 0, "new"))
		for values := h.capture.values(); values[len(values)-1] != "new"; values = h.capture.values() {
			h.lookNow(t)
			h.fetchOnce(t)
		}
		if after := h.capture.at(t, topic+"/0"); after.Offset != 1 || after.Epoch <= before.Epoch || len(h.capture.gaps) != 1 {
			t.Errorf("progress went from %+v to %+v, with the gaps %q", before, after, h.capture.gaps)
		}
	})
}

// TestLeaderThatHasTheFormerTopicYetIsNotAskedWhereTheNewOneBegins: brokers learn of a new topic one after the other.
func TestLeaderThatHasTheFormerTopicYetIsNotAskedWhereTheNewOneBegins(t *testing.T) {
	eachVersion(t, func(t *testing.T, addr string) {
		k := newCompany(t, addr)
		h := newByHand(t, k)
		name := k.topic(t, "orders", 1, nil)
		k.send(t, message(name, 0, "a"))
		p := partition{name, 0}
		topics, err := h.cluster.topics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		other := topics[name]
		other.id = "another"
		if err := h.reconcile(t.Context(), map[string]topic{name: other}, false); err != nil {
			t.Fatal(err)
		}
		if at, known := h.positions[p]; known {
			t.Errorf("it begins at %+v of the former topic", at)
		}
		if due := time.Until(h.refreshDue); due > minRefresh {
			t.Errorf("the cluster is to be asked in %s only", due)
		}
		h.lookNow(t)
		for len(h.capture.values()) < 1 {
			h.fetchOnce(t)
		}
	})
}

// TestPartitionsThatAFullFetchLeavesOutComeAllTheSame has more in each of three partitions than one fetch brings of all; the
// embedded broker's answer doesn't name what it had no room for.
func TestPartitionsThatAFullFetchLeavesOutComeAllTheSame(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		const partitions, each = 3, 15
		k := newCompany(t, addr)
		topic := k.topic(t, "orders", partitions, nil)
		h := newByHand(t, k)
		value := string(make([]byte, 100<<10))
		for p := range int32(partitions) {
			for range each {
				k.send(t, message(topic, p, value))
			}
		}
		for fetches := 0; len(h.capture.values()) < partitions*each; fetches++ {
			if h.fetchOnce(t); fetches > 100*partitions*each {
				t.Fatalf("%d records", len(h.capture.values()))
			}
		}
	})
}
