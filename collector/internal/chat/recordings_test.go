package chat

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"datawatch/collector/internal/record"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
)

// buy writes what an order leaves in clean.
func buy(t *testing.T, c config.Broker, id int, total, tag string) {
	t.Helper()
	p, err := broker.OpenPublisher(t.Context(), c, c.TopicPrefix+"-test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	now := time.Now().UTC()
	e := &event.Clean{
		ID: event.ID("shop-db", event.TickPosition("20261122T000000Z", int64(id), 1)), Stream: "shop-db/public.orders", Type: event.ChangeType,
		Time: now.Format(time.RFC3339Nano), Change: &event.Change{
			Op: event.Insert, Key: json.RawMessage(fmt.Sprintf(`{"id":%d}`, id)), After: json.RawMessage(fmt.Sprintf(`{"id":%d,"total":%s}`, id, total)),
			Origin: event.Origin{Kind: event.Postgres, Database: "shop", Schema: "public", Table: "orders", Transaction: fmt.Sprint(id), Tag: tag}, CapturedAt: now,
		},
	}
	r := broker.Record{Topic: broker.TopicsOf(c.TopicPrefix).Clean, Key: e.RecordKey(), Value: e.AppendJSON(nil)}
	if err := p.Publish(t.Context(), []broker.Record{r}); err != nil {
		t.Fatal(err)
	}
}

func (b *bot) document(t *testing.T) telegram.Document {
	t.Helper()
	select {
	case d := <-b.documents:
		return d
	case <-time.After(30 * time.Second):
		t.Fatal("no document")
		return telegram.Document{}
	}
}

// A recording begun before a collector's end is stopped by the next one; two are compared.
func TestWhatChangesIsRecordedAndCompared(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c := configuration(t, addr)
		b, _, stop := sit(t, c, "en")
		buy(t, c, 1, "5", "") // before
		if got := b.ask(t, "/record start checkout tag=mine"); !strings.HasPrefix(got, "Recording checkout.") {
			t.Errorf("answered: %s", got)
		}
		if got := b.ask(t, "/record start other"); !strings.Contains(got, "checkout is being recorded") {
			t.Errorf("answered: %s", got)
		}
		buy(t, c, 2, "149.97", "mine")
		stop()
		b, _, stop = sit(t, c, "en")
		defer stop()
		buy(t, c, 3, "7", "somebody else's")
		b.ask(t, "/record stop")
		page, lines := b.document(t), b.document(t)
		if page.Name != "checkout.html" || !strings.Contains(string(page.Content), "149.97") {
			t.Errorf("%s: %s", page.Name, page.Content)
		}
		r, err := record.ReadJSONLines(lines.Content)
		if err != nil || r.Changes() != 1 || r.Transactions[0].ID != "2" || !strings.Contains(lines.Caption.Plain(), "1 changes in 1 transactions") {
			t.Errorf("%+v, %v; %s", r, err, lines.Caption.Plain())
		}

		b.ask(t, "/record start checkout-2 tag=mine")
		buy(t, c, 4, "149.98", "mine")
		b.ask(t, "/record stop")
		b.document(t)
		b.document(t)
		b.ask(t, "/compare checkout checkout-2")
		if got := b.answer(t); !strings.Contains(got, "differ: 1 changes") || !strings.Contains(got, "after.total: 149.97 → 149.98") {
			t.Errorf("compared: %s", got)
		}
		b.ask(t, "/compare checkout checkout")
		if got := b.answer(t); !strings.Contains(got, "alike") {
			t.Errorf("compared: %s", got)
		}
		if got := b.ask(t, "/record"); strings.Count(got, "<code>checkout") != 2 {
			t.Errorf("listed: %s", got)
		}
	})
}

func TestRecordingThatNobodyStopsEndsByItself(t *testing.T) {
	c := configuration(t, testrig.Embedded(t))
	b, _, stop := sitFor(t, c, "en", time.Millisecond)
	defer stop()
	b.ask(t, "/record start forgotten")
	b.document(t)
	if lines := b.document(t); !strings.Contains(lines.Caption.Plain(), "ended by itself") {
		t.Errorf("told: %s", lines.Caption.Plain())
	}
}
