// Package canary sends events through everything, to see that they arrive: one to each partition of raw, which comes out
// in the partition of clean with the same number. The validator says which it has judged, and its keeper of alerts tells
// when one is late: a pipeline that stands still isn't silent.
//
// It refuses to look whether they arrive, and to send what a broker didn't take: the next is soon enough.
package canary

import (
	"context"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
)

// DefaultEvery is how often canaries are sent.
const DefaultEvery = 10 * time.Second

// Send sends canaries until ctx is done, and returns its error, or the broker's. One sends at a time: whoever begins takes
// over from the one before.
func Send(ctx context.Context, c config.Broker, every time.Duration) error {
	raw := broker.TopicsOf(c.TopicPrefix).Raw
	partitions, err := partitionsOf(c, raw)
	if err != nil {
		return err
	}
	p, err := broker.OpenPublisher(ctx, c, c.TopicPrefix+"-canary")
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }() // what it has committed is committed
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	epoch, names := event.NewEpoch(time.Now(), ""), namesOf(partitions)
	for {
		now := time.Now()
		records := make([]broker.Record, len(names))
		for i, name := range names {
			e := event.Canary(epoch, name, now)
			records[i] = broker.Record{Topic: raw, Key: e.RecordKey, Value: e.Value, Headers: e.RecordHeaders()}
		}
		if err := p.Publish(ctx, records); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func partitionsOf(c config.Broker, topic string) (int32, error) {
	scanner, err := broker.NewScanner(c, "datawatch-collector")
	if err != nil {
		return 0, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	all, err := scanner.Partitions(topic)
	return int32(len(all)), err
}

// namesOf are numbers whose canaries' keys lie in each partition of a topic.
func namesOf(partitions int32) []int32 {
	names := make([]int32, partitions)
	missing := partitions
	found := make([]bool, partitions)
	for name := int32(0); missing > 0; name++ {
		if at := broker.PartitionOf(event.CanaryKey(name), partitions); !found[at] {
			names[at], found[at] = name, true
			missing--
		}
	}
	return names
}
