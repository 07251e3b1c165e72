package judge

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sync/errgroup"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig"
	"datawatch/validator/internal/accept/ordersample"
	"datawatch/validator/internal/schemas"
)

// A run reads this many events, in transactions of at most batchRecords or batchBytes. The clock begins with the first
// transaction, behind the first fetch: they are many times what that brings, so that what is measured is how fast events go on
// to come.
const (
	benchEvents  = 400_000
	batchRecords = 5_000
	batchBytes   = 8 << 20
	linger       = 20 * time.Millisecond
)

// BenchmarkStage measures events a second from clean to the committed verdict, and of bare sarama consumers whose offsets
// a bare producer commits, on the same broker in alternating runs. A run's clock begins with its first commit.
//
// The same for both: the events, and how many of them a transaction takes at most, by number, bytes and linger; that they
// are read committed, by one connection for all partitions, in one process; acks, idempotence, and the pause before a
// transaction is begun again while the one before still ends. The stage alone has what makes it a service: its place in a
// group and the fencing by it, records that it writes in each transaction, a bound of what fetches bring. It commits a
// batch while it judges the next; the bare loop does one after the other, but has nothing to do meanwhile, and fetches
// four times as much at once. Go is set up for the stage as the service does that (daemon.RunBusy); the bare loop has it as it is.
func BenchmarkStage(b *testing.B) {
	c := config.DefaultShared().Broker
	c.Addresses, c.TopicPrefix = strings.Split(testrig.Kafka(b), ","), testrig.Prefix(b)
	if err := broker.EnsureTopics(b.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		b.Fatal(err)
	}
	loadClean(b, c)
	set := sampleSet(b)
	share := 0.0
	runs := map[string]func(context.Context, func(int)) error{
		"bare": func(ctx context.Context, committed func(int)) error { return runBare(ctx, c, committed) },
		"ours": func(ctx context.Context, committed func(int)) error {
			defer daemon.RunBusy()()
			registry := prometheus.NewRegistry()
			j := New(Options{Broker: c, Schemas: func() *schemas.Set { return set }, Log: slog.New(slog.DiscardHandler), Metrics: registry})
			err := runOurs(ctx, j, committed)
			share = testutil.ToFloat64(j.metrics.fastPath.WithLabelValues(string(ordersample.Stream), string(accepted))) / benchEvents
			return err
		},
	}
	took := map[string]time.Duration{}
	counted := map[string]int{}
	for b.Loop() {
		for _, name := range []string{"bare", "ours", "ours", "bare"} {
			n, d := measure(b, runs[name])
			counted[name], took[name] = counted[name]+n, took[name]+d
		}
	}
	rate := func(name string) float64 { return float64(counted[name]) / took[name].Seconds() }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(rate("ours"), "events/s")
	b.ReportMetric(rate("bare"), "bare-events/s")
	b.ReportMetric(rate("ours")/rate("bare"), "of-bare")
	b.ReportMetric(share, "fast-share")
}

// sampleSet is a schema folder with the sample's file.
func sampleSet(t testing.TB) *schemas.Set {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, string(ordersample.Stream)+".json")
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(ordersample.Schema), 0o644)); err != nil {
		t.Fatal(err)
	}
	set, err := schemas.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// measure runs until every event is committed, and gives how many were committed behind the first transaction, and in
// what time.
func measure(b *testing.B, run func(context.Context, func(int)) error) (int, time.Duration) {
	var first, last time.Time
	var firstN, n int
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	err := run(ctx, func(committed int) {
		n += committed
		last = time.Now()
		if first.IsZero() {
			first, firstN = last, n
		}
		if n == benchEvents {
			cancel()
		}
	})
	if n != benchEvents {
		b.Fatalf("%d events of %d were committed: %v", n, benchEvents, err)
	}
	return n - firstN, last.Sub(first)
}

func loadClean(b *testing.B, c config.Broker) {
	b.Helper()
	p, err := broker.OpenPublisher(b.Context(), c, c.TopicPrefix+"-source-bench")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	var batch []broker.Record
	for i := range benchEvents {
		e := ordersample.Event(i, ordersample.RightTotal)
		batch = append(batch, broker.Record{Topic: broker.TopicsOf(c.TopicPrefix).Clean, Key: e.RecordKey(), Value: e.AppendJSON(nil)})
		if len(batch) == batchRecords || i == benchEvents-1 {
			if err := p.Publish(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
}

// runOurs runs the judge's own stage under a group of its own, from the beginning of clean.
func runOurs(ctx context.Context, j *Judge, committed func(int)) error {
	scanner, err := broker.NewScanner(j.options.Broker, "bench")
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }()
	j.scanner = scanner
	stage := j.stage()
	stage.Group += "-" + uuid.NewString()
	stage.MaxRecords, stage.MaxBytes, stage.Linger = batchRecords, batchBytes, linger
	stage.Committed = func(batch, written []broker.Record) {
		j.committed(batch, written)
		committed(len(batch))
	}
	return stage.Run(ctx)
}

// runBare reads clean with sarama alone, in the settings that pkg/broker uses.
func runBare(ctx context.Context, c config.Broker, committed func(int)) error {
	s, err := broker.ClientConfig(c.Cluster, "bare")
	if err != nil {
		return err
	}
	s.Net.Proxy.Enable = false // nothing bounds what its fetches bring
	s.Consumer.Offsets.Initial = sarama.OffsetOldest
	s.Consumer.Offsets.AutoCommit.Enable = false
	s.Consumer.Fetch.Default = 1 << 20
	s.Consumer.IsolationLevel = sarama.ReadCommitted
	s.ChannelBufferSize = 64
	s.Net.MaxOpenRequests = 1
	s.Producer.Idempotent, s.Producer.RequiredAcks = true, sarama.WaitForAll
	s.Producer.Transaction.ID = uuid.NewString()
	s.Producer.Transaction.Retry.Max, s.Producer.Transaction.Retry.Backoff = 5000, 2*time.Millisecond
	s.Producer.Return.Successes = true
	producer, err := sarama.NewAsyncProducer(c.Addresses, s)
	if err != nil {
		return err
	}
	defer func() { _ = producer.Close() }()
	consumer, err := sarama.NewConsumer(c.Addresses, s)
	if err != nil {
		return err
	}
	defer func() { _ = consumer.Close() }()
	topic := broker.TopicsOf(c.TopicPrefix).Clean
	intake := make(chan *sarama.ConsumerMessage, 16)
	var claims errgroup.Group
	for partition := range c.Partitions {
		claim, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
		if err != nil {
			return err
		}
		claims.Go(func() error {
			defer func() { _ = claim.Close() }()
			for {
				select {
				case m := <-claim.Messages():
					select {
					case intake <- m:
					case <-ctx.Done():
						return nil
					}
				case <-ctx.Done():
					return nil
				}
			}
		})
	}
	err = commitAll(ctx, producer, topic, intake, committed)
	return errors.Join(err, claims.Wait())
}

// commitAll does nothing with batches but to commit them, each in a transaction.
func commitAll(ctx context.Context, producer sarama.AsyncProducer, topic string, intake <-chan *sarama.ConsumerMessage, committed func(int)) error {
	group := "bare-" + uuid.NewString()
	for {
		next, n := collectBare(ctx, intake)
		if n == 0 {
			return nil
		}
		var offsets []*sarama.PartitionOffsetMetadata
		for partition, offset := range next {
			offsets = append(offsets, &sarama.PartitionOffsetMetadata{Partition: partition, Offset: offset})
		}
		if err := producer.BeginTxn(); err != nil {
			return err
		}
		if err := producer.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{topic: offsets}, group); err != nil {
			return err
		}
		if err := producer.CommitTxn(); err != nil {
			return err
		}
		committed(n)
	}
}

// collectBare takes a batch of the size that the stage's have, and gives the offsets behind it.
func collectBare(ctx context.Context, intake <-chan *sarama.ConsumerMessage) (next map[int32]int64, n int) {
	next = map[int32]int64{}
	var over <-chan time.Time
	for size := 0; n < batchRecords && size < batchBytes; n++ {
		select {
		case m := <-intake:
			next[m.Partition] = m.Offset + 1
			size += len(m.Key) + len(m.Value)
			if over == nil {
				over = time.After(linger)
			}
		case <-over:
			return next, n
		case <-ctx.Done():
			return nil, 0
		}
	}
	return next, n
}
