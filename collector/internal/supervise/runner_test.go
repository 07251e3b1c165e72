package supervise

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig"
)

// TestWhatFailsIsRunAgainBehindGrowingPausesThatDiffer: from half a second to half a minute, each shorter or longer by up to half.
func TestWhatFailsIsRunAgainBehindGrowingPausesThatDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const runs = 12
		s := New(Options{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Health: daemon.NewHealth()})
		ctx, cancel := context.WithCancel(t.Context())
		var begun []time.Time
		newRunner(s, Unit{Name: "one", Do: func(context.Context) error {
			if begun = append(begun, time.Now()); len(begun) == runs {
				cancel()
			}
			return errDown
		}}).run(ctx)
		shares := map[float64]bool{}
		usual := 500 * time.Millisecond
		for i := range runs - 1 {
			pause := begun[i+1].Sub(begun[i])
			if pause < usual/2 || pause >= usual*3/2 {
				t.Errorf("behind run %d is a pause of %s, where %s is usual", i+1, pause, usual)
			}
			shares[float64(pause)/float64(usual)] = true
			usual = min(2*usual, 30*time.Second)
		}
		if len(shares) < runs/2 {
			t.Errorf("pauses don't differ: %v", shares)
		}
	})
}

// TestSourceThatGotSomewhereIsRunAgainSoon fails behind each batch. Were pauses to grow all the same, the last would be minutes.
func TestSourceThatGotSomewhereIsRunAgainSoon(t *testing.T) {
	const batches = 13
	c, s := brokerConfig(t, testrig.Embedded(t)), newSystem()
	s.after = func(int) error { return errDown }
	spans := shortTimes
	spans.firstPause, spans.longPause = 20*time.Millisecond, time.Hour
	startWith(t, c, nil, spans, unit(s, "one", nil))
	s.write(batches * perBatch)
	awaitNumbers(t, c, "one", batches*perBatch)
}
