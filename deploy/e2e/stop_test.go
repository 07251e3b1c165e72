package e2e_test

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"datawatch/deploy/program"
	"datawatch/deploy/telegramsim"
	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig"
)

// TestServicesStopInTimeWhileTheBrokerIsAway kills the internal Kafka and then asks the services to stop.
func TestServicesStopInTimeWhileTheBrokerIsAway(t *testing.T) {
	kafka := testrig.KafkaServer(t)
	w := newWorld(t, kafka.Addr(), telegramsim.Limits{})
	w.start()
	w.assertHealthy()
	if err := kafka.Kill(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), daemon.StopTimeout-time.Second)
	defer cancel()
	stopped := make(chan error, len(program.Services))
	for _, p := range w.processes {
		go func() { stopped <- p.Stop(ctx) }()
	}
	for range program.Services {
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}
}

// assertHealthy asks each service as a container's health check does.
func (w *world) assertHealthy() {
	w.t.Helper()
	for name, path := range w.programs {
		if text, err := exec.CommandContext(w.t.Context(), path, "healthy", "--config", w.config).CombinedOutput(); err != nil {
			w.t.Errorf("%s healthy: %v\n%s", name, err, text)
		}
	}
}
