package kafka

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/kafka"
)

// TestLogThatLostWhatWasReadIsAGapAndReadFromWhereItWasLost kills an Apache Kafka, takes from its logs what a machine that
// went down hadn't on the disk yet, and writes on at offsets that were read. One source runs all the while, one was away.
func TestLogThatLostWhatWasReadIsAGapAndReadFromWhereItWasLost(t *testing.T) {
	const read, left = 6, 3 // records of each log that were read, and what is left of those that lose some
	dir := t.TempDir()
	server := testrig.KafkaServerOf(t, kafka.Options{Dir: dir})
	k := newCompany(t, server.Addr())
	logs := []struct {
		name  string
		loses bool
		more  int // records that are written then
		topic string
	}{
		{name: "longer-than-before", loses: true, more: 6},
		{name: "as-long-as-before", loses: true, more: 3},
		{name: "shorter-than-before", loses: true, more: 1},
		{name: "whole", more: 2},
		{name: "whole-and-quiet"},
	}
	for i, l := range logs {
		logs[i].topic = k.topic(t, l.name, 1, nil)
	}
	there, away := newCapture(), newCapture()
	there.runOn(t, k.config(nil))
	stop := away.run(t, k.config(nil))
	there.awaitBegun(t)
	away.awaitBegun(t)
	for n := range read {
		for _, l := range logs {
			k.send(t, message(l.topic, 0, fmt.Sprint("old-", n)))
		}
	}
	for _, c := range []*capture{there, away} {
		for _, l := range logs {
			c.awaitEnd(t, l.topic, read)
		}
	}
	_ = stop()
	away.forgetLeader(t, logs[3].topic) // as a former version left it
	before := away.at(t, logs[0].topic+"/0").Epoch
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, l := range logs {
		if l.loses {
			cutLog(t, filepath.Join(dir, "data", l.topic+"-0", "00000000000000000000.log"), left)
		}
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := k.again(t)
	for _, l := range logs {
		testrig.Eventually(t, time.Minute, func() error { return after.led(l.topic) })
		for n := range l.more {
			after.send(t, message(l.topic, 0, fmt.Sprint("new-", n)))
		}
	}
	away.run(t, k.config(nil))
	for name, c := range map[string]*capture{"there": there, "away": away} {
		for _, l := range logs {
			t.Run(name+"/"+l.name, func(t *testing.T) {
				want := history(l.loses, read, left, l.more)
				testrig.Eventually(t, time.Minute, func() error {
					if got := c.history(l.topic); !slices.Equal(got, want) {
						return fmt.Errorf("captured %q, not %q", got, want)
					}
					return nil
				})
				if gap := c.gapOf(l.topic); l.loses && (!strings.HasPrefix(gap.Position(), string(before)) || !strings.Contains(string(gap.Value), "from offset 3")) {
					t.Errorf("gap %s: %s", gap.ID, gap.Value)
				}
			})
		}
	}
}

// forgetLeader takes the leader epoch from a topic's progress.
func (c *capture) forgetLeader(t *testing.T, topic string) {
	t.Helper()
	at := c.at(t, topic+"/0")
	if at.LeaderEpoch == nil {
		t.Fatalf("progress of %s has no leader epoch", topic)
	}
	at.LeaderEpoch = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress[topic+"/0"] = encode(at)
}

// runOn runs sources until the test ends, one behind the other.
func (c *capture) runOn(t *testing.T, cfg Config) {
	ctx, cancel := context.WithCancel(context.Background())
	var runs sync.WaitGroup
	runs.Go(func() {
		for ctx.Err() == nil {
			s := New(Options{Name: "k", Config: cfg, Internal: internal(), Reporter: c})
			s.refresh, s.patience = 100*time.Millisecond, 5*time.Second
			if err := s.Run(ctx, c.committed(), c.emit); err != nil {
				_ = pause(ctx, 100*time.Millisecond)
			}
		}
	})
	t.Cleanup(func() { cancel(); runs.Wait() })
}

// history is what is captured of a log: its records with their offsets, and the gap.
func history(loses bool, read, left, more int) (want []string) {
	for n := range read {
		want = append(want, fmt.Sprintf("%d old-%d", n, n))
	}
	if loses {
		want = append(want, fmt.Sprintf("%d gap", read))
		read = left
	}
	for n := range more {
		want = append(want, fmt.Sprintf("%d new-%d", read+n, n))
	}
	return want
}

// history is what was captured of a topic, in the order of positions.
func (c *capture) history(topic string) (got []string) {
	events := slices.DeleteFunc(c.all(), func(e event.Raw) bool { return e.Stream.Entity() != topic })
	slices.SortStableFunc(events, func(a, b event.Raw) int { return strings.Compare(a.Position(), b.Position()) })
	for _, e := range events {
		_, offset, _ := strings.Cut(e.Position(), ".")
		text := string(e.Value)
		if e.Type == event.GapType {
			text = "gap"
		}
		got = append(got, strings.TrimLeft(offset[:len(offset)-1], "0")+offset[len(offset)-1:]+" "+text)
	}
	return got
}

func (c *capture) gapOf(topic string) (gap event.Raw) {
	for _, e := range c.all() {
		if e.Type == event.GapType && e.Stream.Entity() == topic {
			gap = e
		}
	}
	return gap
}

// cutLog takes from a segment of a log all but its first batches, each of which says how long it is
// (https://kafka.apache.org/documentation/#recordbatch).
func cutLog(t *testing.T, path string, batches int) {
	t.Helper()
	segment, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for range batches {
		at += 12 + int(binary.BigEndian.Uint32(segment[at+8:]))
	}
	if at >= len(segment) {
		t.Fatalf("%s has no more than %d batches", path, batches)
	}
	if err := os.Truncate(path, int64(at)); err != nil {
		t.Fatal(err)
	}
}

// again is the company with new connections.
func (c *company) again(t *testing.T) *company {
	t.Helper()
	k := *c
	s := clientConfig(t, c.addr)
	var err error
	testrig.Eventually(t, time.Minute, func() error {
		k.admin, err = sarama.NewClusterAdmin([]string{c.addr}, s)
		return err
	})
	if k.producer, err = sarama.NewSyncProducer([]string{c.addr}, s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = k.producer.Close(), k.admin.Close() })
	return &k
}
