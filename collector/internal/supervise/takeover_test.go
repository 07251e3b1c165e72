package supervise

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"datawatch/collector/internal/source"
	"datawatch/pkg/testrig"
)

func inState(c *collector, name string, state source.State) bool {
	return testutil.ToFloat64(c.metrics.state.WithLabelValues(name, string(state))) == 1
}

func streams(c *collector, name string) error {
	if !inState(c, name, source.Streaming) {
		return fmt.Errorf("%s isn't streaming", name)
	}
	return nil
}

// spread waits until each source streams in one collector, and stands by in the others, and gives how many each has.
func spread(t *testing.T, names []string, collectors ...*collector) []int {
	t.Helper()
	counts := make([]int, len(collectors))
	testrig.Eventually(t, 30*time.Second, func() error {
		clear(counts)
		for _, name := range names {
			streaming := 0
			for i, c := range collectors {
				switch {
				case inState(c, name, source.Streaming):
					counts[i]++
					streaming++
				case !inState(c, name, source.Standby):
					return fmt.Errorf("%s is between states", name)
				}
			}
			if streaming != 1 {
				return fmt.Errorf("%s streams in %d collectors", name, streaming)
			}
		}
		for _, n := range counts {
			if n < len(names)/len(collectors) || n > (len(names)+len(collectors)-1)/len(collectors) {
				return fmt.Errorf("sources are spread as %v", counts)
			}
		}
		return nil
	})
	return counts
}

func TestSourcesAreSpreadEvenlyAndMoveWithoutLoss(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c := brokerConfig(t, addr)
		names := []string{"a", "b", "c", "d", "e", "f"}
		systems := map[string]*system{}
		var units []Unit
		for _, name := range names {
			systems[name] = newSystem()
			units = append(units, unit(systems[name], name, nil))
		}
		total := 0
		write := func() {
			for _, s := range systems {
				s.write(50)
			}
			total += 50
		}
		first := start(t, c, units...)
		spread(t, names, first)
		write()
		second := start(t, c, units...)
		write() // while half of them move
		spread(t, names, first, second)
		third := start(t, c, units...)
		spread(t, names, first, second, third)
		testrig.Eventually(t, 30*time.Second, func() error {
			if body := readyz(third); !strings.Contains(body, "standby: another collector does this") {
				return fmt.Errorf("/readyz doesn't say who does what: %s", body)
			}
			return nil
		})
		write()
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		spread(t, names, second, third)
		write()
		for _, name := range names {
			awaitNumbers(t, c, name, total)
		}
	})
}

// TestWhatIsNoSourceIsDoneByOneCollectorAtATime: hearing Telegram's updates, and the watch over the validator.
func TestWhatIsNoSourceIsDoneByOneCollectorAtATime(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c := brokerConfig(t, addr)
		var doers atomic.Int64
		var does [2]atomic.Bool
		part := func(collector int) Unit {
			return Unit{Name: "commands", Do: func(ctx context.Context) error {
				if doers.Add(1) > 1 {
					t.Error("two collectors do it at a time")
				}
				defer doers.Add(-1)
				does[collector].Store(true)
				defer does[collector].Store(false)
				<-ctx.Done()
				return ctx.Err()
			}}
		}
		begun := func(collector int) func() error {
			return func() error {
				if !does[collector].Load() {
					return errors.New("it isn't done")
				}
				return nil
			}
		}
		first := start(t, c, part(0))
		testrig.Eventually(t, 30*time.Second, begun(0))
		second := start(t, c, part(1))
		testrig.Eventually(t, 30*time.Second, func() error {
			if body := readyz(second); !strings.Contains(body, "standby: another collector does this") {
				return errors.New(body)
			}
			return nil
		})
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		testrig.Eventually(t, 15*time.Second, begun(1))
	})
}
