package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/deploy/program"
	"datawatch/deploy/shop"
	"datawatch/deploy/telegramsim"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// TestKilledServicesLoseAndRepeatNothing sells while services are killed at random, and then holds datawatch.clean
// against the shop's own tables and topics: each row's history is there whole, once and in order, and so is each record.
func TestKilledServicesLoseAndRepeatNothing(t *testing.T) {
	w := newWorld(t, testrig.Kafka(t), telegramsim.Limits{})
	s, err := shop.Open(t.Context(), shop.Options{DSN: w.DSN, Kafka: []string{w.Company}, Pace: 4 * time.Millisecond, Mistakes: 50, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	w.start()

	selling, stop := context.WithCancel(t.Context())
	var open sync.WaitGroup
	open.Go(func() {
		if err := s.Run(selling); !errors.Is(err, context.Canceled) {
			t.Errorf("shop: %v", err)
		}
	})
	kills := map[string]int{}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for until := time.Now().Add(max(testrig.Soak(), 15*time.Second)); time.Now().Before(until) || len(kills) < len(program.Services); {
		time.Sleep(time.Duration(500+random.IntN(2000)) * time.Millisecond) // what is to be killed must be at work
		name := program.Services[random.IntN(len(program.Services))]
		if err := w.processes[name].Kill(); err != nil {
			t.Fatal(err)
		}
		kills[name]++
		w.start(name)
	}
	stop()
	open.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}

	testrig.WhileMoving(t, time.Minute, w.holdsTheShop)
	t.Logf("killed: %v; clean holds %s", kills, w.summary())
	for name, p := range w.processes {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := p.Stop(ctx); err != nil {
			t.Errorf("stop %s: %v", name, err)
		}
		cancel()
	}
	if _, err := w.holdsTheShop(); err != nil {
		t.Errorf("after the services stopped: %v", err)
	}
}

// tables of the shop and their keys; every insert since the shop opened was captured but for goods and wallets.
var tables = map[string]string{"orders": "id", "payments": "id", "ledger": "id", "items": "sku", "wallets": "id"}

// holdsTheShop says how many events clean has, and what differs between it and the shop, or nil.
func (w *world) holdsTheShop() (int, error) {
	events, err := w.clean()
	if err != nil {
		return 0, err
	}
	return len(events), w.holdTheShop(events)
}

func (w *world) holdTheShop(events []*event.Clean) error {
	histories := map[event.Stream]map[string][]*event.Clean{}
	seen := map[string]bool{}
	for _, e := range events {
		if seen[e.ID] {
			return fmt.Errorf("%s is there twice", e.ID)
		}
		seen[e.ID] = true
		if e.Change == nil {
			return fmt.Errorf("a gap: %+v", e.Gap)
		}
		if histories[e.Stream] == nil {
			histories[e.Stream] = map[string][]*event.Clean{}
		}
		histories[e.Stream][string(e.Change.Key)] = append(histories[e.Stream][string(e.Change.Key)], e)
	}
	for table, key := range tables {
		stream := event.StreamOf("shop-db", event.TableEntity("public", table))
		if err := w.holdsTable(table, key, histories[stream]); err != nil {
			return fmt.Errorf("%s: %w", stream, err)
		}
	}
	for _, topic := range []string{shop.PaymentsTopic, shop.ShipmentsTopic} {
		stream := event.StreamOf("shop-kafka", topic)
		if err := w.holdsTopic(topic, histories[stream]); err != nil {
			return fmt.Errorf("%s: %w", stream, err)
		}
	}
	return nil
}

// holdsTable checks that the events of each row form one unbroken chain of images whose last is the row as it is.
func (w *world) holdsTable(table, key string, histories map[string][]*event.Clean) error {
	connection, err := pgx.Connect(w.t.Context(), w.DSN)
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close(context.WithoutCancel(w.t.Context())) }()
	if _, err := connection.Exec(w.t.Context(), `SET timezone = 'UTC'`); err != nil {
		return err
	}
	rows, err := connection.Query(w.t.Context(), fmt.Sprintf(`SELECT json_build_object('%[1]s', %[1]s)::text, row_to_json(t)::text FROM %[2]s t`, key, table))
	if err != nil {
		return err
	}
	var k, row string
	present := 0
	_, err = pgx.ForEachRow(rows, []any{&k, &row}, func() error {
		present++
		canonical, err := event.Canonical([]byte(k))
		if err != nil {
			return err
		}
		history := histories[string(canonical)]
		if len(history) == 0 {
			if table == "items" || table == "wallets" { // stocked before the collector came, and untouched since
				return nil
			}
			return fmt.Errorf("%s is missing", canonical)
		}
		return unbroken(history, row)
	})
	if err != nil {
		return err
	}
	if len(histories) > present {
		return fmt.Errorf("clean has %d rows, the table %d", len(histories), present)
	}
	return nil
}

func unbroken(history []*event.Clean, row string) error {
	for i, e := range history {
		switch {
		case i == 0 && e.Change.Op == event.Insert:
		case i == 0 && e.Change.Op == event.Update && (strings.HasSuffix(string(e.Stream), ".items") || strings.HasSuffix(string(e.Stream), ".wallets")):
		case i > 0 && e.Change.Op == event.Update && bytes.Equal(e.Change.Before, history[i-1].Change.After):
		default:
			return fmt.Errorf("event %d of %s, %s %s, doesn't follow from the one before", i, e.Change.Key, e.Change.Op, e.ID)
		}
		if i > 0 && e.ID <= history[i-1].ID {
			return fmt.Errorf("%s stands behind %s", e.ID, history[i-1].ID)
		}
	}
	last, err := event.Canonical(history[len(history)-1].Change.After)
	if err != nil {
		return err
	}
	want, err := event.Canonical([]byte(strings.ReplaceAll(row, "+00:00\"", "Z\"")))
	if err != nil {
		return err
	}
	if !bytes.Equal(last, want) {
		return fmt.Errorf("ends with %s, the row is %s", last, want)
	}
	return nil
}

// holdsTopic checks that clean has each record of the company's topic once, by partition and offset.
func (w *world) holdsTopic(topic string, histories map[string][]*event.Clean) error {
	var got []string
	for _, history := range histories {
		for _, e := range history {
			got = append(got, fmt.Sprintf("%d@%d %s", e.Change.Origin.Partition, e.Change.Origin.Offset, e.Change.After))
		}
	}
	want, err := w.records(topic)
	if err != nil {
		return err
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("clean has %d records, the topic %d, or they differ", len(got), len(want))
	}
	return nil
}

func (w *world) records(topic string) ([]string, error) {
	company := config.DefaultShared().Broker
	company.Addresses = []string{w.Company}
	records, err := w.scan(company, topic)
	all := make([]string, len(records))
	for i, r := range records {
		all[i] = fmt.Sprintf("%d@%d %s", r.Partition, r.Offset, r.Value)
	}
	return all, err
}

// summary is how many events of each stream clean holds.
func (w *world) summary() string {
	events, err := w.clean()
	if err != nil {
		return err.Error()
	}
	counts := map[event.Stream]int{}
	for _, e := range events {
		counts[e.Stream]++
	}
	return fmt.Sprint(counts)
}
