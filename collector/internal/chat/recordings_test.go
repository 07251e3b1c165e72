package chat

import (
	"encoding/json"
	"fmt"
	"strconv"
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
	buyAll(t, c, ordered(id, fmt.Sprintf(`{"id":%d,"total":%s}`, id, total), tag))
}

// buyMany are orders with a note each.
func buyMany(t *testing.T, c config.Broker, id, n int, note, tag string) {
	t.Helper()
	var events []*event.Clean
	for i := range n {
		events = append(events, ordered(id+i, fmt.Sprintf(`{"id":%d,"note":%q}`, id+i, note), tag))
	}
	buyAll(t, c, events...)
}

func ordered(id int, after, tag string) *event.Clean {
	now := time.Now().UTC()
	return &event.Clean{
		ID: event.ID("shop-db", event.TickPosition("20261122T000000Z", int64(id), 1)), Stream: "shop-db/public.orders", Type: event.ChangeType,
		Time: now.Format(time.RFC3339Nano), Change: &event.Change{
			Op: event.Insert, Key: json.RawMessage(fmt.Sprintf(`{"id":%d}`, id)), After: json.RawMessage(after),
			Origin: event.Origin{Kind: event.Postgres, Database: "shop", Schema: "public", Table: "orders", Transaction: fmt.Sprint(id), Tag: tag}, CapturedAt: now,
		},
	}
}

func buyAll(t *testing.T, c config.Broker, events ...*event.Clean) {
	t.Helper()
	p, err := broker.OpenPublisher(t.Context(), c, c.TopicPrefix+"-test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	var records []broker.Record
	for _, e := range events {
		records = append(records, broker.Record{Topic: broker.TopicsOf(c.TopicPrefix).Clean, Key: e.RecordKey(), Value: e.AppendJSON(nil)})
	}
	if err := p.Publish(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

func (b *bot) document(t *testing.T) telegram.Document {
	t.Helper()
	select {
	case d := <-b.documents:
		return d
	case <-time.After(2 * time.Minute):
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
		aside := ordered(33, `{"id":33}`, "mine") // of a source that isn't in the feed
		aside.Stream, aside.ID = "aside-db/public.orders", event.ID("aside-db", event.TickPosition("20261122T000000Z", 33, 1))
		buyAll(t, c, aside)
		b.ask(t, "/record stop")
		page, lines := b.document(t), b.document(t)
		if page.Name != "checkout.html" || !strings.Contains(string(page.Content), "149.97") {
			t.Errorf("%s: %s", page.Name, page.Content)
		}
		r, err := record.ReadJSONLines(lines.Content)
		if err != nil || r.Changes() != 1 || r.Transactions[0].ID != "2" || !strings.Contains(lines.Caption.Plain(), "1 change") {
			t.Errorf("%+v, %v; %s", r, err, lines.Caption.Plain())
		}

		b.ask(t, "/record start checkout-2 tag=mine")
		buy(t, c, 4, "149.98", "mine")
		b.ask(t, "/record stop")
		b.document(t)
		b.document(t)
		b.ask(t, "/compare checkout checkout-2")
		if got := b.answer(t); !strings.Contains(got, "differ: 1 change") || !strings.Contains(got, "after.total: 149.97 → 149.98") {
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
	b, _, stop := sitWith(t, c, "en", func(o *Options) { o.LongestRecording, o.LookEvery = time.Second, 10*time.Millisecond })
	defer stop()
	b.ask(t, "/record start forgotten")
	b.document(t)
	if lines := b.document(t); !strings.Contains(lines.Caption.Plain(), "ended by itself after 1.0 s") {
		t.Errorf("told: %s", lines.Caption.Plain())
	}
}

// A recording ends by itself with as much as a file may hold: what is in it is sent, what came behind is told as a number,
// and no row is in neither.
func TestRecordingThatGrowsTooLargeEndsByItself(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c := configuration(t, addr)
		b, _, stop := sitWith(t, c, "en", func(o *Options) { o.LargestFile, o.LookEvery = 8<<10, 10*time.Millisecond })
		defer stop()
		b.ask(t, "/record start small tag=mine")
		written := 0
		note := strings.Repeat("x", 500)
		for ended := false; !ended; {
			if written++; written > 1000 {
				t.Fatal("it goes on")
			}
			buyMany(t, c, written*10, 1, note, "mine")
			buyMany(t, c, 100_000+written*10, 10, note, "somebody else's") // they fill nothing
			select {
			case page := <-b.documents:
				ended = true
				if page.Name != "small.html" {
					t.Errorf("sent: %s", page.Name)
				}
			default:
			}
		}
		lines := b.document(t)
		r, err := record.ReadJSONLines(lines.Content)
		if err != nil {
			t.Fatal(err)
		}
		told := lines.Caption.Plain()
		if !strings.Contains(told, "ended by itself: its files had reached the 0.0 MB") {
			t.Errorf("told: %s", told)
		}
		if n := len(lines.Content); n > 9<<10 || n < 5<<10 || r.Changes() < 8 || r.Changes()+r.Beyond > written {
			t.Errorf("%d bytes of %d changes, and %d more, of %d", n, r.Changes(), r.Beyond, written)
		}
		if want := fmt.Sprintf("%d more", r.Beyond); r.Beyond == 0 && strings.Contains(told, "didn't fit") || r.Beyond > 0 && !strings.Contains(told, want) {
			t.Errorf("%d beyond; told: %s", r.Beyond, told)
		}
		last := 0
		for _, one := range r.Transactions {
			n, err := strconv.Atoi(one.ID)
			if err != nil || n > written*10 {
				t.Errorf("it holds transaction %s", one.ID)
			}
			last = max(last, n/10)
		}
		if r.Changes()+r.Beyond < last {
			t.Errorf("%d changes and %d more are told of the first %d", r.Changes(), r.Beyond, last)
		}
		if got := b.ask(t, "/record stop"); !strings.Contains(got, "Nothing is being recorded") {
			t.Errorf("answered: %s", got)
		}
	})
}

// The files of a recording that ended come, though Telegram took none when it did, and the desk was another one.
func TestFilesOfARecordingAreSentUntilTheyHaveGone(t *testing.T) {
	c := configuration(t, testrig.Embedded(t))
	quick := func(o *Options) { o.LookEvery = 10 * time.Millisecond }
	b, _, stop := sitWith(t, c, "en", quick)
	b.failing.Store(true)
	b.ask(t, "/record start checkout")
	buy(t, c, 1, "149.97", "")
	b.ask(t, "/record stop")
	for range 3 {
		select {
		case <-b.failed:
		case <-time.After(2 * time.Minute):
			t.Fatal("it isn't tried again")
		}
	}
	stop()
	b, _, stop = sitWith(t, c, "en", quick)
	defer stop()
	b.document(t)
	if lines := b.document(t); !strings.Contains(lines.Caption.Plain(), "checkout · 1 change") {
		t.Errorf("told: %s", lines.Caption.Plain())
	}
	b.ask(t, "/record start next")
	b.ask(t, "/record stop")
	if page := b.document(t); page.Name != "next.html" { // and nothing twice
		t.Errorf("sent: %s", page.Name)
	}
}
