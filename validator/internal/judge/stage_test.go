package judge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/validator/internal/judge"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/wrongrows"
)

const stream = event.Stream("shop-db/public.orders")

// world is a broker with the internal topics, and a schema folder.
type world struct {
	t       *testing.T
	config  config.Broker
	topics  broker.Topics
	scanner *broker.Scanner
	set     atomic.Pointer[schemas.Set]
	judges  []*judge.Judge
	stuck   chan judge.Stuck
	dir     string // of the schemas
	log     *slog.Logger
}

func newWorld(t *testing.T, addr string) *world {
	t.Helper()
	c := config.DefaultShared().Broker
	c.Addresses, c.TopicPrefix, c.Partitions = []string{addr}, testrig.Prefix(t), 3
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := broker.EnsureTopics(ctx, c, log); err != nil {
		t.Fatal(err)
	}
	scanner, err := broker.NewScanner(c, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = scanner.Close() })
	dir := t.TempDir() // of schemas
	if err := os.MkdirAll(filepath.Join(dir, "shop-db"), 0o755); err != nil {
		t.Fatal(err)
	}
	schema := `{"required": ["total"], "properties": {"total": {"type": "number"}, "status": {"type": "string"}}, "x-severity": "critical",
		"x-rules": [{"id": "not-negative", "rule": "self.total >= 0", "message": "Negative total"},
		            {"id": "stays-paid", "rule": "!(old.status.orValue('') == 'paid' && self.status.orValue('') == 'new')", "message": "A paid order became new"}]}`
	w := &world{t: t, config: c, topics: broker.TopicsOf(c.TopicPrefix), scanner: scanner, dir: dir, log: log, stuck: make(chan judge.Stuck, 10)}
	w.schema(schema)
	return w
}

// schema puts a file for the stream into force; none removes it.
func (w *world) schema(text string) {
	w.t.Helper()
	file := filepath.Join(w.dir, "shop-db", "public.orders.json")
	err := error(nil)
	if text == "" {
		err = os.Remove(file)
	}
	if text != "" {
		err = os.WriteFile(file, []byte(text), 0o644)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	set, err := schemas.Load(w.dir)
	if err != nil || len(set.Problems()) > 0 {
		w.t.Fatal(err, set.Problems())
	}
	w.set.Store(set)
	for _, j := range w.judges {
		j.Wake()
	}
}

func change(n int, key int, op event.Op, before, after string) *event.Clean {
	raw := func(s string) json.RawMessage {
		if s == "" {
			return nil
		}
		return json.RawMessage(s)
	}
	return &event.Clean{
		ID: fmt.Sprintf("shop-db/%08d", n), Stream: stream, Type: event.ChangeType, Time: time.Now().UTC().Format(time.RFC3339Nano),
		Change: &event.Change{
			Op: op, Key: json.RawMessage(fmt.Sprintf(`{"id":%d}`, key)), Before: raw(before), After: raw(after),
			Origin: event.Origin{Kind: event.Postgres, Position: fmt.Sprintf("%08d", n)},
		},
	}
}

// publish writes events to clean, in one transaction.
func (w *world) publish(events ...*event.Clean) {
	w.t.Helper()
	p, err := broker.OpenPublisher(w.t.Context(), w.config, w.config.TopicPrefix+"-test")
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	var records []broker.Record
	for _, e := range events {
		records = append(records, broker.Record{Topic: w.topics.Clean, Key: e.RecordKey(), Value: e.AppendJSON(nil)})
	}
	if err := p.Publish(w.t.Context(), records); err != nil {
		w.t.Fatal(err)
	}
}

// all reads a topic to its end.
func (w *world) all(topic string) ([]broker.Record, error) {
	var records []broker.Record
	partitions, err := w.scanner.Partitions(topic)
	if err != nil {
		return nil, err
	}
	for _, p := range partitions {
		from, err := w.scanner.Oldest(topic, p)
		if err != nil {
			return nil, err
		}
		to, err := w.scanner.Settled(w.t.Context(), topic, p)
		if err != nil {
			return nil, err
		}
		err = w.scanner.Scan(w.t.Context(), topic, p, from, to, func(r broker.Record) error {
			records = append(records, r)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return records, nil
}

// standing are the keys in wrong that stand.
func (w *world) standing() (map[string]bool, error) {
	records, err := w.all(w.topics.Wrong)
	standing := map[string]bool{}
	for _, r := range records {
		if r.Value == nil {
			delete(standing, string(r.Key))
		} else {
			standing[string(r.Key)] = true
		}
	}
	return standing, err
}

// start runs a judge; stop ends it and waits.
func (w *world) start() (registry *prometheus.Registry, stop func()) {
	w.t.Helper()
	return w.startWith(judge.Options{})
}

// startWith is start with further options.
func (w *world) startWith(o judge.Options) (registry *prometheus.Registry, stop func()) {
	w.t.Helper()
	registry = prometheus.NewRegistry()
	ctx, cancel := context.WithCancel(w.t.Context())
	o.Broker, o.Schemas, o.Log, o.Metrics = w.config, w.set.Load, w.log, registry
	o.Stuck = func(s judge.Stuck) { w.stuck <- s }
	j := judge.New(o)
	w.judges = append(w.judges, j)
	ended := make(chan error, 1)
	go func() { ended <- j.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				w.t.Errorf("judge: %v", err)
			}
		})
	}
	w.t.Cleanup(stop)
	return registry, stop
}

func (w *world) eventually(condition func() error) {
	w.t.Helper()
	testrig.Eventually(w.t, 60*time.Second, condition)
}

// expect waits until these keys stand in wrong, and no others.
func (w *world) expect(keys ...string) {
	w.t.Helper()
	w.eventually(func() error {
		got, err := w.standing()
		if err != nil {
			return err
		}
		if len(got) != len(keys) {
			return fmt.Errorf("standing: %v, want %q", got, keys)
		}
		for _, key := range keys {
			if !got[key] {
				return fmt.Errorf("standing: %v, want %q", got, keys)
			}
		}
		return nil
	})
}

func wrongKey(key int, rule string) string {
	return fmt.Sprintf("%s\n{\"id\":%d}\n%s", stream, key, rule)
}

func TestRowStandsAsWrongUntilALaterEventPassesOrItIsDeleted(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		w := newWorld(t, addr)
		w.publish(
			change(1, 1, event.Insert, "", `{"total": -1}`),
			change(2, 2, event.Insert, "", `{"total": "x"}`),
			change(3, 3, event.Insert, "", `{"total": 1}`),
			change(4, 4, event.Update, `{"total": 1, "status": "paid"}`, `{"total": 1, "status": "new"}`),
		)
		_, stop := w.start()
		expect := w.expect
		expect(wrongKey(1, "not-negative"), wrongKey(2, "schema"))
		w.publish(change(5, 1, event.Update, `{"total": -1}`, `{"total": 5}`))
		expect(wrongKey(2, "schema"))
		stop()

		// Another validator learns what stands from the topic.
		registry, _ := w.start()
		w.publish(change(6, 5, event.Insert, "", `{"total": -7}`))
		expect(wrongKey(2, "schema"), wrongKey(5, "not-negative"))
		w.eventually(func() error {
			return testutil.GatherAndCompare(registry, metricText(`
				datawatch_validator_wrong_rows{rule="not-negative",severity="critical",stream="shop-db/public.orders"} 1
				datawatch_validator_wrong_rows{rule="schema",severity="critical",stream="shop-db/public.orders"} 1
			`), "datawatch_validator_wrong_rows")
		})
		w.publish(change(7, 2, event.Delete, `{"total": "x"}`, ""))
		expect(wrongKey(5, "not-negative"))

		records, err := w.all(w.topics.Wrong)
		if err != nil {
			t.Fatal(err)
		}
		partition := map[string]int32{}
		clean, err := w.all(w.topics.Clean)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range clean {
			partition[string(r.Key)] = r.Partition
		}
		for _, r := range records {
			row, _, _, err := wrongrows.ParseKey(r.Key)
			if err != nil {
				t.Fatal(err)
			}
			if at := partition[string(row)]; r.Partition != at {
				t.Errorf("%q lies in partition %d, its row in %d of clean", r.Key, r.Partition, at)
			}
		}
	})
}

// TestABrokenStructureEndsNothingThatARuleFound: a rule isn't asked where the structure is broken, so nobody knows that it passes.
func TestABrokenStructureEndsNothingThatARuleFound(t *testing.T) {
	w := newWorld(t, testrig.Embedded(t))
	_, stop := w.start()
	w.publish(change(1, 1, event.Insert, "", `{"total": -1}`), change(2, 1, event.Update, `{"total": -1}`, `{"total": "x"}`))
	w.expect(wrongKey(1, "not-negative"), wrongKey(1, "schema"))
	stop()

	// By another version of the file its newest event decides: the older one doesn't say that the structure is whole.
	w.schema(`{"properties": {"total": {"type": "number"}}, "x-rules": [{"id": "not-negative", "rule": "self.total >= -5", "message": "Negative total"}]}`)
	w.start()
	w.publish(change(3, 2, event.Insert, "", `{"total": -7}`))
	select {
	case stuck := <-w.stuck: // it was judged again
		if stuck.Rows != 1 {
			t.Errorf("%d rows can't be judged again, want 1", stuck.Rows)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("not judged again within a minute")
	}
	w.expect(wrongKey(1, "not-negative"), wrongKey(1, "schema"), wrongKey(2, "not-negative"))
	w.publish(change(4, 1, event.Update, `{"total": "x"}`, `{"total": 5}`))
	w.expect(wrongKey(2, "not-negative"))
}

// TestEachViolationIsWrittenOnceWhateverIsStopped judges one load with validators that come and go, two at a time.
func TestEachViolationIsWrittenOnceWhateverIsStopped(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		w := newWorld(t, addr)
		const rounds, each = 6, 100
		_, stopFirst := w.start()
		_, stopSecond := w.start()
		for round := range rounds {
			var events []*event.Clean
			for i := range each {
				n := round*each + i
				events = append(events, change(n, n%37, event.Insert, "", fmt.Sprintf(`{"total": %d}`, -1-n%2*-2)))
			}
			w.publish(events...)
			if round%2 == 0 {
				stopFirst()
				_, stopFirst = w.start()
			} else {
				stopSecond()
				_, stopSecond = w.start()
			}
		}
		w.eachOnce(rounds * each / 2)
	})
}

// eachOnce waits until there are so many violations, and fails where one is there twice.
func (w *world) eachOnce(want int) {
	w.t.Helper()
	seen := map[string]int{}
	testrig.WhileMoving(w.t, time.Minute, func() (int, error) {
		records, err := w.all(w.topics.Violations)
		if err != nil {
			return 0, err
		}
		clear(seen)
		for _, r := range records {
			var v event.Violation
			if err := json.Unmarshal(r.Value, &v); err != nil {
				return 0, err
			}
			seen[v.ID]++
		}
		if len(seen) < want {
			return len(seen), fmt.Errorf("%d violations of %d", len(seen), want)
		}
		return len(seen), nil
	})
	if len(seen) != want {
		w.t.Errorf("%d violations, want %d", len(seen), want)
	}
	for id, n := range seen {
		if n != 1 {
			w.t.Errorf("violation %s is there %d times", id, n)
		}
	}
}

func TestWhatIsNoCleanEventIsAViolationAndEndsNothing(t *testing.T) {
	w := newWorld(t, testrig.Embedded(t))
	p, err := broker.OpenPublisher(t.Context(), w.config, "bad")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	err = p.Publish(t.Context(), []broker.Record{
		{Topic: w.topics.Clean, Key: []byte("shop-db/public.orders\n{\"id\":1}"), Value: []byte("not json")},
		{Topic: w.topics.Clean, Key: []byte("shop-db/public.orders\n{\"id\":1}"), Value: []byte(`{"type":"other"}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.publish(change(1, 1, event.Insert, "", `{"total": 1e1000001}`), change(2, 2, event.Insert, "", `{"total": 1}`))
	w.start()
	w.eventually(func() error {
		records, err := w.all(w.topics.Violations)
		if err != nil {
			return err
		}
		kinds := map[event.ErrorKind]int{}
		for _, r := range records {
			var v event.Violation
			if err := json.Unmarshal(r.Value, &v); err != nil {
				return err
			}
			if v.Stream != stream {
				return fmt.Errorf("stream %q", v.Stream)
			}
			kinds[v.Errors[0].Kind]++
		}
		if kinds[event.InvalidError] != 2 || kinds[event.LimitError] != 1 || len(records) != 3 {
			return fmt.Errorf("violations by kind: %v", kinds)
		}
		return nil
	})
}

// TestStreamWithoutBeforeImagesIsKnownAfterARestart: the rule that can't run is told by the next validator before an event comes.
func TestStreamWithoutBeforeImagesIsKnownAfterARestart(t *testing.T) {
	w := newWorld(t, testrig.Embedded(t))
	unrunnable := func(registry *prometheus.Registry, n int) {
		t.Helper()
		w.eventually(func() error {
			return testutil.GatherAndCompare(registry, metricOf("datawatch_validator_rules_unrunnable", "gauge",
				"Rules that name old, once for each stream whose changes come without a before image.",
				fmt.Sprintf("datawatch_validator_rules_unrunnable %d", n)), "datawatch_validator_rules_unrunnable")
		})
	}
	registry, stop := w.start()
	w.publish(change(1, 1, event.Insert, "", `{"total": 1}`), change(2, 1, event.Update, "", `{"total": 2}`))
	unrunnable(registry, 1)
	stop()
	registry, _ = w.start()
	unrunnable(registry, 1)
	w.publish(change(3, 1, event.Update, `{"total": 2}`, `{"total": 3}`))
	unrunnable(registry, 0)
	w.publish(change(4, 2, event.Message, "", `{"total": 3}`)) // as of a topic without change envelopes
	unrunnable(registry, 1)
}

// TestWhatIncompleteNamesNeitherBeginsNorEndsWhatStands: a row goes on being wrong by what an event doesn't say, and no longer
// by what it does.
func TestWhatIncompleteNamesNeitherBeginsNorEndsWhatStands(t *testing.T) {
	w := newWorld(t, testrig.Embedded(t))
	w.schema(`{"properties": {"total": {}, "status": {"maxLength": 5}}, "x-rules": [
		{"id": "not-negative", "rule": "self.total >= 0", "message": "Negative total"}, {"id": "has-status", "rule": "self.status != ''", "message": "No status"}]}`)
	w.start()
	partial := func(n, key int, after string, in *event.Incomplete) *event.Clean {
		c := change(n, key, event.Update, `{"total": -1, "status": ""}`, after)
		c.Change.Incomplete = in
		return c
	}
	w.publish(
		change(1, 1, event.Insert, "", `{"total": -1, "status": ""}`), change(2, 2, event.Insert, "", `{"total": -1, "status": ""}`),
		change(3, 3, event.Insert, "", `{"total": 1, "status": "too long"}`), change(4, 4, event.Insert, "", `{"total": 1, "status": "right"}`),
	)
	w.expect(wrongKey(1, "not-negative"), wrongKey(1, "has-status"), wrongKey(2, "not-negative"), wrongKey(2, "has-status"), wrongKey(3, "schema"))
	fields := &event.Incomplete{Fields: []string{"status"}}
	w.publish(
		partial(5, 1, `{"total": 5}`, fields), // the total is right now; nobody knows of the status
		partial(6, 2, `{"total": 5, "status": "x"}`, &event.Incomplete{After: "later"}), partial(7, 3, `{"total": 1}`, fields),
		partial(8, 4, `{"total": -4}`, fields),
	)
	w.expect(wrongKey(1, "has-status"), wrongKey(2, "not-negative"), wrongKey(2, "has-status"), wrongKey(3, "schema"), wrongKey(4, "not-negative"))
	w.publish(partial(9, 2, `{"total": 5, "status": "x"}`, &event.Incomplete{Before: "unavailable"}), change(10, 1, event.Update, "", `{"total": 5, "status": "x"}`))
	w.expect(wrongKey(3, "schema"), wrongKey(4, "not-negative"))
}
