package e2e_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/deploy/telegramsim"
	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/kafka"
)

// benchKafka is a Kafka that is as quick as one in earnest.
func benchKafka(b *testing.B) *kafka.Server {
	b.Helper()
	return testrig.KafkaServerOf(b, kafka.Options{Heap: "1g", JVM: []string{"-XX:+UseG1GC"}})
}

// capturing measures how fast records arrive in a topic: from the first commit that shows to the last.
func capturing(b *testing.B, w *world, topic string, already, n int64, run func()) (count int64, took time.Duration) {
	b.Helper()
	run()
	var began time.Time
	var first int64
	deadline := time.Now().Add(3 * time.Minute)
	for {
		sum, err := w.settled(topic)
		if err != nil {
			b.Fatal(err)
		}
		now := time.Now()
		if sum > already && began.IsZero() {
			began, first = now, sum
		}
		if sum >= already+n {
			return sum - first, now.Sub(began)
		}
		if now.After(deadline) {
			b.Fatalf("%s has %d of %d after 3 minutes", topic, sum-already, n)
		}
		time.Sleep(10 * time.Millisecond) // asking costs the broker, too
	}
}

// BenchmarkKafkaToRaw is of records of 500 bytes that wait in the company's Kafka: what a collector captures a second, as a
// part of what a bare sarama consumer and producer copy in the same transactions, and the most memory that it takes.
func BenchmarkKafkaToRaw(b *testing.B) {
	const records, size = 300_000, 500
	addr := benchKafka(b).Addr()
	servers := places{DSN: testrig.Postgres(b).Database(b), Company: addr, Internal: addr}
	w := newWorldOf(b, servers, servers, telegramsim.Limits{})
	company := newFiller(b, addr)
	w.start("collector")
	w.end("collector")
	_, topics := w.broker()
	var ours, bare struct {
		count int64
		took  time.Duration
	}
	peak := 0
	for b.Loop() {
		from := w.ends(waitingTopic)
		company.fill(b, records, size)
		already, err := w.settled(topics.Raw)
		if err != nil {
			b.Fatal(err)
		}
		n, took := capturing(b, w, topics.Raw, already, records, func() { w.start("collector") })
		ours.count, ours.took = ours.count+n, ours.took+took
		peak = max(peak, highWater(b, w.processes["collector"].PID()))
		w.end("collector")

		ctx, stop := context.WithCancel(b.Context())
		var copying sync.WaitGroup
		n, took = capturing(b, w, topics.Violations, w.sum(topics.Violations), records, func() {
			copying.Go(func() { copyBare(ctx, b, w, from, topics.Violations) })
		})
		bare.count, bare.took = bare.count+n, bare.took+took
		stop()
		copying.Wait()
	}
	rate, bound := float64(ours.count)/ours.took.Seconds(), float64(bare.count)/bare.took.Seconds()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(rate, "events/s")
	b.ReportMetric(bound, "bare-events/s")
	b.ReportMetric(rate/bound, "of-bare")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MB")
}

// copyBare copies the waiting topic with sarama alone, in the settings that pkg/broker uses and in transactions as the
// collector's: at most 5,000 records or 4 MiB, or what 20 ms bring.
func copyBare(ctx context.Context, b *testing.B, w *world, from map[int32]int64, to string) {
	c, _ := w.broker()
	s, err := broker.ClientConfig(c.Cluster, "bare")
	if err != nil {
		b.Error(err)
		return
	}
	s.Net.Proxy.Enable = false // nothing bounds what its fetches bring
	s.Consumer.Fetch.Default = 1 << 20
	s.ChannelBufferSize = 64
	s.Net.MaxOpenRequests = 1
	s.Producer.Idempotent, s.Producer.RequiredAcks = true, sarama.WaitForAll
	s.Producer.Transaction.ID = testrig.Prefix(b)
	s.Producer.Partitioner = sarama.NewMurmur2Partitioner
	s.Producer.Compression = sarama.CompressionLZ4
	s.Producer.MaxMessageBytes = broker.RecordLimit(c)
	s.Producer.Return.Successes = true
	consumer, err := sarama.NewConsumer(c.Addresses, s)
	if err != nil {
		b.Error(err)
		return
	}
	defer func() { _ = consumer.Close() }()
	producer, err := sarama.NewAsyncProducer(c.Addresses, s)
	if err != nil {
		b.Error(err)
		return
	}
	defer func() { _ = producer.Close() }()
	all := make(chan *sarama.ConsumerMessage, 16)
	for p := range int32(waitingPartitions) {
		messages, err := consumer.ConsumePartition(waitingTopic, p, from[p])
		if err != nil {
			b.Error(err)
			return
		}
		defer messages.AsyncClose()
		go func() {
			for m := range messages.Messages() {
				select {
				case all <- m:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	for {
		batch := collectBare(ctx, all)
		if len(batch) == 0 {
			return
		}
		if err := copyBatch(producer, batch, to); err != nil {
			b.Error(err)
			return
		}
	}
}

func collectBare(ctx context.Context, all <-chan *sarama.ConsumerMessage) (batch []*sarama.ConsumerMessage) {
	const most, mostBytes, linger = 5_000, 4 << 20, 20 * time.Millisecond
	size := 0
	var over <-chan time.Time
	for len(batch) < most && size < mostBytes {
		select {
		case m := <-all:
			if batch = append(batch, m); over == nil {
				over = time.After(linger)
			}
			size += len(m.Value)
		case <-over:
			return batch
		case <-ctx.Done():
			return nil
		}
	}
	return batch
}

// copyBatch writes records under the keys that raw gives records without one: those of a partition stay together.
func copyBatch(producer sarama.AsyncProducer, batch []*sarama.ConsumerMessage, to string) error {
	if err := producer.BeginTxn(); err != nil {
		return err
	}
	for sent, answered := 0, 0; answered < len(batch); {
		var input chan<- *sarama.ProducerMessage
		var message *sarama.ProducerMessage
		if sent < len(batch) {
			m := batch[sent]
			key := event.KeylessRecordKey(event.StreamOf("shop-kafka", event.TopicEntity(m.Topic)), m.Partition)
			input, message = producer.Input(), &sarama.ProducerMessage{Topic: to, Key: sarama.ByteEncoder(key), Value: sarama.ByteEncoder(m.Value)}
		}
		select {
		case input <- message:
			sent++
		case <-producer.Successes():
			answered++
		case err := <-producer.Errors():
			return err
		}
	}
	return producer.CommitTxn()
}

// ends is where each partition of a topic ends for a reader with read_committed.
func (w *world) ends(topic string) map[int32]int64 {
	w.t.Helper()
	ends, err := w.endsOf(topic)
	if err != nil {
		w.t.Fatal(err)
	}
	return ends
}

// sum is how many offsets a topic has, those of markers included.
func (w *world) sum(topic string) (sum int64) {
	w.t.Helper()
	for _, end := range w.ends(topic) {
		sum += end
	}
	return sum
}

func (w *world) settled(topic string) (sum int64, err error) {
	ends, err := w.endsOf(topic)
	for _, end := range ends {
		sum += end
	}
	return sum, err
}

func (w *world) endsOf(topic string) (map[int32]int64, error) {
	if w.looking == nil {
		c, _ := w.broker()
		s, err := broker.NewScanner(c, "e2e")
		if err != nil {
			return nil, err
		}
		w.looking = s
		w.t.Cleanup(func() { _ = s.Close() })
	}
	partitions, err := w.looking.Partitions(topic)
	if err != nil {
		return nil, err
	}
	ends := map[int32]int64{}
	for _, p := range partitions {
		if ends[p], err = w.looking.Settled(w.t.Context(), topic, p); err != nil {
			return nil, err
		}
	}
	return ends, nil
}
