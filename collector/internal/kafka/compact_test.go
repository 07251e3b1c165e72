package kafka

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// TestCompactedTopicIsReadAsItIs: where compaction took records away, before they were read and behind a place that was
// read, what is left is captured, and nothing is called a gap.
func TestCompactedTopicIsReadAsItIs(t *testing.T) {
	for name, cluster := range map[string]func(testing.TB) string{"kafka": testrig.Kafka, "kafka-3.9": testrig.OlderKafka} {
		t.Run(name, func(t *testing.T) {
			k := newCompany(t, cluster(t))
			k.cleanOften(t)
			topic := k.topic(t, "prices", 1, map[string]string{
				"cleanup.policy": "compact", "segment.ms": "1", "min.cleanable.dirty.ratio": "0.001", "delete.retention.ms": "0", "min.compaction.lag.ms": "0",
			})
			set := func(key, value string) { // each in a segment of its own
				m := &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(key)}
				if value != "" {
					m.Value = sarama.StringEncoder(value)
				}
				k.send(t, m)
			}
			for i := range 4 {
				set("tea", fmt.Sprint("tea-", i))
				set("cup", fmt.Sprint("cup-", i))
			}
			set("pot", "pot-0") // offset 8
			c := newCapture()
			stop := c.run(t, k.config(func(cfg *Config) { cfg.Start = startEarliest }))
			testrig.Eventually(t, 30*time.Second, func() error {
				if at := c.at(t, topic+"/0"); at.Offset != 9 {
					return fmt.Errorf("read up to %d", at.Offset)
				}
				return nil
			})
			_ = stop()
			set("pot", "") // a tombstone, which may go or stay
			for i := range 3 {
				set("tea", fmt.Sprint("tea-", 9+i))
			}
			set("end", "end") // offset 13, never cleaned: it is in the active segment
			left := k.awaitCompaction(t, topic, 13)

			read := len(c.records())
			c.run(t, k.config(nil))
			c.awaitEnd(t, topic, 14)
			var all, behind []string
			for _, l := range left {
				all = append(all, l.text())
				if l.offset > 9 {
					behind = append(behind, l.text())
				}
			}
			if got := c.records()[read:]; !slices.Equal(got, behind) {
				t.Errorf("behind the place that was read %q was captured, not %q", got, behind)
			}
			fresh := newCapture()
			fresh.run(t, k.config(func(cfg *Config) { cfg.Start = startEarliest }))
			fresh.awaitEnd(t, topic, 14)
			if got := fresh.records(); !slices.Equal(got, all) || len(c.gaps)+len(fresh.gaps) > 0 {
				t.Errorf("%q was captured, not %q; gaps %v and %v", got, all, c.gaps, fresh.gaps)
			}
		})
	}
}

// awaitEnd waits until a topic's only partition was read up to an offset.
func (c *capture) awaitEnd(t *testing.T, topic string, end int64) {
	t.Helper()
	testrig.Eventually(t, 30*time.Second, func() error {
		if at := c.at(t, topic+"/0"); at.Offset != end {
			return fmt.Errorf("read up to %d of %d", at.Offset, end)
		}
		return nil
	})
}

// cleanOften has the cluster's cleaner look for work all the time, where usually it does every 15 seconds.
func (c *company) cleanOften(t *testing.T) {
	t.Helper()
	often := "50"
	set := map[string]sarama.IncrementalAlterConfigsEntry{"log.cleaner.backoff.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &often}}
	if err := c.admin.IncrementalAlterConfig(sarama.BrokerResource, "", set, false); err != nil {
		t.Fatal(err)
	}
}

// records are the captured ones that aren't tombstones, with their offsets.
func (c *capture) records() (records []string) {
	for _, e := range c.all() {
		if e.Type == event.RawType && e.Value != nil {
			position := e.Position()
			records = append(records, strings.TrimLeft(position[strings.LastIndexByte(position, '.')+1:], "0")+" "+string(e.Value))
		}
	}
	return records
}

// kept is a record that compaction left.
type kept struct {
	offset int64
	value  string
}

func (k kept) text() string { return fmt.Sprintf("%d %s", k.offset, k.value) }

// awaitCompaction waits until up to end no key has two records, and gives those that are left, but for tombstones.
func (c *company) awaitCompaction(t *testing.T, topic string, end int64) (left []kept) {
	t.Helper()
	testrig.Eventually(t, 2*time.Minute, func() error {
		consumer, err := sarama.NewConsumer(strings.Split(c.addr, ","), clientConfig(t, c.addr))
		if err != nil {
			return err
		}
		defer func() { _ = consumer.Close() }()
		messages, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
		if err != nil {
			return err
		}
		defer func() { _ = messages.Close() }()
		left = nil
		keys := map[string]bool{}
		for {
			select {
			case m := <-messages.Messages():
				if keys[string(m.Key)] {
					return fmt.Errorf("%s is twice there", m.Key)
				}
				keys[string(m.Key)] = true
				if m.Value != nil {
					left = append(left, kept{m.Offset, string(m.Value)})
				}
				if m.Offset == end {
					return nil
				}
			case <-time.After(10 * time.Second):
				return errors.New("nothing comes")
			}
		}
	})
	return left
}
