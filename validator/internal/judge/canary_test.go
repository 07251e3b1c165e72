package judge_test

import (
	"errors"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/validator/internal/judge"
	"datawatch/validator/internal/tally"
)

// TestCanariesAreToldWhenTheyWentThroughAndAreNobodysEvents.
func TestCanariesAreToldWhenTheyWentThroughAndAreNobodysEvents(t *testing.T) {
	w := newWorld(t, testrig.Embedded(t))
	type seen struct {
		partition int32
		sent      time.Time
	}
	came := make(chan seen, 10)
	assigned := make(chan int, 10)
	w.startWith(judge.Options{
		Canary:   func(p int32, sent time.Time) { came <- seen{p, sent} },
		Assigned: func(partitions []int32) { assigned <- len(partitions) },
	})
	sent := time.Date(2026, 11, 22, 14, 0, 0, 123_000_000, time.UTC)
	raw := event.Canary(event.NewEpoch(sent, ""), 5, sent)
	canary := &event.Clean{
		ID: raw.ID, Stream: raw.Stream, Type: event.ChangeType, Time: sent.Format(time.RFC3339Nano),
		Change: &event.Change{Op: event.Message, After: raw.Value, Origin: event.Origin{Kind: event.Kafka, Topic: "canary", Partition: 5}},
	}
	w.publish(canary, change(1, 1, event.Insert, "", `{"total": 1}`))
	select {
	case got := <-came:
		if want := broker.PartitionOf(raw.RecordKey, 3); got.partition != want || !got.sent.Equal(sent) {
			t.Errorf("told %+v, want partition %d", got, want)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("nobody was told")
	}
	if n := <-assigned; n != 3 {
		t.Errorf("assigned %d partitions", n)
	}
	w.tallied(1, 0, 0)
	w.eventually(func() error {
		state, err := w.scanner.State(t.Context(), w.topics.State, tally.Prefix)
		if err == nil && len(state) != 1 {
			err = errors.New("a canary is counted")
		}
		return err
	})
}

// TestAGapIsHandedOnOnceToWhoTellsPeople, in the transaction of the batch.
func TestAGapIsHandedOnOnceToWhoTellsPeople(t *testing.T) {
	w := newWorld(t, testrig.Embedded(t))
	w.start()
	lost := int64(7)
	gap := &event.Clean{
		ID: "shop-db/20261122T101500Z.000000000412.0003", Stream: stream, Type: event.GapType, Time: "2026-11-22T14:00:00Z",
		Gap: &event.Gap{Cause: "the outbox reached its cap", Remedy: "run collector snapshot", Lost: &lost},
	}
	w.publish(gap, change(1, 1, event.Insert, "", `{"total": 1}`))
	w.tallied(1, 0, 0)
	records, err := w.all(w.topics.Control)
	if err != nil {
		t.Fatal(err)
	}
	var got []control.Gap
	for _, r := range records {
		if g, ok := control.ReadGap(r); ok {
			got = append(got, g)
		}
	}
	if len(got) != 1 || got[0].Stream != stream || got[0].What.Cause != gap.Gap.Cause || got[0].What.Remedy != gap.Gap.Remedy || *got[0].What.Lost != lost {
		t.Errorf("handed on %+v", got)
	}
}
