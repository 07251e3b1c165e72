package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/config"
	"datawatch/pkg/testrig"
)

func TestMain(m *testing.M) { testrig.Main(m) }

// settings is the configuration of an internal broker with topics of the test's own.
func settings(t testing.TB, addr string) config.Broker {
	c := config.DefaultShared().Broker
	c.Addresses = strings.Split(addr, ",")
	c.TopicPrefix = testrig.Prefix(t)
	c.Partitions = 3
	return c
}

func ensured(t testing.TB, addr string) (config.Broker, Topics) {
	t.Helper()
	c := settings(t, addr)
	if err := EnsureTopics(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return c, TopicsOf(c.TopicPrefix)
}

func publisher(t *testing.T, c config.Broker, id string) *Publisher {
	t.Helper()
	p, err := OpenPublisher(t.Context(), c, c.TopicPrefix+"-"+id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// committed reads everything that a reader with read_committed sees in a topic now.
func committed(t *testing.T, c config.Broker, topic string) []Record {
	t.Helper()
	s, err := NewScanner(c, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	partitions, err := s.Partitions(topic)
	if err != nil {
		t.Fatal(err)
	}
	var all []Record
	for _, p := range partitions {
		end, err := s.Settled(t.Context(), topic, p)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Scan(t.Context(), topic, p, 0, end, func(r Record) error { all = append(all, r); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestEventsAndProgressAreCommittedTogether(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := ensured(t, addr)
		p := publisher(t, c, "source")
		for i := range 3 {
			err := p.Publish(t.Context(), []Record{
				{Topic: topics.Raw, Key: []byte("k"), Value: fmt.Appendf(nil, "event %d", i)},
				{Topic: topics.State, Key: []byte("source/shop"), Value: fmt.Appendf(nil, `{"seen":%d}`, i)},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := committed(t, c, topics.Raw); len(got) != 3 || string(got[2].Value) != "event 2" {
			t.Errorf("raw holds %v", got)
		}
		if got := state(t, c)["source/shop"]; got != `{"seen":2}` {
			t.Errorf("progress is %s", got)
		}
	})
}

func state(t *testing.T, c config.Broker) map[string]string {
	t.Helper()
	s, err := NewScanner(c, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	found, err := s.State(t.Context(), TopicsOf(c.TopicPrefix).State, "source/")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for k, v := range found {
		texts[k] = string(v)
	}
	return texts
}

func TestStateForgetsTombstonesAndOtherPrefixes(t *testing.T) {
	c, topics := ensured(t, testrig.Embedded(t))
	p := publisher(t, c, "x")
	err := p.Publish(t.Context(), []Record{
		{Topic: topics.State, Key: []byte("source/gone"), Value: []byte(`1`)},
		{Topic: topics.State, Key: []byte("source/stays"), Value: []byte(`1`)},
		{Topic: topics.State, Key: []byte("alert/x"), Value: []byte(`1`)},
		{Topic: topics.State, Key: []byte("source/gone")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := state(t, c); len(got) != 1 || got["source/stays"] != "1" {
		t.Errorf("state is %v", got)
	}
}

func TestWhatADeadWriterLeftOpenIsNeverSeen(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := ensured(t, addr)
		dead := publisher(t, c, "source")
		if err := dead.Publish(t.Context(), []Record{{Topic: topics.Raw, Key: []byte("k"), Value: []byte("before")}}); err != nil {
			t.Fatal(err)
		}
		if err := dead.producer.async.BeginTxn(); err != nil {
			t.Fatal(err)
		}
		if err := dead.producer.send([]Record{{Topic: topics.Raw, Key: []byte("k"), Value: []byte("torn")}}); err != nil {
			t.Fatal(err)
		}

		next := publisher(t, c, "source")
		if err := next.Publish(t.Context(), []Record{{Topic: topics.Raw, Key: []byte("k"), Value: []byte("after")}}); err != nil {
			t.Fatal(err)
		}
		got := committed(t, c, topics.Raw)
		if len(got) != 2 || string(got[0].Value) != "before" || string(got[1].Value) != "after" {
			t.Errorf("raw holds %v", got)
		}
		if err := classify(dead.producer.async.CommitTxn()); !errors.Is(err, ErrFenced) {
			t.Errorf("the dead writer's commit: %v, want ErrFenced", err)
		}
	})
}

func TestPublisherThatFailedStaysFailed(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := ensured(t, addr)
		old := publisher(t, c, "source")
		_ = publisher(t, c, "source")
		record := []Record{{Topic: topics.Raw, Key: []byte("k"), Value: []byte("late")}}
		for range 2 {
			if err := old.Publish(t.Context(), record); !errors.Is(err, ErrFenced) {
				t.Fatalf("publish of a fenced writer: %v, want ErrFenced", err)
			}
		}
		if got := committed(t, c, topics.Raw); len(got) != 0 {
			t.Errorf("a fenced writer wrote %d records", len(got))
		}
	})
}

func TestTooLargeRecordIsNamedBeforeAnythingIsSent(t *testing.T) {
	c, topics := ensured(t, testrig.Embedded(t))
	p := publisher(t, c, "x")
	large := make([]byte, int(c.MaxRecordBytes)+recordSlack)
	err := p.Publish(t.Context(), []Record{{Topic: topics.Raw, Value: []byte("small")}, {Topic: topics.Raw, Value: large}})
	if !errors.Is(err, ErrTooLarge) {
		t.Fatalf("got %v, want ErrTooLarge", err)
	}
	if got := committed(t, c, topics.Raw); len(got) != 0 {
		t.Errorf("%d records were written", len(got))
	}
}

func TestLargestRecordFitsInAndOut(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := ensured(t, addr)
		value := []byte(strings.Repeat("0123456789abcdef", int(c.MaxRecordBytes)/16))
		if err := publisher(t, c, "x").Publish(t.Context(), []Record{{Topic: topics.Raw, Key: []byte("k"), Value: value}}); err != nil {
			t.Fatal(err)
		}
		if got := committed(t, c, topics.Raw); len(got) != 1 || len(got[0].Value) != len(value) {
			t.Errorf("got %d records", len(got))
		}
	})
}

func TestTopicsAreCreatedOnceAndNeverAltered(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := ensured(t, addr)
		var log strings.Builder
		changed := c
		changed.Retention.Clean = config.Duration(time.Hour)
		if err := EnsureTopics(t.Context(), changed, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log.String(), topics.Clean) || !strings.Contains(log.String(), "retention.ms") {
			t.Errorf("a differing retention isn't told: %s", log.String())
		}
		changed.Partitions = 5
		err := EnsureTopics(t.Context(), changed, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), topics.Raw+" has 3 partitions, the configuration says 5") {
			t.Errorf("a differing number of partitions: %v", err)
		}
		if err := EnsureTopics(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("the topics were altered: %v", err)
		}
	})
}

// The hashes are those of Kafka's own test (clients, UtilsTest.testMurmur2).
func TestPartitionsAreThoseOfJavasClients(t *testing.T) {
	hashes := map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "abc": 479470107,
	}
	p := newPartitioner("topic")
	for key, hash := range hashes {
		want := (hash & 0x7fffffff) % 6
		if got, err := p.Partition(given(Record{Key: []byte(key)}), 6); err != nil || got != want {
			t.Errorf("%q goes to %d, want %d (%v)", key, got, want, err)
		}
		beside := given(Record{Key: []byte("another"), PartitionBy: []byte(key)})
		if got, err := p.Partition(beside, 6); err != nil || got != want {
			t.Errorf("beside %q goes to %d, want %d (%v)", key, got, want, err)
		}
	}
}

func given(r Record) *sarama.ProducerMessage {
	var m sarama.ProducerMessage
	r.give(&m)
	return &m
}

// copying is a stage that writes what it reads from raw to clean.
func copying(c config.Broker, name string) Stage {
	topics := TopicsOf(c.TopicPrefix)
	return Stage{
		Broker: c, Name: name, Group: c.TopicPrefix + "-copy", Topic: topics.Raw,
		Process: func(_ context.Context, batch []Record) ([]Record, error) {
			out := make([]Record, len(batch))
			for i, r := range batch {
				out[i] = Record{Topic: topics.Clean, Key: r.Key, Value: r.Value}
			}
			return out, nil
		},
	}
}

func TestStagesShareTheWorkAndEachRecordComesOutOnce(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		const keys, each = 40, 60
		c, topics := ensured(t, addr)
		var running sync.WaitGroup
		start := func(name string) context.CancelFunc {
			ctx, cancel := context.WithCancel(t.Context())
			running.Go(func() {
				stage := copying(c, name)
				stage.MaxRecords = 25
				if err := stage.Run(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("stage %s: %v", name, err)
				}
			})
			return cancel
		}
		stopA, stopB := start("a"), start("b")
		p := publisher(t, c, "writer")
		for n := range each {
			var batch []Record
			for k := range keys {
				batch = append(batch, Record{Topic: topics.Raw, Key: fmt.Appendf(nil, "key %d", k), Value: fmt.Appendf(nil, "%d", n)})
			}
			if err := p.Publish(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			switch n {
			case each / 3:
				stopA()
			case each / 2:
				stopA = start("c")
				stopB()
			}
		}
		testrig.Eventually(t, time.Minute, func() error {
			if n := len(committed(t, c, topics.Clean)); n < keys*each {
				return fmt.Errorf("%d of %d records are there", n, keys*each)
			}
			return nil
		})
		stopA()
		stopB()
		running.Wait()
		assertOnceInOrder(t, committed(t, c, topics.Clean), keys, each)
	})
}

// assertOnceInOrder checks that each key has the values 0, 1, 2 … in this order, once each.
func assertOnceInOrder(t *testing.T, records []Record, keys, each int) {
	t.Helper()
	next := map[string]int{}
	for _, r := range records {
		if want := fmt.Sprint(next[string(r.Key)]); string(r.Value) != want {
			t.Fatalf("%s: got %s, want %s", r.Key, r.Value, want)
		}
		next[string(r.Key)]++
	}
	if len(next) != keys {
		t.Errorf("%d keys, want %d", len(next), keys)
	}
	for key, n := range next {
		if n != each {
			t.Errorf("%s has %d records, want %d", key, n, each)
		}
	}
}

func TestBatchWhoseStageFailsComesAgain(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := ensured(t, addr)
		stage := copying(c, "a")
		copyAll := stage.Process
		var calls int
		stage.Process = func(ctx context.Context, batch []Record) ([]Record, error) {
			if calls++; calls == 1 {
				return nil, errors.New("not this time")
			}
			return copyAll(ctx, batch)
		}
		told := make(chan error, 100)
		stage.Failed = func(err error) { told <- err }
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = stage.Run(ctx) })
		if err := publisher(t, c, "w").Publish(t.Context(), []Record{{Topic: topics.Raw, Key: []byte("k"), Value: []byte("0")}}); err != nil {
			t.Fatal(err)
		}
		testrig.Eventually(t, 30*time.Second, func() error {
			if n := len(committed(t, c, topics.Clean)); n != 1 {
				return fmt.Errorf("%d records", n)
			}
			return nil
		})
		if failure, over := <-told, <-told; failure == nil || over != nil {
			t.Errorf("told %v and %v, want the failure and then that it is over", failure, over)
		}
		cancel()
		running.Wait()
	})
}

func TestOneMemberHasEveryPartitionAndAnotherTakesOver(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, _ := ensured(t, addr)
		type assignment struct {
			name       string
			partitions int
		}
		assigned := make(chan assignment, 100)
		var running sync.WaitGroup
		start := func(name string) context.CancelFunc {
			ctx, cancel := context.WithCancel(t.Context())
			stage := copying(c, name)
			stage.OneMember = true
			stage.Assigned = func(_ context.Context, partitions []int32) error {
				assigned <- assignment{name, len(partitions)}
				return nil
			}
			running.Go(func() { _ = stage.Run(ctx) })
			return cancel
		}
		holds := func(name string) {
			t.Helper()
			deadline := time.After(2 * time.Minute)
			for {
				select {
				case a := <-assigned:
					if a.partitions != 0 && a.partitions != 3 {
						t.Errorf("%s got %d of 3 partitions", a.name, a.partitions)
					}
					if a.name == name && a.partitions == 3 {
						return
					}
				case <-deadline:
					t.Fatalf("%s never got the partitions", name)
				}
			}
		}
		stopA := start("a")
		holds("a")
		stopB := start("b")
		stopA()
		holds("b")
		stopB()
		running.Wait()
	})
}

func TestStageStopsWithItsContextsError(t *testing.T) {
	c, _ := ensured(t, testrig.Embedded(t))
	ctx, cancel := context.WithCancel(t.Context())
	stage := copying(c, "a")
	stage.Assigned = func(context.Context, []int32) error { cancel(); return nil }
	if err := stage.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
