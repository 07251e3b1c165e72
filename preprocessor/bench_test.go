package preprocessor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"datawatch/pkg/broker"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"

	"datawatch/preprocessor/internal/waitalert"
)

// A run reads this many events of about 600 bytes, in transactions of at most batchRecords or batchBytes.
const (
	benchEvents  = 100_000
	batchRecords = 5_000
	batchBytes   = 8 << 20
	linger       = 20 * time.Millisecond
)

// BenchmarkPreprocessor measures events a second from raw to clean, and of a bare sarama consumer and producer that copy
// the same records in the same transactions, on the same broker in alternating runs. A run's clock begins with its first
// commit, so that neither joining the group nor opening the producer counts.
func BenchmarkPreprocessor(b *testing.B) {
	c := DefaultConfig()
	c.Broker.Addresses = strings.Split(testrig.Kafka(b), ",")
	c.Broker.TopicPrefix = testrig.Prefix(b)
	if err := broker.EnsureTopics(b.Context(), c.Broker, slog.New(slog.DiscardHandler)); err != nil {
		b.Fatal(err)
	}
	loadRaw(b, c, benchEvents)
	runs := map[string]func(testing.TB, Config, func(int)){"bare": runBare, "ours": runOurs}
	took := map[string]time.Duration{}
	counted := map[string]int{}
	for b.Loop() {
		for _, name := range []string{"bare", "ours", "ours", "bare"} {
			n, d := measure(b, c, runs[name])
			counted[name], took[name] = counted[name]+n, took[name]+d
		}
	}
	rate := func(name string) float64 { return float64(counted[name]) / took[name].Seconds() }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(rate("ours"), "events/s")
	b.ReportMetric(rate("bare"), "bare-events/s")
	b.ReportMetric(rate("ours")/rate("bare"), "of-bare")
}

// measure runs until every event is committed, and gives how many were committed behind the first transaction, and in
// what time.
func measure(b *testing.B, c Config, run func(testing.TB, Config, func(int))) (int, time.Duration) {
	var first, last time.Time
	var firstN, n int
	done := make(chan struct{})
	ended := make(chan struct{})
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	go func() {
		defer close(ended)
		run(ctxTB{b, ctx}, c, func(committed int) {
			n += committed
			last = time.Now()
			if first.IsZero() {
				first, firstN = last, n
			}
			if n == benchEvents {
				close(done)
			}
		})
	}()
	select {
	case <-done:
	case <-ctx.Done():
		b.Error("the events weren't committed in time")
	}
	cancel()
	<-ended
	return n - firstN, last.Sub(first)
}

// ctxTB is a test whose context ends with a run.
type ctxTB struct {
	testing.TB
	ctx context.Context
}

func (t ctxTB) Context() context.Context { return t.ctx }

func loadRaw(b *testing.B, c Config, events int) {
	b.Helper()
	p, err := broker.OpenPublisher(b.Context(), c.Broker, c.Broker.TopicPrefix+"-source-bench")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	stream := event.StreamOf("shop-db", "public.orders")
	note := string(bytes.Repeat([]byte("n"), 260))
	var batch []broker.Record
	for i := range events {
		key := fmt.Appendf(nil, `{"id":%d}`, i%1000)
		change, err := json.Marshal(event.RowChange{
			Version: 1, Op: event.Insert, Database: "shop", Schema: "public", Table: "orders", KeyColumns: []string{"id"}, Transaction: "7",
			Columns: []event.Column{{Name: "id", Type: "bigint", Base: "int8"}, {Name: "note", Type: "text", Base: "text"}, {Name: "total", Type: "numeric", Base: "numeric"}},
			After:   json.RawMessage(fmt.Sprintf(`{"id":%d,"note":%q,"total":149.97}`, i%1000, note)),
		})
		if err != nil {
			b.Fatal(err)
		}
		r := &event.Raw{
			Type: event.RawType, Kind: event.Postgres, ID: event.ID("shop-db", event.TickPosition("20261122T101500Z", int64(i), 0)), Stream: stream,
			Time: time.Now(), RecordKey: event.RecordKey(stream, key), Key: key, Value: change, CapturedAt: time.Now(),
		}
		batch = append(batch, broker.Record{Topic: broker.TopicsOf(c.Broker.TopicPrefix).Raw, Key: r.RecordKey, Value: change, Headers: r.RecordHeaders()})
		if len(batch) == batchRecords || i == events-1 {
			if err := p.Publish(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
}

// runOurs runs the service's own stage under a group of its own, from the beginning of raw.
func runOurs(t testing.TB, c Config, committed func(int)) {
	env := daemon.NewEnv(slog.New(slog.DiscardHandler))
	p, err := newPipeline(c, env, func([]waitalert.Wait) {})
	if err != nil {
		t.Error(err)
		return
	}
	stage := stageOf(c, p, env)
	stage.Group += "-" + uuid.NewString()
	stage.MaxRecords, stage.MaxBytes, stage.Linger = batchRecords, batchBytes, linger
	stage.Committed = func(batch, written []broker.Record) {
		p.Committed(batch, written)
		committed(len(batch))
	}
	if err := stage.Run(t.Context()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// runBare copies raw with sarama alone, in the settings that pkg/broker uses.
func runBare(t testing.TB, c Config, committed func(int)) {
	s, err := broker.ClientConfig(c.Broker.Cluster, "bare")
	if err != nil {
		t.Error(err)
		return
	}
	s.Net.Proxy.Enable = false // nothing bounds what its fetches bring
	s.Consumer.Offsets.Initial = sarama.OffsetOldest
	s.Consumer.Offsets.AutoCommit.Enable = false
	s.Consumer.Fetch.Default = 1 << 20
	s.ChannelBufferSize = 64
	s.Net.MaxOpenRequests = 1
	s.Producer.Idempotent, s.Producer.RequiredAcks = true, sarama.WaitForAll
	s.Producer.Transaction.ID = uuid.NewString()
	s.Producer.Partitioner = sarama.NewMurmur2Partitioner
	s.Producer.Compression = sarama.CompressionLZ4
	s.Producer.MaxMessageBytes = broker.RecordLimit(c.Broker)
	s.Producer.Return.Successes = true
	producer, err := sarama.NewAsyncProducer(c.Broker.Addresses, s)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = producer.Close() }()
	group := "bare-" + uuid.NewString()
	g, err := sarama.NewConsumerGroup(c.Broker.Addresses, group, s)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = g.Close() }()
	topics := broker.TopicsOf(c.Broker.TopicPrefix)
	h := &bareCopy{group: group, to: topics.Violations, producer: producer, committed: committed, intake: make(chan *sarama.ConsumerMessage, 16)}
	if err := errors.Join(g.Consume(t.Context(), []string{topics.Raw}, h), h.failed); err != nil && t.Context().Err() == nil {
		t.Error(err)
	}
}

// bareCopy is a handler of a consumer group that writes what it reads to another topic.
type bareCopy struct {
	group, to string
	producer  sarama.AsyncProducer
	committed func(int)
	intake    chan *sarama.ConsumerMessage
	ended     chan struct{}
	failed    error
}

func (h *bareCopy) Setup(session sarama.ConsumerGroupSession) error {
	h.ended = make(chan struct{})
	go func() {
		defer close(h.ended)
		h.failed = h.copy(session)
	}()
	return nil
}

func (h *bareCopy) Cleanup(sarama.ConsumerGroupSession) error {
	<-h.ended
	return nil
}

func (h *bareCopy) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case m, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			select {
			case h.intake <- m:
			case <-session.Context().Done():
				return nil
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

func (h *bareCopy) copy(session sarama.ConsumerGroupSession) error {
	metadata := sarama.NewConsumerGroupMetadataFromSession(session, h.group, nil)
	for {
		batch := h.collect(session.Context())
		if len(batch) == 0 {
			return nil
		}
		if err := h.transact(batch, metadata); err != nil {
			return err
		}
		h.committed(len(batch))
	}
}

func (h *bareCopy) collect(ctx context.Context) (batch []*sarama.ConsumerMessage) {
	size := 0
	var over <-chan time.Time
	for len(batch) < batchRecords && size < batchBytes {
		select {
		case m := <-h.intake:
			if batch = append(batch, m); over == nil {
				over = time.After(linger)
			}
			size += len(m.Key) + len(m.Value)
			for _, header := range m.Headers {
				size += len(header.Key) + len(header.Value)
			}
		case <-over:
			return batch
		case <-ctx.Done():
			return nil
		}
	}
	return batch
}

func (h *bareCopy) transact(batch []*sarama.ConsumerMessage, metadata *sarama.ConsumerGroupMetadata) error {
	if err := h.producer.BeginTxn(); err != nil {
		return err
	}
	sent := 0
	next := map[int32]int64{}
	for answered := 0; answered < len(batch); {
		var input chan<- *sarama.ProducerMessage
		var message *sarama.ProducerMessage
		if sent < len(batch) {
			m := batch[sent]
			next[m.Partition] = m.Offset + 1
			input, message = h.producer.Input(), &sarama.ProducerMessage{Topic: h.to, Key: sarama.ByteEncoder(m.Key), Value: sarama.ByteEncoder(m.Value)}
		}
		select {
		case input <- message:
			sent++
		case <-h.producer.Successes():
			answered++
		case err := <-h.producer.Errors():
			return err
		}
	}
	var offsets []*sarama.PartitionOffsetMetadata
	for partition, offset := range next {
		offsets = append(offsets, &sarama.PartitionOffsetMetadata{Partition: partition, Offset: offset})
	}
	if err := h.producer.AddOffsetsToTxnWithGroupMetadata(map[string][]*sarama.PartitionOffsetMetadata{batch[0].Topic: offsets}, metadata); err != nil {
		return err
	}
	return h.producer.CommitTxn()
}
