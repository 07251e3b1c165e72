package kafka

import (
	"testing"

	"go.uber.org/goleak"

	"datawatch/pkg/testrig"
)

func TestStoppedSourceLeavesNothingRunning(t *testing.T) {
	k := newCompany(t, testrig.Embedded(t))
	topic := k.topic(t, "orders", 2, nil)
	k.send(t, message(topic, 0, "a"))
	ignored := []goleak.Option{
		goleak.IgnoreCurrent(), // the cluster's and its writer's
		goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		// The broker serves each connection in goroutines of this process, and sees its end when it gets to it.
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).read"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).read.func1"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).write"),
	}
	c := newCapture()
	stop := c.run(t, k.config(func(cfg *Config) { cfg.Start = startEarliest }))
	c.awaitValues(t, "a")
	_ = stop()
	testrig.NothingRuns(t, ignored...)
}
