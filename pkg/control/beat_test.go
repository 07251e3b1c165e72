package control_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/control"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
)

// TestAServiceGivesSignsOfLife: what of it is out of order, what it judged, and that it was told to stop.
func TestAServiceGivesSignsOfLife(t *testing.T) {
	c := config.DefaultShared().Broker
	c.Addresses, c.TopicPrefix = strings.Split(testrig.Embedded(t), ","), testrig.Prefix(t)
	env := daemon.NewEnv(slog.New(slog.DiscardHandler))
	if err := broker.EnsureTopics(t.Context(), c, env.Log); err != nil {
		t.Fatal(err)
	}
	env.Health.Set("source shop-db", daemon.NotReady, reason.Quote("no route to host"))
	env.Health.Set("telegram", daemon.Degraded, reason.TelegramAway.With())
	env.Health.Set("broker", daemon.Ready, reason.Text{})
	var once sync.Once
	say := func(b *control.Beat) {
		once.Do(func() {
			b.Tallies = map[string]control.Tally{"shop-db/public.orders": {Valid: 3, Invalid: 1}}
			b.Changes = map[event.Stream]control.Changes{"shop-db/public.orders": {Count: 4}}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- daemon.Beat(ctx, c, "validator", env, say) }()
	read := func(enough func([]control.Beat) error) {
		t.Helper()
		testrig.Eventually(t, 30*time.Second, func() error {
			beats, err := beatsOf(t.Context(), c)
			if err != nil {
				return err
			}
			return enough(beats)
		})
	}
	read(func(beats []control.Beat) error {
		if len(beats) == 0 {
			return errors.New("no beat")
		}
		b := beats[0]
		if b.Service != "validator" || b.Instance == "" || b.Stopping || len(b.Parts) != 2 || b.Tallies["shop-db/public.orders"] != (control.Tally{Valid: 3, Invalid: 1}) || b.Changes["shop-db/public.orders"].Count != 4 {
			return fmt.Errorf("beat %+v", b)
		}
		if p := b.Parts[0]; p.Name != "source shop-db" || p.Ready || p.Reason != "no route to host" || p.Since.IsZero() || b.Parts[1].Why.In("vi") != "không kết nối được Telegram" || !b.Parts[1].Ready {
			return fmt.Errorf("parts %+v", b.Parts)
		}
		return nil
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Beat returned %v", err)
	}
	read(func(beats []control.Beat) error {
		if last := beats[len(beats)-1]; !last.Stopping || len(last.Tallies)+len(last.Changes) != 0 {
			return fmt.Errorf("the last beat is %+v", last)
		}
		return nil
	})
}

func beatsOf(ctx context.Context, c config.Broker) ([]control.Beat, error) {
	scanner, err := broker.NewScanner(c, "test")
	if err != nil {
		return nil, err
	}
	defer func() { _ = scanner.Close() }()
	topic := broker.TopicsOf(c.TopicPrefix).Control
	end, err := scanner.End(topic, 0)
	if err != nil {
		return nil, err
	}
	var beats []control.Beat
	err = scanner.Scan(ctx, topic, 0, 0, end, func(r broker.Record) error {
		if b, ok := control.ReadBeat(r); ok {
			beats = append(beats, b)
		}
		return nil
	})
	return beats, err
}

func TestChangesAddUp(t *testing.T) {
	at := time.Date(2026, 11, 22, 14, 3, 7, 0, time.UTC)
	later := at.Add(time.Second)
	one, two := control.Changes{Count: 1, First: later, Last: at}, control.Changes{Count: 2, First: at, Last: later}
	want := control.Changes{Count: 3, First: at, Last: later}
	if one.Add(two) != want || two.Add(one) != want || (control.Changes{}).Add(one) != one || one.Add(control.Changes{}) != one {
		t.Errorf("%+v, %+v", one.Add(two), two.Add(one))
	}
}
