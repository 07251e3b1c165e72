package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"datawatch/collector/internal/kafka"
	"datawatch/collector/internal/postgres"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/deadletter"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// configuration is a collector with one Kafka source that watches the company's topics under prefix.
func configuration(t testing.TB, internal, company, prefix string) Config {
	c := DefaultConfig()
	c.Broker.Addresses, c.Broker.TopicPrefix, c.Broker.Partitions = strings.Split(internal, ","), testrig.Prefix(t), 3
	c.Collector.Listen = "127.0.0.1:0"
	var k kafka.Config
	k.SetDefaults()
	k.Addresses, k.Topics = strings.Split(company, ","), []string{prefix + ".*"}
	c.Collector.Sources = []Source{{Name: "shop-kafka", Kafka: &k}}
	return c
}

// running is a collector at work.
type running struct {
	health  *daemon.Health
	metrics prometheus.Gatherer
	stop    func()
}

func start(t testing.TB, c Config) *running { return startLogging(t, c, t.Output()) }

// startLogging starts a collector that logs to a writer.
func startLogging(t testing.TB, c Config, log io.Writer) *running {
	t.Helper()
	env := daemon.NewEnv(slog.New(slog.NewTextHandler(log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, c, env) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Run returned %v", err)
			}
		case <-time.After(daemon.StopTimeout):
			t.Errorf("not stopped within %v", daemon.StopTimeout)
		}
	}
	t.Cleanup(stop)
	testrig.Eventually(t, 60*time.Second, func() error {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("Run returned %v", err)
		default:
		}
		if status := env.Health.Overall(); status != daemon.Ready {
			return fmt.Errorf("the collector is %s", status)
		}
		return nil
	})
	return &running{env.Health, env.Metrics, stop}
}

func produce(t *testing.T, addr string, messages ...*sarama.ProducerMessage) {
	t.Helper()
	s, err := broker.ClientConfig(config.Cluster{Addresses: strings.Split(addr, ",")}, "test")
	if err != nil {
		t.Fatal(err)
	}
	s.Producer.Return.Successes, s.Producer.RequiredAcks, s.Producer.Partitioner = true, sarama.WaitForAll, sarama.NewManualPartitioner
	producer, err := sarama.NewSyncProducer(strings.Split(addr, ","), s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = producer.Close() }()
	if err := producer.SendMessages(messages); err != nil {
		t.Fatal(err)
	}
}

func createTopic(t *testing.T, addr, name string, partitions int32) {
	t.Helper()
	s, err := broker.ClientConfig(config.Cluster{Addresses: strings.Split(addr, ",")}, "test")
	if err != nil {
		t.Fatal(err)
	}
	admin, err := sarama.NewClusterAdmin(strings.Split(addr, ","), s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	if err := admin.CreateTopic(name, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false); err != nil {
		t.Fatal(err)
	}
}

func raw(t *testing.T, c Config) []broker.Record {
	t.Helper()
	return rawSince(t, c, make([]int64, c.Broker.Partitions))
}

// rawSince is what has been committed in raw's partitions from these offsets on, which become those behind it.
func rawSince(t *testing.T, c Config, from []int64) []broker.Record {
	t.Helper()
	return recordsSince(t, c, broker.TopicsOf(c.Broker.TopicPrefix).Raw, from)
}

// recordsSince is that of any of datawatch's topics with as many partitions.
func recordsSince(t *testing.T, c Config, topic string, from []int64) []broker.Record {
	t.Helper()
	scanner, err := broker.NewScanner(c.Broker, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = scanner.Close() }()
	var records []broker.Record
	for p := range c.Broker.Partitions {
		end, err := scanner.Settled(t.Context(), topic, p)
		if err != nil {
			t.Fatal(err)
		}
		err = scanner.Scan(t.Context(), topic, p, from[p], end, func(r broker.Record) error {
			if !event.IsCanary(r.Key) {
				records = append(records, r)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		from[p] = max(from[p], end)
	}
	return records
}

func awaitRaw(t *testing.T, c Config, n int) []broker.Record {
	t.Helper()
	var records []broker.Record
	testrig.Eventually(t, 30*time.Second, func() error {
		if records = raw(t, c); len(records) < n {
			return fmt.Errorf("%d of %d records are in raw", len(records), n)
		}
		return nil
	})
	if len(records) > n {
		t.Fatalf("%d records are in raw, not %d", len(records), n)
	}
	return records
}

func TestKafkaRecordArrivesInRawAsTheContractSays(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		prefix := testrig.Prefix(t)
		topic := prefix + ".payments"
		createTopic(t, addr, topic, 2)
		c := configuration(t, addr, addr, prefix) // the watched cluster is the internal broker itself
		start(t, c)
		at := time.UnixMilli(1795391941123)
		produce(t, addr, &sarama.ProducerMessage{
			Topic: topic, Partition: 1, Key: sarama.StringEncoder("k1"), Value: sarama.StringEncoder(`{"a":1}`), Timestamp: at,
			Headers: []sarama.RecordHeader{{Key: []byte("h"), Value: []byte("1")}, {Key: []byte("h"), Value: []byte{}}, {Key: []byte("h")}},
		})
		records := awaitRaw(t, c, 1)
		record := records[0]
		if got, want := string(record.Key), "shop-kafka/"+topic+"\nk1"; got != want {
			t.Errorf("key %q, not %q", got, want)
		}
		if got := string(record.Value); got != `{"a":1}` {
			t.Errorf("value %s", got)
		}
		headers := map[string][]string{}
		for _, h := range record.Headers {
			text := string(h.Value)
			if h.Value == nil {
				text = "null"
			}
			headers[h.Name] = append(headers[h.Name], text)
		}
		for name, want := range map[string][]string{
			"ce_specversion": {"1.0"}, "ce_source": {"shop-kafka"}, "ce_type": {"datawatch.raw.v1"}, "ce_subject": {topic},
			"ce_time": {"2026-11-22T23:59:01.123Z"}, "datawatch_key": {"k1"}, "datawatch_timestamp": {"1795391941123"},
			"datawatch_timestamp_type": {"create"}, "src.h": {"1", "", "null"},
		} {
			if !slices.Equal(headers[name], want) {
				t.Errorf("header %s is %q, not %q", name, headers[name], want)
			}
		}
		parsed, err := event.ParseRaw(record.Key, record.Value, record.Headers)
		if err != nil {
			t.Fatal(err)
		}
		epoch, digits, _ := strings.Cut(parsed.Position(), ".")
		if began, err := event.Epoch(epoch).Time(); err != nil || time.Since(began).Abs() > time.Minute {
			t.Errorf("epoch %s isn't the time of the first run", epoch)
		}
		if want := "shop-kafka/" + topic + "/1/" + epoch + "." + digits; parsed.ID != want || digits != "0000000000000000000" {
			t.Errorf("id %s", parsed.ID)
		}
	})
}

// TestRecordOverTheBrokersSizeIsADeadLetterThatSaysWhereItIsFrom has two lie between others that the broker takes.
func TestRecordOverTheBrokersSizeIsADeadLetterThatSaysWhereItIsFrom(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		prefix := testrig.Prefix(t)
		topic := prefix + ".payments"
		createTopic(t, addr, topic, 2)
		c := configuration(t, addr, addr, prefix)
		c.Broker.MaxRecordBytes = 64 << 10
		start(t, c)
		large, larger := strings.Repeat("x", 200<<10), strings.Repeat("x", 700<<10) // one of them is cut
		for _, value := range []string{"before", large, larger, "behind"} {
			produce(t, addr, &sarama.ProducerMessage{Topic: topic, Partition: 1, Key: sarama.StringEncoder("k"), Value: sarama.StringEncoder(value)})
		}
		var kinds []string
		for _, r := range awaitRaw(t, c, 4) {
			e, err := event.ParseRaw(r.Key, r.Value, r.Headers)
			if err != nil {
				t.Fatal(err)
			}
			kind := string(r.Value)
			if e.Type == event.GapType {
				kind = "gap"
			}
			kinds = append(kinds, kind)
		}
		slices.Sort(kinds) // a gap is of the whole stream, and in another partition
		if !slices.Equal(kinds, []string{"before", "behind", "gap", "gap"}) {
			t.Errorf("raw has %.40q", kinds)
		}
		letters := map[string]broker.Record{} // by their offsets
		for _, l := range recordsSince(t, c, broker.TopicsOf(c.Broker.TopicPrefix).DeadLetter, make([]int64, c.Broker.Partitions)) {
			letters[header(l, deadletter.HeaderOriginOffset)] = l
		}
		for offset, value := range map[string]string{"1": large, "2": larger} {
			l := letters[offset]
			if l.Size() > broker.RecordLimit(c.Broker) || len(l.Value) == 0 || !strings.HasPrefix(value, string(l.Value)) {
				t.Errorf("the letter of offset %s has %d bytes, %d of them the record's", offset, l.Size(), len(l.Value))
			}
			if size, err := strconv.Atoi(header(l, deadletter.HeaderSize)); err != nil || size < len(value) || size > len(value)+1024 {
				t.Errorf("the letter of offset %s says that it had %d bytes, %v", offset, size, err)
			}
			if reason := header(l, deadletter.HeaderReason); !strings.HasSuffix(reason, "allows 65,536") {
				t.Errorf("the letter of offset %s says %s", offset, reason)
			}
			for name, want := range map[string]string{
				deadletter.HeaderOriginTopic: topic, deadletter.HeaderOriginPartition: "1", deadletter.HeaderClass: "too_large", deadletter.HeaderStage: "collector",
			} {
				if got := header(l, name); got != want {
					t.Errorf("the letter of offset %s: %s is %q, not %q", offset, name, got, want)
				}
			}
		}
	})
}

// header is the value of a record's header.
func header(r broker.Record, name string) string {
	for _, h := range r.Headers {
		if h.Name == name {
			return string(h.Value)
		}
	}
	return ""
}

func TestRestartedCollectorLosesAndRepeatsNothing(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		prefix := testrig.Prefix(t)
		topic := prefix + ".payments"
		createTopic(t, addr, topic, 2)
		c := configuration(t, addr, addr, prefix)
		ids := func(from, to int) (messages []*sarama.ProducerMessage) {
			for i := from; i < to; i++ {
				messages = append(messages, &sarama.ProducerMessage{
					Topic: topic, Partition: int32(i % 2), Key: sarama.StringEncoder(fmt.Sprint(i % 5)), Value: sarama.StringEncoder(fmt.Sprint(i)),
				})
			}
			return messages
		}
		produce(t, addr, ids(0, 5)...) // before the first run, which starts at the end
		first := start(t, c)
		produce(t, addr, ids(5, 40)...)
		first.stop()
		produce(t, addr, ids(40, 60)...)
		second := start(t, c)
		produce(t, addr, ids(60, 100)...)
		records := awaitRaw(t, c, 95)
		second.stop()
		seen := map[string]bool{}
		for _, r := range records {
			if seen[string(r.Value)] {
				t.Fatalf("record %s came twice", r.Value)
			}
			seen[string(r.Value)] = true
		}
		for i := 5; i < 100; i++ {
			if !seen[fmt.Sprint(i)] {
				t.Errorf("record %d is missing", i)
			}
		}
	})
}

func TestConfigurationThatCanNotWorkIsAnErrorAtOnce(t *testing.T) {
	addr := testrig.Embedded(t)
	c := configuration(t, addr, addr, testrig.Prefix(t))
	start(t, c).stop()
	c.Broker.Partitions++
	err := Run(t.Context(), c, daemon.NewEnv(slog.New(slog.DiscardHandler)))
	if !errors.Is(err, broker.ErrPartitions) {
		t.Fatalf("Run returned %v", err)
	}
}

func TestRowOfPostgresArrivesInRaw(t *testing.T) {
	for _, capture := range []string{"triggers", "wal"} {
		t.Run(capture, func(t *testing.T) { rowOfPostgres(t, capture) })
	}
}

// TestOneCollectorCapturesSeveralDatabases: of one server, and of a server of another version, with the same table and the same keys.
func TestOneCollectorCapturesSeveralDatabases(t *testing.T) {
	addr := testrig.Embedded(t)
	c := configuration(t, addr, addr, testrig.Prefix(t))
	c.Collector.Sources = nil
	want := map[string]bool{}
	var dbs []*pgx.Conn
	for i, version := range []string{"", "", "13"} {
		dsn := testrig.PostgresVersion(t, version).Database(t)
		db, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close(context.Background()) })
		if _, err := db.Exec(t.Context(), "create table orders (id bigint primary key, total int)"); err != nil {
			t.Fatal(err)
		}
		var p postgres.Config
		p.SetDefaults()
		p.DSN = config.Secret(dsn)
		name := fmt.Sprint("shop-", i)
		c.Collector.Sources = append(c.Collector.Sources, Source{Name: name, Postgres: &p})
		dbs = append(dbs, db)
		want[fmt.Sprintf("%s/public.orders\n{\"id\":1} \"after\":{\"id\":1,\"total\":%d}", name, i)] = true
	}
	start(t, c)
	for i, db := range dbs {
		if _, err := db.Exec(t.Context(), "insert into orders values (1, $1)", i); err != nil {
			t.Fatal(err)
		}
	}
	for _, record := range awaitRaw(t, c, len(dbs)) {
		after := regexp.MustCompile(`"after":[{][^}]*[}]`).FindString(string(record.Value))
		if got := string(record.Key) + " " + after; !want[got] {
			t.Errorf("captured %s", got)
		} else {
			delete(want, got)
		}
	}
}

func rowOfPostgres(t *testing.T, capture string) {
	dsn := testrig.Postgres(t).Database(t)
	db, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.Background()) }()
	exec := func(sql string) {
		t.Helper()
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("create table orders (id bigint primary key, total numeric(12,2))")
	addr := testrig.Embedded(t)
	c := configuration(t, addr, addr, testrig.Prefix(t))
	var p postgres.Config
	p.SetDefaults()
	p.DSN, p.Capture, p.AllowUnboundedWAL = config.Secret(dsn), capture, true
	source := strings.ReplaceAll(db.Config().Database, "_", "-") // slots are the cluster's
	c.Collector.Sources = []Source{{Name: source, Postgres: &p}}
	c.Mask = []config.Mask{{Stream: source + "/public.orders", Fields: []string{"total"}, How: "hash"}}
	start(t, c)
	exec("insert into orders values (1042, 149.97)")
	exec("delete from orders")
	records := awaitRaw(t, c, 2)
	for _, record := range records {
		if got, want := string(record.Key), source+"/public.orders\n"+`{"id":1042}`; got != want {
			t.Errorf("key %q, not %q", got, want)
		}
	}
	if value := string(records[0].Value); !strings.Contains(value, `"op":"insert"`) || !strings.Contains(value, "sha256:") || strings.Contains(value, "149.97") {
		t.Errorf("value %s", value)
	}
}
