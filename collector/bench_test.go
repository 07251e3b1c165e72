package collector

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/postgres"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/testrig"
)

// line is a whole collector between a real PostgreSQL and a real Kafka, whose raw topic is read with read_committed.
type line struct {
	db   *pgx.Conn
	seen chan arrival
}

type arrival struct {
	id int
	at time.Time
}

func newLine(b *testing.B, capture string) *line {
	dsn := testrig.Postgres(b).Database(b)
	db, err := pgx.Connect(b.Context(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close(context.Background()) })
	if _, err := db.Exec(b.Context(), "create table t (id int primary key, customer text, total numeric(12,2), at timestamptz default now(), note text)"); err != nil {
		b.Fatal(err)
	}
	addr := testrig.Kafka(b)
	c := configuration(b, addr, addr, testrig.Prefix(b))
	var p postgres.Config
	p.SetDefaults()
	p.DSN, p.Capture, p.AllowUnboundedWAL = config.Secret(dsn), capture, true
	c.Collector.Sources = []Source{{Name: strings.ReplaceAll(db.Config().Database, "_", "-"), Postgres: &p}}
	startLogging(b, c, io.Discard)
	l := &line{db: db, seen: make(chan arrival, 1<<16)}
	l.consume(b, addr, broker.TopicsOf(c.Broker.TopicPrefix).Raw, c.Broker.Partitions)
	return l
}

// consume reads every partition until the benchmark ends.
func (l *line) consume(b *testing.B, addr, topic string, partitions int32) {
	s, err := broker.ClientConfig(config.Cluster{Addresses: strings.Split(addr, ",")}, "bench")
	if err != nil {
		b.Fatal(err)
	}
	s.Consumer.IsolationLevel = sarama.ReadCommitted
	consumer, err := sarama.NewConsumer(strings.Split(addr, ","), s)
	if err != nil {
		b.Fatal(err)
	}
	var reading sync.WaitGroup
	var opened []sarama.PartitionConsumer
	for p := range partitions {
		from, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
		if err != nil {
			b.Fatal(err)
		}
		opened = append(opened, from)
		reading.Go(func() {
			for m := range from.Messages() {
				at := time.Now()
				_, key, _ := strings.Cut(string(m.Key), "\n")
				var row struct{ ID *int }
				if json.Unmarshal([]byte(key), &row) == nil && row.ID != nil { // else a canary
					l.seen <- arrival{*row.ID, at}
				}
			}
		})
	}
	b.Cleanup(func() {
		for _, from := range opened {
			from.AsyncClose()
		}
		go func() { reading.Wait(); close(l.seen) }()
		for range l.seen { // so that nobody waits
		}
		_ = consumer.Close()
	})
}

func (l *line) await(b *testing.B, n int) []arrival {
	b.Helper()
	arrived := make([]arrival, 0, n)
	late := time.After(2 * time.Minute)
	for len(arrived) < n {
		select {
		case a := <-l.seen:
			arrived = append(arrived, a)
		case <-late:
			b.Fatalf("%d of %d rows are in raw", len(arrived), n)
		}
	}
	return arrived
}

// BenchmarkRaw is of 200,000 rows of 200 bytes that one statement wrote: from its end until all can be read in raw. The
// memory is the most that this process had, with what reads the topic and with PostgreSQL and Kafka beside it.
func BenchmarkRaw(b *testing.B) {
	const rows = 200_000
	for _, capture := range []string{"triggers", "wal"} {
		b.Run(capture, func(b *testing.B) {
			l := newLine(b, capture)
			n := 0
			var took time.Duration
			b.ResetTimer()
			for range max(2, b.N) {
				_, err := l.db.Exec(b.Context(), `insert into t select g, 'customer ' || g, g * 1.01, now(), repeat('x', 140) from generate_series($1::int, $2::int) g`, n+1, n+rows)
				if err != nil {
					b.Fatal(err)
				}
				n += rows
				started := time.Now()
				l.await(b, rows)
				took += time.Since(started)
			}
			b.ReportMetric(float64(n)/took.Seconds(), "rows/s")
			b.ReportMetric(peakMB(b), "peak-MB")
		})
	}
}

// BenchmarkCommitToRaw writes 1,000 rows a second, a transaction each: from its commit until it can be read in raw. The first
// four seconds don't count: a Kafka that was started a moment ago is still being compiled.
func BenchmarkCommitToRaw(b *testing.B) {
	for _, capture := range []string{"triggers", "wal"} {
		b.Run(capture, func(b *testing.B) {
			l := newLine(b, capture)
			const every, early = time.Millisecond, 4000
			rows := early + max(8000, b.N)
			committed := make([]time.Time, rows)
			b.ResetTimer()
			started := time.Now()
			for id := range rows {
				time.Sleep(time.Until(started.Add(time.Duration(id) * every)))
				if _, err := l.db.Exec(b.Context(), "insert into t values ($1, 'customer', 1.01, now(), 'note')", id); err != nil {
					b.Fatal(err)
				}
				committed[id] = time.Now()
			}
			written := time.Since(started)
			took := make([]time.Duration, 0, rows)
			for _, a := range l.await(b, rows) {
				if a.id >= early {
					took = append(took, a.at.Sub(committed[a.id]))
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(rows)/written.Seconds(), "rows/s")
			for _, p := range []int{50, 99} {
				b.ReportMetric(float64(took[len(took)*p/100].Microseconds())/1000, "p"+strconv.Itoa(p)+"-ms")
			}
		})
	}
}

// peakMB is the most memory that the process ever had.
func peakMB(b *testing.B) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kb, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]), "kB")), 64)
	if err != nil {
		b.Fatal(err)
	}
	return kb / 1024
}
