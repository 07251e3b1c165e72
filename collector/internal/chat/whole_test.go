package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/collector/internal/feed"
	"datawatch/collector/internal/record"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
)

// inserted is a row of shop-db's table, as its source captures it.
func inserted(t *testing.T, tick, n int64, table, tx string, captured time.Time) event.Raw {
	t.Helper()
	columns := []event.Column{{Name: "id", Type: "bigint", Base: "int8"}, {Name: "note", Type: "text", Base: "text"}, {Name: "email", Type: "text", Base: "text"}}
	after := json.RawMessage(fmt.Sprintf(`{"id":%d,"note":"row %d of %s","email":"ann@secret.io"}`, n, n, table))
	value, err := json.Marshal(event.RowChange{
		Version: 1, Op: event.Insert, Database: "shop", Schema: "public", Table: table, Columns: columns, KeyColumns: []string{"id"}, After: after, Transaction: tx, TransactionIndex: n,
	})
	if err != nil {
		t.Fatal(err)
	}
	key, err := normalize.RowKey(columns, []string{"id"}, after)
	if err != nil {
		t.Fatal(err)
	}
	stream := event.StreamOf("shop-db", event.TableEntity("public", table))
	return event.Raw{
		Type: event.RawType, Kind: event.Postgres, Stream: stream, Time: captured, CapturedAt: captured, Key: key, RecordKey: event.RecordKey(stream, key), Value: value,
		ID: event.ID("shop-db", event.TickPosition("20261122T000000Z", tick, n)),
	}
}

// commit writes events to raw.
func commit(t *testing.T, c config.Broker, events []event.Raw) {
	t.Helper()
	p, err := broker.OpenPublisher(t.Context(), c, c.TopicPrefix+"-source")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	var records []broker.Record
	for _, e := range events {
		records = append(records, broker.Record{Topic: broker.TopicsOf(c.TopicPrefix).Raw, Key: e.RecordKey, Value: e.Value, Headers: e.RecordHeaders()})
	}
	if err := p.Publish(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

// press presses a button and gives what the person sees on top of the chat.
func (b *bot) press(t *testing.T, data string) string {
	t.Helper()
	b.number++
	p := telegram.Press{Update: b.number, Message: telegram.Ref{Chat: telegram.Chat{}, ID: 70 + b.number}, User: telegram.User{ID: 1, Name: "@linh"}, Data: data}
	told := make(chan string, 1)
	b.updates <- func(ctx context.Context, h telegram.Handlers) error {
		text, err := h.Press(ctx, p)
		told <- text
		return err
	}
	select {
	case text := <-told:
		return text
	case <-time.After(2 * time.Minute):
		t.Fatal("the button wasn't heard")
		return ""
	}
}

// buttonOf waits for a message with a button, and gives its data.
func (b *bot) buttonOf(t *testing.T, in string) string {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		select {
		case m := <-b.answers:
			if len(m.Buttons) == 1 && m.Buttons[0][0].Text == "All as file" && strings.Contains(m.Plain(), in) {
				return m.Buttons[0][0].Data
			}
		case <-deadline:
			t.Fatalf("no message with %q and a button", in)
		}
	}
}

// TestWhatIsTooMuchForAMessageIsAFile: of a transaction and of a digest, also for a collector that is started later; without
// what no one may be shown, and without what isn't in the feed.
func TestWhatIsTooMuchForAMessageIsAFile(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c := configuration(t, addr)
		registry := prometheus.NewRegistry()
		b, f, stop := sitCounting(t, c, "en", registry, func(*Options) {})
		running, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = f.Run(running) }()
		now := time.Now().UTC()
		var big, many []event.Raw
		for n := range int64(40) {
			big = append(big, inserted(t, 1, n+1, []string{"orders", "payments"}[n%2], "7", now.Add(time.Duration(n)*time.Microsecond)))
		}
		commit(t, c, big)
		f.Offer(big)
		ofTransaction := b.buttonOf(t, "40 changes")
		for n := range int64(30) {
			many = append(many, inserted(t, 2+n, 100+n, "orders", fmt.Sprint(100+n), time.Now().UTC()))
		}
		aside := inserted(t, 999, 999, "orders", "999", time.Now().UTC())
		aside.Stream, aside.ID = "aside-db/public.orders", event.ID("aside-db", event.TickPosition("20261122T000000Z", 1, 999))
		commit(t, c, append(many, aside))
		f.Pause(telegram.Chat{}, time.Now().Add(time.Hour)) // so that all of them are summed up
		f.Offer(many)
		testrig.Eventually(t, 30*time.Second, func() error {
			if n := waiting(t, registry); n != len(many) {
				return fmt.Errorf("%d wait", n)
			}
			return nil
		})
		f.Pause(telegram.Chat{}, time.Time{})
		ofDigest := b.buttonOf(t, "30 transactions")
		cancel()
		<-ended
		stop()

		b, _, stop = sit(t, c, "en")
		defer stop()
		for _, one := range []struct {
			data, name, told      string
			changes, transactions int
		}{{ofTransaction, "shop-db-7.jsonl", "40 changes in one transaction", 40, 1}, {ofDigest, "changes-", "30 changes in 30 transactions", 30, 30}} {
			if told := b.press(t, one.data); told != "The file follows." {
				t.Errorf("told: %s", told)
			}
			doc := b.document(t)
			r, err := record.ReadJSONLines(doc.Content)
			if err != nil {
				t.Fatal(err)
			}
			if r.Changes() != one.changes || len(r.Transactions) != one.transactions || !strings.HasPrefix(doc.Name, one.name) || !strings.Contains(doc.Caption.Plain(), one.told) {
				t.Errorf("%s: %s; it holds %d in %d", doc.Name, doc.Caption.Plain(), r.Changes(), len(r.Transactions))
			}
			if text := string(doc.Content); strings.Contains(text, "secret") || !strings.Contains(text, "row 40 of payments") && one.transactions == 1 {
				t.Errorf("the file: %s", text)
			}
		}
	})
}

// waiting is what the feed hasn't told yet.
func waiting(t *testing.T, registry *prometheus.Registry) int {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "datawatch_collector_feed_waiting" {
			return int(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	t.Fatal("no such metric")
	return 0
}

func TestFileSaysWhatItLacks(t *testing.T) {
	c := configuration(t, testrig.Embedded(t))
	b, _, stop := sit(t, c, "en")
	defer stop()
	now := time.Now().UTC()
	var rows []event.Raw
	for n := range int64(300) {
		rows = append(rows, inserted(t, 1, n, "orders", "7", now))
	}
	commit(t, c, rows)
	button := func(first time.Time, changes int) string {
		return feed.Whole{First: first, Last: first.Add(5 * time.Millisecond), Until: first.Add(time.Minute), Changes: changes}.Action()
	}
	// More than a file takes, and 23 that are gone.
	if told := b.press(t, button(now.Add(-time.Millisecond), 323)); told != "The file follows." {
		t.Errorf("told: %s", told)
	}
	doc := b.document(t)
	if len(doc.Content) > sitsLargestFile || len(doc.Content) < sitsLargestFile/2 {
		t.Errorf("%d bytes", len(doc.Content))
	}
	if got := doc.Caption.Plain(); !strings.Contains(got, "more changes didn't fit") || !strings.Contains(got, "23 more aren't held any more") {
		t.Errorf("captioned: %s", got)
	}
	b.press(t, button(now.Add(-time.Hour), 5))
	if got := b.answer(t); !strings.Contains(got, "None of it is held any more") {
		t.Errorf("answered: %s", got)
	}
	if told := b.press(t, "file x"); !strings.Contains(told, "isn't known any more") {
		t.Errorf("told: %s", told)
	}
}
