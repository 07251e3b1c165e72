package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"datawatch/deploy/telegramsim"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/mongodb"
)

// BenchmarkMongoDBToRaw is of a backlog of 50,000 inserts, then of 500 inserts a second: what a collector captures a second,
// also as a part of what the driver alone reads of the same stream and does nothing with, how long it takes from the
// acknowledged insert to a reader of raw, the most memory that it takes, and the processor time that each process takes for
// the backlog.
func BenchmarkMongoDBToRaw(b *testing.B) {
	const documents, perSecond, seconds = 50_000, 500, 6
	server := testrig.PrivateMongoDB(b, mongodb.Options{Arguments: []string{"--oplog-max-entries", "1000000"}})
	kafka := benchKafka(b)
	servers := places{DSN: testrig.Postgres(b).Database(b), Company: testrig.Embedded(b), Internal: kafka.Addr(), Mongo: server.URI()}
	w := newWorldOf(b, servers, servers, telegramsim.Limits{})
	client, err := mongo.Connect(b.Context(), options.Client().ApplyURI(server.URI()))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(b.Context())) }()
	carts := client.Database("shop").Collection("carts")
	w.start("collector")
	w.end("collector")
	_, topics := w.broker()
	var count int64
	var took time.Duration
	var waited []time.Duration
	var bare time.Duration
	var inserts float64 // a second, summed up over the runs
	var spent, spentBare cost
	peak, next := 0, 0
	for b.Loop() {
		from := operationTime(b, client)
		for range documents / 5_000 {
			docs := make([]any, 5_000)
			for i := range docs {
				docs[i] = benchDocument(next)
				next++
			}
			if _, err := carts.InsertMany(b.Context(), docs); err != nil {
				b.Fatal(err)
			}
		}
		already := w.sum(topics.Raw)
		before := costs(b, server.PID(), kafka.PID(), 0)
		n, d := capturing(b, w, topics.Raw, already, documents, func() { w.start("collector") })
		count, took = count+n, took+d
		spent = spent.plus(costs(b, server.PID(), kafka.PID(), w.processes["collector"].PID()).minus(before))
		each, rate := w.latency(b, carts, topics.Raw, next, perSecond, seconds)
		waited, inserts = append(waited, each...), inserts+rate
		next += perSecond * seconds
		peak = max(peak, highWater(b, w.processes["collector"].PID()))
		w.end("collector")
		before = costs(b, server.PID(), kafka.PID(), 0)
		bare += readBare(b, client, from, documents)
		spentBare = spentBare.plus(costs(b, server.PID(), kafka.PID(), 0).minus(before))
	}
	slices.Sort(waited)
	rate, bound := float64(count)/took.Seconds(), float64(b.N*documents)/bare.Seconds()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(rate, "events/s")
	b.ReportMetric(bound, "bare-events/s")
	b.ReportMetric(rate/bound, "of-bare")
	b.ReportMetric(inserts/float64(b.N), "inserts/s")
	b.ReportMetric(float64(waited[len(waited)/2].Milliseconds()), "p50-ms")
	b.ReportMetric(float64(waited[len(waited)*99/100].Milliseconds()), "p99-ms")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MB")
	for name, d := range map[string]time.Duration{
		"server": spent.server, "broker": spent.broker, "collector": spent.collector, "bench": spent.self,
		"bare-server": spentBare.server, "bare-bench": spentBare.self,
	} {
		b.ReportMetric(d.Seconds()/float64(b.N), name+"-cpu-s")
	}
}

// cost is the processor time that each process took of the machine, which they share.
type cost struct{ server, broker, collector, self time.Duration }

// costs are so far. A collector that isn't there yet, 0, took none.
func costs(b *testing.B, server, broker, collector int) cost {
	b.Helper()
	c := cost{server: processorTime(b, server), broker: processorTime(b, broker), self: processorTime(b, os.Getpid())}
	if collector != 0 {
		c.collector = processorTime(b, collector)
	}
	return c
}

func (c cost) plus(d cost) cost {
	return cost{c.server + d.server, c.broker + d.broker, c.collector + d.collector, c.self + d.self}
}

func (c cost) minus(d cost) cost {
	return cost{c.server - d.server, c.broker - d.broker, c.collector - d.collector, c.self - d.self}
}

// processorTime is what a process took, by the kernel's count in hundredths of a second (proc_pid_stat(5)).
func processorTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		b.Fatal(err)
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // behind the name; the first is the third of all
	var sum time.Duration
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(string(f))
		if err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	return sum
}

// operationTime is the time of the deployment's last operation.
func operationTime(b *testing.B, client *mongo.Client) primitive.Timestamp {
	b.Helper()
	raw, err := client.Database("admin").RunCommand(b.Context(), bson.D{{Key: "isMaster", Value: 1}}).Raw()
	if err != nil {
		b.Fatal(err)
	}
	var now primitive.Timestamp
	now.T, now.I, _ = raw.Lookup("operationTime").TimestampOK()
	return now
}

// readBare reads events behind a time with the driver alone, by a stream like the collector's, and gives how long that took.
func readBare(b *testing.B, client *mongo.Client, from primitive.Timestamp, events int) time.Duration {
	b.Helper()
	from.I++
	o := options.ChangeStream().SetFullDocument(options.UpdateLookup).SetFullDocumentBeforeChange(options.WhenAvailable).
		SetMaxAwaitTime(500 * time.Millisecond).SetBatchSize(2_000).SetStartAtOperationTime(&from)
	began := time.Now()
	stream, err := client.Database("shop").Watch(b.Context(), mongo.Pipeline{{{Key: "$changeStreamSplitLargeEvent", Value: bson.D{}}}}, o)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = stream.Close(context.WithoutCancel(b.Context())) }()
	for range events {
		if !stream.Next(b.Context()) {
			b.Fatal(stream.Err())
		}
	}
	return time.Since(began)
}

func benchDocument(id int) bson.D {
	return bson.D{
		{Key: "_id", Value: id}, {Key: "customer", Value: "C-1042"}, {Key: "total", Value: 149.97}, {Key: "at", Value: time.Now()},
		{Key: "items", Value: bson.A{"TEA-250", "COF-1K", "CUP-2"}}, {Key: "note", Value: string(bytes.Repeat([]byte("n"), 200))},
	}
}

// latency inserts documents one at a time, and gives how long each took from the acknowledged insert to a reader of raw
// with read_committed; rate is how many a second there really were.
func (w *world) latency(b *testing.B, carts *mongo.Collection, topic string, next, perSecond, seconds int) (waited []time.Duration, rate float64) {
	b.Helper()
	c := sarama.NewConfig()
	c.Version = sarama.V2_8_0_0
	c.Consumer.IsolationLevel, c.Consumer.MaxWaitTime = sarama.ReadCommitted, 10*time.Millisecond
	consumer, err := sarama.NewConsumer([]string{w.Internal}, c)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = consumer.Close() }()
	var mu sync.Mutex
	arrived := map[int]time.Time{}
	for p, end := range w.ends(topic) {
		messages, err := consumer.ConsumePartition(topic, p, end)
		if err != nil {
			b.Fatal(err)
		}
		defer messages.AsyncClose()
		go func() {
			for m := range messages.Messages() {
				at := time.Now()
				_, id, _ := bytes.Cut(m.Key, []byte(`{"_id":`))
				if n, err := strconv.Atoi(string(bytes.TrimSuffix(id, []byte("}")))); err == nil {
					mu.Lock()
					arrived[n] = at
					mu.Unlock()
				}
			}
		}()
	}
	n := perSecond * seconds
	inserted := make([]time.Time, n)
	began := time.Now()
	for i := range n {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(perSecond))))
		if _, err := carts.InsertOne(b.Context(), benchDocument(next+i)); err != nil {
			b.Fatal(err)
		}
		inserted[i] = time.Now()
	}
	rate = float64(n) / time.Since(began).Seconds()
	testrig.Eventually(b, time.Minute, func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(arrived) < n {
			return fmt.Errorf("%d of %d arrived", len(arrived), n)
		}
		return nil
	})
	waited = make([]time.Duration, n)
	for i := range waited {
		waited[i] = arrived[next+i].Sub(inserted[i])
	}
	return waited, rate
}
