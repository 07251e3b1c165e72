package canary_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"datawatch/collector/internal/canary"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
	"datawatch/pkg/testrig"
)

func TestMain(m *testing.M) { testrig.Main(m) }

// TestEachPartitionGetsCanariesThatComeOutInTheSame, none twice, also when another collector sends.
func TestEachPartitionGetsCanariesThatComeOutInTheSame(t *testing.T) {
	c := config.DefaultShared().Broker
	c.Addresses, c.TopicPrefix, c.Partitions = strings.Split(testrig.Embedded(t), ","), testrig.Prefix(t), 7
	if err := broker.EnsureTopics(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	scanner, err := broker.NewScanner(c, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = scanner.Close() })
	for want := 1; want <= 6; want += 5 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- canary.Send(ctx, c, 10*time.Millisecond) }()
		testrig.Eventually(t, 30*time.Second, func() error { return eachHas(t, scanner, c, want) })
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Send returned %v", err)
		}
	}
}

// eachHas tells which partition has fewer canaries; what it finds wrong with them fails the test.
func eachHas(t *testing.T, scanner *broker.Scanner, c config.Broker, n int) error {
	topic, seen := broker.TopicsOf(c.TopicPrefix).Raw, map[string]bool{}
	for p := range c.Partitions {
		end, err := scanner.End(topic, p)
		if err != nil {
			return err
		}
		found := 0
		err = scanner.Scan(t.Context(), topic, p, 0, end, func(r broker.Record) error {
			found++
			raw, err := event.ParseRaw(r.Key, r.Value, r.Headers)
			if err != nil {
				return err
			}
			events, err := normalize.New(normalize.Options{}).Events(t.Context(), raw)
			if err != nil || len(events) != 1 {
				return fmt.Errorf("%d events, %w", len(events), err)
			}
			e := events[0]
			if !event.IsCanary(r.Key) || !event.IsCanary(e.RecordKey()) || e.Stream != event.CanaryStream || broker.PartitionOf(e.RecordKey(), c.Partitions) != p {
				t.Errorf("partition %d has %s of %s, which comes to %d", p, r.Key, e.Stream, broker.PartitionOf(e.RecordKey(), c.Partitions))
			}
			if seen[e.ID] {
				t.Errorf("%s is there twice", e.ID)
			}
			seen[e.ID] = true
			return nil
		})
		if err != nil {
			return err
		}
		if found < n {
			return fmt.Errorf("partition %d has %d canaries", p, found)
		}
	}
	return nil
}
