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

// TestStageWorksAheadOfItsCommitsAsFarAsItMay holds up what follows the first commit: so many batches more are processed, and
// no others before it goes on. Nothing is lost or repeated by it.
func TestStageWorksAheadOfItsCommitsAsFarAsItMay(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		const records = 20
		for _, ahead := range []int{0, 1, 2} {
			t.Run(fmt.Sprint(ahead), func(t *testing.T) {
				c, topics := ensured(t, addr)
				var all []Record
				for i := range records {
					all = append(all, Record{Topic: topics.Raw, Key: []byte("k"), Value: fmt.Append(nil, i)})
				}
				p := publisher(t, c, "source")
				if err := p.Publish(t.Context(), all); err != nil {
					t.Fatal(err)
				}
				var processed, ended atomic.Int64
				goOn, done := make(chan struct{}), make(chan struct{})
				stage := copying(c, "ahead")
				stage.MaxRecords, stage.Ahead = 1, ahead
				process := stage.Process
				stage.Process = func(ctx context.Context, batch []Record) ([]Record, error) {
					processed.Add(1)
					return process(ctx, batch)
				}
				stage.Committed = func([]Record, []Record) {
					if ended.Add(1) == 1 {
						<-goOn
					}
					if ended.Load() == records {
						close(done)
					}
				}
				ctx, cancel := context.WithCancel(t.Context())
				stopped := make(chan error, 1)
				go func() { stopped <- stage.Run(ctx) }()
				want := int64(1 + ahead)
				testrig.Eventually(t, time.Minute, func() error {
					if n := processed.Load(); n < want {
						return fmt.Errorf("%d batches processed, not %d", n, want)
					}
					return nil
				})
				if n := processed.Load(); n > want {
					t.Errorf("%d batches were processed while the first was committed, not %d", n, want)
				}
				close(goOn)
				<-done
				cancel()
				if err := <-stopped; !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				assertOnceInOrder(t, committed(t, c, topics.Clean), 1, records)
			})
		}
	})
}
