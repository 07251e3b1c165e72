package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig"
)

// TestCollectorsThatRunShareOutWhatTheyMaySend: each knows of the other, and of its end.
func TestCollectorsThatRunShareOutWhatTheyMaySend(t *testing.T) {
	t.Parallel()
	addr := testrig.Embedded(t)
	c := configuration(t, addr, addr, "none")
	run := func() (processes func(want float64) func() error, stop func()) {
		env := daemon.NewEnv(slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Run(ctx, c, env) }()
		stopped := false
		stop = func() {
			if stopped {
				return
			}
			stopped = true
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("Run returned %v", err)
			}
		}
		t.Cleanup(stop)
		return func(want float64) func() error {
			return func() error {
				families, err := env.Metrics.Gather()
				if err != nil {
					return err
				}
				for _, f := range families {
					if f.GetName() == "datawatch_collector_telegram_processes" {
						if got := f.GetMetric()[0].GetGauge().GetValue(); got != want {
							return fmt.Errorf("it shares with %v", got)
						}
						return nil
					}
				}
				return errors.New("no such metric")
			}
		}, stop
	}
	one, _ := run()
	other, stopOther := run()
	testrig.Eventually(t, time.Minute, one(2))
	testrig.Eventually(t, time.Minute, other(2))
	stopOther()
	testrig.Eventually(t, time.Minute, one(1))
}
