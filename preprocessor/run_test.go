package preprocessor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/broker"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"

	"datawatch/preprocessor"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(childConfig); file != "" {
		os.Exit(daemon.Execute(preprocessor.Service(), []string{"--config", file}, os.Stdout, os.Stderr))
	}
	testrig.Main(m)
}

const epoch = event.Epoch("20261122T101500Z")

// settings is a configuration with topics of the test's own, which exist.
func settings(t *testing.T, addr string) (preprocessor.Config, broker.Topics) {
	t.Helper()
	c := preprocessor.DefaultConfig()
	c.Broker.Addresses = strings.Split(addr, ",")
	c.Broker.TopicPrefix = testrig.Prefix(t)
	c.Broker.Partitions = 3
	c.Broker.MaxRecordBytes = 1 << 20
	c.Preprocessor.Listen = "127.0.0.1:0"
	if err := broker.EnsureTopics(t.Context(), c.Broker, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return c, broker.TopicsOf(c.Broker.TopicPrefix)
}

// instance is a running preprocessor.
type instance struct {
	env    daemon.Env
	cancel context.CancelFunc
	ended  chan error
}

func start(t *testing.T, c preprocessor.Config) *instance {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	i := &instance{env: daemon.NewEnv(slog.New(slog.NewTextHandler(t.Output(), nil))), cancel: cancel, ended: make(chan error, 1)}
	go func() { i.ended <- preprocessor.Run(ctx, c, i.env) }()
	t.Cleanup(func() { i.stop(t) })
	return i
}

// stop ends the instance where it stands, and waits for its goroutines.
func (i *instance) stop(t *testing.T) {
	t.Helper()
	if i.ended == nil {
		return
	}
	i.cancel()
	select {
	case err := <-i.ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("run ended with %v", err)
		}
	case <-time.After(daemon.StopTimeout):
		t.Errorf("not stopped within %v", daemon.StopTimeout)
	}
	i.ended = nil
}

// awaitHealth waits for what is set in the moment in which a batch is committed, and may be seen a little later than that.
func (i *instance) awaitHealth(t *testing.T, want daemon.Status) {
	t.Helper()
	testrig.Eventually(t, time.Minute, func() error {
		if s := i.env.Health.Overall(); s != want {
			return fmt.Errorf("health: %s", s)
		}
		return nil
	})
}

func publisher(t *testing.T, c preprocessor.Config) *broker.Publisher {
	t.Helper()
	p, err := broker.OpenPublisher(t.Context(), c.Broker, c.Broker.TopicPrefix+"-source-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func publish(t *testing.T, p *broker.Publisher, records ...broker.Record) {
	t.Helper()
	if err := p.Publish(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

// committed is what a reader with read_committed sees in a topic now, by partition in order.
func committed(ctx context.Context, c preprocessor.Config, topic string) ([]broker.Record, error) {
	s, err := broker.NewScanner(c.Broker, "test")
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	partitions, err := s.Partitions(topic)
	if err != nil {
		return nil, err
	}
	var all []broker.Record
	for _, p := range partitions {
		end, err := s.Settled(ctx, topic, p)
		if err != nil {
			return nil, err
		}
		if err := s.Scan(ctx, topic, p, 0, end, func(r broker.Record) error { all = append(all, r); return nil }); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// await waits until a topic holds n records.
func await(t *testing.T, c preprocessor.Config, topic string, n int) []broker.Record {
	t.Helper()
	var all []broker.Record
	testrig.WhileMoving(t, time.Minute, func() (far int, err error) {
		if all, err = committed(t.Context(), c, topic); err == nil && len(all) < n {
			err = fmt.Errorf("%s holds %d records, not %d", topic, len(all), n)
		}
		return len(all), err
	})
	return all
}

// row is a raw record of a row of shop-db/public.orders.
func row(topics broker.Topics, tick int64, id int, note string) broker.Record {
	key := fmt.Appendf(nil, `{"id":%d}`, id)
	change, err := json.Marshal(event.RowChange{
		Version: 1, Op: event.Insert, Database: "shop", Schema: "public", Table: "orders",
		Columns:    []event.Column{{Name: "id", Type: "bigint", Base: "int8"}, {Name: "note", Type: "text", Base: "text"}, {Name: "seq", Type: "bigint", Base: "int8"}},
		KeyColumns: []string{"id"}, After: json.RawMessage(fmt.Sprintf(`{"id":%d,"note":%q,"seq":%d}`, id, note, tick)), Transaction: "7",
	})
	if err != nil {
		panic(err)
	}
	stream := event.StreamOf("shop-db", "public.orders")
	return rawRecord(topics, &event.Raw{
		Type: event.RawType, Kind: event.Postgres, ID: event.ID("shop-db", event.TickPosition(epoch, tick, 0)), Stream: stream,
		Time: time.Now(), RecordKey: event.RecordKey(stream, key), Key: key, Value: change, CapturedAt: time.Now(),
	})
}

func rawRecord(topics broker.Topics, r *event.Raw) broker.Record {
	return broker.Record{Topic: topics.Raw, Key: r.RecordKey, Value: r.Value, Headers: r.RecordHeaders()}
}

func header(r broker.Record, name string) string {
	for _, h := range r.Headers {
		if h.Name == name {
			return string(h.Value)
		}
	}
	return ""
}

func headerOf(name, value string) event.Header {
	return event.Header{Name: name, Value: []byte(value)}
}

// metric is the sum of a family's counters and histogram counts.
func metric(t *testing.T, reg *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func TestRawComesOutClean(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := settings(t, addr)
		i := start(t, c)
		p := publisher(t, c)
		payments := event.StreamOf("shop-kafka", "payments")
		publish(t, p,
			row(topics, 1, 7, "a row"),
			rawRecord(topics, &event.Raw{
				Type: event.RawType, Kind: event.Kafka, ID: event.RecordID("shop-kafka", "payments", 2, event.OffsetPosition(epoch, 41)), Stream: payments,
				Time: time.Now(), RecordKey: event.SourceRecordKey(payments, []byte("1042")), Key: []byte("1042"), Value: []byte(`{"total": 0.10}`), CapturedAt: time.Now(),
			}),
			rawRecord(topics, &event.Raw{
				Type: event.GapType, Kind: event.Kafka, ID: "shop-kafka/gap-1", Stream: payments, Time: time.Now(),
				RecordKey: []byte(payments), Value: []byte(`{"from":"2026-11-22T00:00:00Z","to":"2026-11-22T01:00:00Z","cause":"topic deleted","lost":null,"remedy":"none"}`), CapturedAt: time.Now(),
			}),
		)
		got := map[string]broker.Record{}
		for _, r := range await(t, c, topics.Clean, 3) {
			got[string(r.Key)] = r
		}
		for key, want := range map[string]string{
			"shop-db/public.orders\n{\"id\":7}": `"after":{"id":7,"note":"a row","seq":1}`,
			"shop-kafka/payments\n\"1042\"":     `"after":{"total":0.10}`,
			"shop-kafka/payments":               `"cause":"topic deleted"`,
		} {
			r, ok := got[key]
			if !ok || !bytes.Contains(r.Value, []byte(want)) {
				t.Errorf("%q: no %s in %s", key, want, r.Value)
			}
			if ct := header(r, "content-type"); ct != "application/cloudevents+json" {
				t.Errorf("%q: content-type %q", key, ct)
			}
			if _, err := event.ParseClean(r.Value); err != nil {
				t.Error(err)
			}
		}
		testrig.Eventually(t, 5*time.Second, func() error {
			if n := metric(t, i.env.Metrics, "datawatch_preprocessor_events_normalized_total"); n != 3 {
				return fmt.Errorf("%v events counted", n)
			}
			if n := metric(t, i.env.Metrics, "datawatch_preprocessor_commit_to_clean_seconds"); n != 2 {
				return fmt.Errorf("%v latencies observed", n)
			}
			return nil
		})
		i.awaitHealth(t, daemon.Ready)
	})
}

func TestPoisonRecordIsADeadLetterAndTheRestFlows(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := settings(t, addr)
		poison := row(topics, 2, 7, "x")
		poison.Value = bytes.Replace(poison.Value, []byte(`"seq":2`), []byte(`"seq":"many"`), 1)
		stranger := broker.Record{Topic: topics.Raw, Key: []byte("who\nknows"), Value: []byte("\xff"), Headers: []event.Header{{Name: "h", Value: nil}}}
		publish(t, publisher(t, c), row(topics, 1, 7, "before"), poison, stranger, row(topics, 3, 7, "behind"))
		i := start(t, c)

		letters := await(t, c, topics.DeadLetter, 2)
		clean := await(t, c, topics.Clean, 2)
		if len(clean) != 2 || !strings.Contains(string(clean[0].Value), "before") || !strings.Contains(string(clean[1].Value), "behind") {
			t.Errorf("clean holds %v", clean)
		}
		for _, l := range letters {
			want, class := poison, "type"
			if bytes.Equal(l.Key, stranger.Key) {
				want, class = stranger, "malformed"
			}
			if !bytes.Equal(l.Key, want.Key) || !bytes.Equal(l.Value, want.Value) {
				t.Errorf("the letter isn't the record: %q %q", l.Key, l.Value)
			}
			for n, h := range want.Headers {
				if l.Headers[n].Name != h.Name || !bytes.Equal(l.Headers[n].Value, h.Value) || (l.Headers[n].Value == nil) != (h.Value == nil) {
					t.Errorf("header %d is %v, not %v", n, l.Headers[n], h)
				}
			}
			if header(l, "datawatch_error_stage") != "preprocessor" || header(l, "datawatch_error_class") != class ||
				header(l, "datawatch_error_reason") == "" || header(l, "datawatch_origin_topic") != topics.Raw ||
				header(l, "datawatch_origin_partition") == "" || header(l, "datawatch_origin_offset") == "" {
				t.Errorf("headers of the letter: %v", l.Headers)
			}
			if _, err := time.Parse(time.RFC3339Nano, header(l, "datawatch_error_time")); err != nil {
				t.Error(err)
			}
		}
		testrig.Eventually(t, 5*time.Second, func() error {
			if n := metric(t, i.env.Metrics, "datawatch_preprocessor_events_deadlettered_total"); n != 2 {
				return fmt.Errorf("%v dead letters counted", n)
			}
			return nil
		})
	})
}

func TestTooLargeEventIsADeadLetter(t *testing.T) {
	addr := testrig.Embedded(t)
	c, topics := settings(t, addr)
	p := publisher(t, c)
	// Bytes become a third longer as base64: the record fits, its event doesn't.
	stream := event.StreamOf("shop-kafka", "blobs")
	large := rawRecord(topics, &event.Raw{
		Type: event.RawType, Kind: event.Kafka, ID: event.RecordID("shop-kafka", "blobs", 0, event.OffsetPosition(epoch, 1)), Stream: stream,
		Time: time.Now(), RecordKey: event.KeylessRecordKey(stream, 0), Value: bytes.Repeat([]byte{0xff}, 1<<20), CapturedAt: time.Now(),
	})
	publish(t, p, large, row(topics, 2, 7, "fine"))
	start(t, c)
	await(t, c, topics.Clean, 1)
	letters := await(t, c, topics.DeadLetter, 1)
	if class := header(letters[0], "datawatch_error_class"); class != "too_large" {
		t.Errorf("class %q", class)
	}
	if !bytes.Equal(letters[0].Value, large.Value) {
		t.Errorf("the letter holds %d bytes", len(letters[0].Value))
	}
}
