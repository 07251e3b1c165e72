package broker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"datawatch/pkg/testrig"
)

// TestWokenStageCommitsWhatIsNoRecords wakes a stage that has read something, and one that never has.
func TestWokenStageCommitsWhatIsNoRecords(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := ensured(t, addr)
		wake := make(chan struct{}, 1)
		var records, woken atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		stage := Stage{Broker: c, Name: "test", Group: c.TopicPrefix + "-wake", Topic: topics.Raw, Wake: wake,
			Process: func(_ context.Context, batch []Record) ([]Record, error) {
				records.Add(int64(len(batch)))
				if len(batch) > 0 {
					return nil, nil
				}
				n := woken.Add(1)
				return []Record{{Topic: topics.Clean, Key: []byte("woken"), Value: fmt.Append(nil, n)}}, nil
			}}
		go func() { ended <- stage.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("run: %v", err)
			}
		}()
		wake <- struct{}{} // before anything was read: nothing to commit, and no harm
		p, err := OpenPublisher(t.Context(), c, c.TopicPrefix+"-test")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		if err := p.Publish(t.Context(), []Record{{Topic: topics.Raw, Key: []byte("k"), Value: []byte("v")}}); err != nil {
			t.Fatal(err)
		}
		scanner, err := NewScanner(c, "test")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = scanner.Close() }()
		testrig.Eventually(t, time.Minute, func() error {
			if records.Load() == 0 {
				return errors.New("no record yet")
			}
			select {
			case wake <- struct{}{}:
			default:
			}
			found := 0
			partitions, err := scanner.Partitions(topics.Clean)
			for _, partition := range partitions {
				end, err := scanner.End(topics.Clean, partition)
				if err != nil {
					return err
				}
				if err := scanner.Scan(t.Context(), topics.Clean, partition, 0, end, func(Record) error { found++; return nil }); err != nil {
					return err
				}
			}
			if err == nil && found == 0 {
				err = errors.New("nothing committed")
			}
			return err
		})
		if n := records.Load(); n != 1 {
			t.Errorf("%d records", n)
		}
	})
}
