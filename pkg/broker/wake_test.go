package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/config"
	"datawatch/pkg/testrig"
)

// waker runs a stage that writes a record to clean whenever it is woken.
type waker struct {
	topics         Topics
	wake           chan struct{}
	records, woken atomic.Int64
}

// run runs the stage until stop.
func (w *waker) run(t *testing.T, c config.Broker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	stage := Stage{Broker: c, Name: "test", Group: c.TopicPrefix + "-wake", Topic: w.topics.Raw, Wake: w.wake,
		Process: func(_ context.Context, batch []Record) ([]Record, error) {
			w.records.Add(int64(len(batch)))
			if len(batch) > 0 {
				return nil, nil
			}
			return []Record{{Topic: w.topics.Clean, Key: []byte("woken"), Value: fmt.Append(nil, w.woken.Add(1))}}, nil
		}}
	go func() { ended <- stage.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// awaitMore wakes the stage until clean has more than so many records, and gives how many it has.
func (w *waker) awaitMore(t *testing.T, s *Scanner, than int) int {
	t.Helper()
	found := 0
	testrig.Eventually(t, time.Minute, func() error {
		select {
		case w.wake <- struct{}{}:
		default:
		}
		found = 0
		partitions, err := s.Partitions(w.topics.Clean)
		for _, partition := range partitions {
			end, err := s.End(w.topics.Clean, partition)
			if err != nil {
				return err
			}
			if err := s.Scan(t.Context(), w.topics.Clean, partition, 0, end, func(Record) error { found++; return nil }); err != nil {
				return err
			}
		}
		if err == nil && found <= than {
			err = fmt.Errorf("%d committed", found)
		}
		return err
	})
	return found
}

// TestWokenStageCommitsWhatIsNoRecords wakes a stage that has never read anything, one that has, and one that begins anew where
// its topic no longer holds what it has committed.
func TestWokenStageCommitsWhatIsNoRecords(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := ensured(t, addr)
		scanner, err := NewScanner(c, "test")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = scanner.Close() }()
		w := &waker{topics: topics, wake: make(chan struct{}, 1)}
		stop := w.run(t, c)
		found := w.awaitMore(t, scanner, 0)
		p, err := OpenPublisher(t.Context(), c, c.TopicPrefix+"-test")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		if err := p.Publish(t.Context(), []Record{{Topic: topics.Raw, Key: []byte("k"), Value: []byte("v")}}); err != nil {
			t.Fatal(err)
		}
		testrig.Eventually(t, time.Minute, func() error {
			if w.records.Load() == 0 {
				return errors.New("no record yet")
			}
			return nil
		})
		found = w.awaitMore(t, scanner, found)
		stop()
		empty(t, c, scanner, topics.Raw)
		w.run(t, c)
		w.awaitMore(t, scanner, found)
		if n := w.records.Load(); n != 1 {
			t.Errorf("%d records", n)
		}
	})
}

// empty deletes what a topic holds, the markers of transactions too, as retention does.
func empty(t *testing.T, c config.Broker, s *Scanner, topic string) {
	t.Helper()
	settings, err := ClientConfig(c.Cluster, "test")
	if err != nil {
		t.Fatal(err)
	}
	admin, err := sarama.NewClusterAdmin(c.Addresses, settings)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	partitions, err := s.Partitions(topic)
	offsets := map[int32]int64{}
	for _, partition := range partitions {
		end, endErr := s.End(topic, partition)
		offsets[partition], err = end, errors.Join(err, endErr)
	}
	if err = errors.Join(err, admin.DeleteRecords(topic, offsets)); err != nil {
		t.Fatal(err)
	}
}
