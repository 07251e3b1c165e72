package kafka

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/sourcetest"
	"datawatch/pkg/broker/embedded"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

func TestSourceKeepsTheContract(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		sourcetest.Run(t, func(t *testing.T) sourcetest.Harness {
			server := serveEmbedded(t)
			return newHarness(t, server.addr, server.cut)
		})
	})
	t.Run("kafka", func(t *testing.T) {
		sourcetest.Run(t, func(t *testing.T) sourcetest.Harness {
			if t.Name() == "TestSourceKeepsTheContract/kafka/ALostSystemIsAnError" {
				server := testrig.KafkaServer(t)
				return newHarness(t, server.Addr(), func(t testing.TB) (mend func()) {
					if err := server.Kill(); err != nil {
						t.Fatal(err)
					}
					return func() {
						if err := server.Restart(context.Background()); err != nil {
							t.Fatal(err)
						}
					}
				})
			}
			return newHarness(t, testrig.Kafka(t), nil)
		})
	})
	t.Run("kafka-3.9", func(t *testing.T) {
		sourcetest.Run(t, func(t *testing.T) sourcetest.Harness {
			if strings.HasSuffix(t.Name(), "/ALostSystemIsAnError") {
				t.Skip("what a lost connection is has nothing to do with the version")
			}
			return newHarness(t, testrig.OlderKafka(t), nil)
		})
	})
}

const harnessPartitions = 3

type harness struct {
	*company
	topic string
	cut   func(t testing.TB) (mend func())
}

func newHarness(t *testing.T, addr string, cut func(t testing.TB) (mend func())) *harness {
	c := newCompany(t, addr)
	return &harness{company: c, topic: c.topic(t, "changes", harnessPartitions, nil), cut: cut}
}

func (h *harness) Source(_ testing.TB, reporter source.Reporter) source.Source {
	s := New(Options{Name: "shop-kafka", Config: h.config(nil), Internal: internal(), Reporter: reporter})
	s.patience = 2 * time.Second
	return s
}

func internal() config.Broker { return config.DefaultShared().Broker }

func (h *harness) Write(t testing.TB, changes []sourcetest.Change) {
	messages := make([]*sarama.ProducerMessage, len(changes))
	for i, c := range changes {
		value, err := json.Marshal(c)
		if err != nil {
			t.Error(err)
			return
		}
		hash := fnv.New32()
		_, _ = hash.Write([]byte(c.Key))
		messages[i] = &sarama.ProducerMessage{
			Topic: h.topic, Partition: int32(hash.Sum32() % harnessPartitions),
			Key: sarama.StringEncoder(c.Key), Value: sarama.ByteEncoder(value),
		}
	}
	h.send(t, messages...)
}

func (h *harness) Read(t testing.TB, e event.Raw) sourcetest.Change {
	var c sourcetest.Change
	if err := json.Unmarshal(e.Value, &c); err != nil || string(e.Key) != c.Key {
		t.Fatalf("event %s: %v; key %q, value %s", e.ID, err, e.Key, e.Value)
	}
	return c
}

func (h *harness) Lose(t testing.TB, write func()) {
	write()
	ends := map[int32]int64{}
	for p := range int32(harnessPartitions) {
		ends[p] = -1 // all of it (https://kafka.apache.org/protocol#The_Messages_DeleteRecords)
	}
	if err := h.admin.DeleteRecords(h.topic, ends); err != nil {
		t.Fatal(err)
	}
}

func (h *harness) Cut(t testing.TB) func() { return h.cut(t) }

// served is an embedded broker that can go away and come back.
type served struct {
	dir, addr string
	stop      func() error
}

func serveEmbedded(t *testing.T) *served {
	s := &served{dir: t.TempDir(), addr: testrig.FreeAddress(t)}
	s.start(t)
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *served) start(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- embedded.Serve(ctx, embedded.Options{DataDir: s.dir, Listen: s.addr, Ready: func(addr string) { ready <- addr }})
	}()
	select {
	case s.addr = <-ready:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	s.stop = func() error { cancel(); return <-ended }
}

func (s *served) cut(t testing.TB) (mend func()) {
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.stop = func() error { return nil }
	return func() { s.start(t) }
}
