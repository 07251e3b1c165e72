package replay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/validator/internal/replay"
	"datawatch/validator/internal/schemas"
)

func TestMain(m *testing.M) { testrig.Main(m) }

var update = flag.Bool("update", false, "write the golden files")

const (
	orders = event.Stream("shop-db/public.orders")
	carts  = event.Stream("shop-db/public.carts")
)

// world is a broker whose clean topic has events of two streams, in parts with different times.
type world struct {
	scanner *broker.Scanner
	topic   string
	ids     []string // of orders, in the order of the parts
}

func newWorld(t *testing.T, addr string, parts, size int) *world {
	t.Helper()
	c := config.DefaultShared().Broker
	c.Addresses, c.TopicPrefix, c.Partitions = []string{addr}, testrig.Prefix(t), 3
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := broker.EnsureTopics(ctx, c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	scanner, err := broker.NewScanner(c, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = scanner.Close() })
	w := &world{scanner: scanner, topic: broker.TopicsOf(c.TopicPrefix).Clean}
	p, err := broker.OpenPublisher(ctx, c, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	for part := range parts {
		var records []broker.Record
		for i := range size {
			for _, stream := range []event.Stream{orders, carts} {
				e := changeOf(stream, part*size+i)
				records = append(records, broker.Record{Topic: w.topic, Key: e.RecordKey(), Value: e.AppendJSON(nil)})
				if stream == orders {
					w.ids = append(w.ids, e.ID)
				}
			}
		}
		if err := p.Publish(ctx, records); err != nil {
			t.Fatal(err)
		}
		written := time.Now().UnixMilli()
		testrig.Eventually(t, time.Second, func() error { // records have their times in milliseconds: the next part is later
			if time.Now().UnixMilli() == written {
				return errors.New("time stands still")
			}
			return nil
		})
	}
	return w
}

func changeOf(stream event.Stream, n int) *event.Clean {
	return &event.Clean{ID: fmt.Sprintf("%s/%05d", stream, n), Stream: stream, Type: event.ChangeType, Time: "2026-11-22T08:00:00Z", Change: &event.Change{
		Op: event.Insert, Key: json.RawMessage(fmt.Sprintf(`{"id":%d}`, n)), After: json.RawMessage(fmt.Sprintf(`{"id":%d,"total":%d,"name":"Nguyen"}`, n, n%5-1)),
		Origin: event.Origin{Kind: event.Postgres},
	}}
}

func (w *world) read(ctx context.Context, r replay.Range) (ids []string, err error) {
	past, err := replay.Open(ctx, w.scanner, w.topic, r)
	if err != nil {
		return nil, err
	}
	err = past.Each(ctx, func(_ *broker.Record, e *event.Clean) error {
		ids = append(ids, e.ID)
		return nil
	})
	slices.Sort(ids)
	return ids, err
}

// TestLastGivesTheNewestEventsOfAllPartitionsAndNoOthers asks for whole parts, whose times tell them apart.
func TestLastGivesTheNewestEventsOfAllPartitionsAndNoOthers(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		const parts, size = 6, 50
		w := newWorld(t, addr, parts, size)
		for n := 1; n <= parts; n++ {
			ids, err := w.read(t.Context(), replay.Range{Stream: orders, Last: n * size})
			if want := w.ids[(parts-n)*size:]; err != nil || !slices.Equal(ids, want) {
				t.Errorf("the last %d: %d events from %v to %v, %v", n*size, len(ids), ids[:1], ids[max(0, len(ids)-1):], err)
			}
		}
		if ids, err := w.read(t.Context(), replay.Range{Last: 2 * size}); err != nil || len(ids) != 2*size {
			t.Errorf("of all streams: %d, %v", len(ids), err)
		}
		if ids, err := w.read(t.Context(), replay.Range{}); err != nil || len(ids) != 2*parts*size {
			t.Errorf("all: %d, %v", len(ids), err)
		}
		over := replay.Range{Stream: orders, Last: parts*size + 1}
		if _, err := w.read(t.Context(), over); !errors.Is(err, daemon.ErrTooFarBack) {
			t.Errorf("more than there is: %v", err)
		}
		over.Lenient = true
		if ids, err := w.read(t.Context(), over); err != nil || len(ids) != parts*size {
			t.Errorf("more than there is, leniently: %d, %v", len(ids), err)
		}
		if _, err := w.read(t.Context(), replay.Range{Since: time.Now().Add(-time.Hour)}); !errors.Is(err, daemon.ErrTooFarBack) {
			t.Errorf("since before there was anything: %v", err)
		}
		if ids, err := w.read(t.Context(), replay.Range{Since: time.Now().Add(time.Hour)}); err != nil || len(ids) != 0 {
			t.Errorf("since later: %v %v", ids, err)
		}
		stopped, stop := context.WithCancel(t.Context())
		stop()
		if _, err := w.read(stopped, replay.Range{Last: 1}); !errors.Is(err, context.Canceled) {
			t.Errorf("a reading that is ended gives %v", err)
		}
	})
}

func load(t *testing.T, schema string) *schemas.Set {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "shop-db", "public.orders.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(schema), 0o644); err != nil {
		t.Fatal(err)
	}
	set, err := schemas.Load(dir)
	if err != nil || len(set.Problems()) > 0 {
		t.Fatal(set.Problems(), err)
	}
	return set
}

// TestReportsSayWhatIsNewBetweenTwoFolders holds what people read, in text and as data.
func TestReportsSayWhatIsNewBetweenTwoFolders(t *testing.T) {
	w := newWorld(t, testrig.Embedded(t), 1, 50)
	now := load(t, `{"properties": {"total": {"maximum": 2}}, "x-rules": [{"id": "not-negative", "rule": "self.total >= 0", "message": "Negative total"}]}`)
	before := load(t, `{"properties": {"total": {"minimum": 1}}}`)
	for name, o := range map[string]replay.Options{
		"alone": {Schemas: now, Samples: 2}, "against": {Schemas: now, Against: before, Samples: 1}, "same": {Schemas: now, Against: now},
	} {
		past, err := replay.Open(t.Context(), w.scanner, w.topic, replay.Range{})
		if err != nil {
			t.Fatal(err)
		}
		report, err := replay.Run(t.Context(), past, o)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC) // in place of the times of this run
		report.HeldSince, report.From, report.To = &at, &at, &at
		for _, s := range report.Streams {
			s.Newest = at
		}
		var b bytes.Buffer
		if err := report.Write(&b); err != nil {
			t.Fatal(err)
		}
		data, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		got := append(append(b.Bytes(), data...), '\n')
		path := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %s\nwant:\n%s", name, got, want)
		}
	}
}
