package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/broker"
	"datawatch/pkg/control"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// TestCollectorsThatRunKnowOfEachOther: they share out what they may send, and tell each other what they captured.
func TestCollectorsThatRunKnowOfEachOther(t *testing.T) {
	t.Parallel()
	addr := testrig.Embedded(t)
	prefix := testrig.Prefix(t)
	topic := prefix + ".orders"
	createTopic(t, addr, topic, 1)
	c := configuration(t, addr, addr, prefix)
	c.Collector.Sources[0].Feed = true
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
	testrig.Eventually(t, time.Minute, func() error { // a source begins with what comes then
		produce(t, addr, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(`{"id": 1042}`)})
		return toldOf(t, c, "shop-kafka/"+event.Stream(topic))
	})
	stopOther()
	testrig.Eventually(t, time.Minute, one(1))
}

// toldOf looks for changes of a stream in signs of life.
func toldOf(t *testing.T, c Config, stream event.Stream) error {
	t.Helper()
	scanner, err := broker.NewScanner(c.Broker, "test")
	if err != nil {
		return err
	}
	defer func() { _ = scanner.Close() }()
	topic := broker.TopicsOf(c.Broker.TopicPrefix).Control
	end, err := scanner.End(topic, 0)
	if err != nil {
		return err
	}
	var told control.Changes
	err = scanner.Scan(t.Context(), topic, 0, 0, end, func(r broker.Record) error {
		if b, ok := control.ReadBeat(r); ok {
			told = told.Add(b.Changes[stream])
		}
		return nil
	})
	if err == nil && (told.Count == 0 || told.First.IsZero() || told.Last.IsZero()) {
		return fmt.Errorf("told of %s: %+v", stream, told)
	}
	return err
}
