package kafka

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/testrig"
)

func TestClustersOwnToolsSeeHowFarTheSourceIs(t *testing.T) {
	eachVersion(t, func(t *testing.T, addr string) {
		k := newCompany(t, addr)
		topic := k.topic(t, "orders", 2, nil)
		c := newCapture()
		group := k.prefix + "-shown"
		c.run(t, k.config(func(cfg *Config) { cfg.ConsumerGroup = group }))
		c.awaitBegun(t)
		k.send(t, message(topic, 0, "a"), message(topic, 0, "b"), message(topic, 1, "c"))
		testrig.Eventually(t, 30*time.Second, func() error {
			offsets, err := k.admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0, 1}})
			if err != nil {
				return err
			}
			if a, b := offsets.GetBlock(topic, 0), offsets.GetBlock(topic, 1); a == nil || b == nil || a.Offset != 2 || b.Offset != 1 {
				return fmt.Errorf("the group shows %+v and %+v", a, b)
			}
			return nil
		})
		described, err := k.admin.DescribeConsumerGroups([]string{group})
		if err != nil || len(described) != 1 || len(described[0].Members) != 0 {
			t.Errorf("the group has members: %+v (%v)", described, err)
		}
	})
}

// TestGroupThatMayNotBeWrittenDisturbsNothing has a group that a member holds, so the cluster refuses offsets of others.
func TestGroupThatMayNotBeWrittenDisturbsNothing(t *testing.T) {
	k := newCompany(t, testrig.Kafka(t))
	topic := k.topic(t, "orders", 1, nil)
	c := newCapture()
	log := &lockedBuffer{}
	cfg := k.config(func(cfg *Config) { cfg.ConsumerGroup = k.prefix })
	k.join(t, k.prefix, topic)
	s := New(Options{Name: "k", Config: cfg, Internal: internal(), Reporter: c, Log: slog.New(slog.NewTextHandler(log, nil))})
	s.groupEvery = 20 * time.Millisecond
	c.runSource(t, s)
	c.awaitBegun(t)
	for _, v := range []string{"a", "b", "c"} {
		k.send(t, message(topic, 0, v))
	}
	c.awaitValues(t, "a", "b", "c")
	testrig.Eventually(t, 10*time.Second, func() error {
		if n := strings.Count(log.String(), "capture goes on"); n == 0 {
			return fmt.Errorf("it isn't told: %s", log)
		}
		return nil
	})
}

// join has a consumer be a member of a group until the test ends.
func (c *company) join(t *testing.T, group, topic string) {
	t.Helper()
	member, err := sarama.NewConsumerGroup(strings.Split(c.addr, ","), group, clientConfig(t, c.addr))
	if err != nil {
		t.Fatal(err)
	}
	h := holder{make(chan struct{})}
	ended := make(chan error, 1)
	ctx, leave := context.WithCancel(context.Background())
	go func() { ended <- member.Consume(ctx, []string{topic}, h) }()
	t.Cleanup(func() {
		leave()
		if err := <-ended; err != nil {
			t.Errorf("membership ended with %v", err)
		}
		_ = member.Close()
	})
	select {
	case <-h.joined:
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	case <-time.After(2 * time.Minute):
		t.Fatal("not a member within two minutes")
	}
}

// holder is a consumer that does nothing but stay.
type holder struct{ joined chan struct{} }

func (h holder) Setup(sarama.ConsumerGroupSession) error   { close(h.joined); return nil }
func (h holder) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h holder) ConsumeClaim(s sarama.ConsumerGroupSession, _ sarama.ConsumerGroupClaim) error {
	<-s.Context().Done()
	return nil
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
