package chat

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"datawatch/collector/internal/remote"
	"datawatch/collector/internal/source"
	"datawatch/pkg/broker"
	"datawatch/pkg/control"
	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
)

// /status is what services and collectors said last on the broker, wherever they run.
func TestStatusTellsOfAllServicesAndSources(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c := configuration(t, addr)
		topics := broker.TopicsOf(c.TopicPrefix)
		now, open := time.Now(), 1
		p, err := broker.OpenPublisher(t.Context(), c, c.TopicPrefix+"-test")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		records := []broker.Record{
			control.BeatRecord(topics.Control, control.Beat{Service: "collector", Instance: "a", At: now, Parts: []control.Part{{Name: "source shop-db", Reason: "told of the source"}}}),
			control.BeatRecord(topics.Control, control.Beat{Service: "collector", Instance: "b", At: now}),
			control.BeatRecord(topics.Control, control.Beat{Service: "preprocessor", Instance: "c", At: now.Add(-10 * time.Second)}),
			control.BeatRecord(topics.Control, control.Beat{Service: "preprocessor", Instance: "c", At: now, Stopping: true}),
			control.BeatRecord(topics.Control, control.Beat{
				Service: "validator", Instance: "d", At: now, Alerts: &open, Canaries: control.Canaries{0: now, 1: now.Add(-5 * time.Minute)},
				Tallies: map[string]control.Tally{"shop-db/public.orders": {Valid: 299, Invalid: 1}}, Parts: []control.Part{{Name: "schemas", Ready: true, Reason: "1 isn't loaded"}},
			}),
			remote.Status{State: source.Streaming, At: now, LagSeconds: 0.24}.Record(topics.State, "shop-db"),
			remote.Status{State: source.Streaming, At: now.Add(-time.Hour), LagSeconds: 1}.Record(topics.State, "shop-mongo"),
		}
		if err := p.Publish(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		d := New(Options{
			Broker: c, Language: "en", Zone: time.UTC, Log: slog.New(slog.DiscardHandler),
			Sources: func() []string { return []string{"shop-db", "shop-mongo", "new-db"} },
		})
		testrig.Eventually(t, 30*time.Second, func() error { // until the transaction's end is written
			lines, err := d.status(t.Context(), telegram.Command{})
			if err != nil {
				return err
			}
			got := telegram.NewMessage(lines...).Plain()
			for _, want := range []string{
				"🟠 5 need a look\nshop-db  streaming · 0.2 s behind\n✗ shop-mongo  no collector runs it\n✗ new-db  no collector has run it yet\n",
				"\ncollector  2 of it run\n✗ preprocessor  stopped at ", "\nvalidator  runs\n✗ validator / schemas  1 isn't loaded\n✗ end to end  the last canary came through 5 min ago",
				"\n10 events/s judged · 1 alert open (/alerts)",
			} {
				if !strings.Contains(got, want) {
					return fmt.Errorf("%q isn't in:\n%s", want, got)
				}
			}
			return nil
		})
	})
}
