package supervise

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"datawatch/collector/internal/source"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/deadletter"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

func brokerConfig(t *testing.T, addr string) config.Broker {
	t.Helper()
	c := config.DefaultShared().Broker
	c.Addresses, c.TopicPrefix, c.Partitions = strings.Split(addr, ","), testrig.Prefix(t), 3
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := broker.EnsureTopics(ctx, c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return c
}

// collector is a supervisor at work.
type collector struct {
	*Supervisor
	registry *prometheus.Registry
	stop     func() error
}

var shortTimes = times{
	firstPause: 20 * time.Millisecond, longPause: 100 * time.Millisecond, beat: 200 * time.Millisecond,
	ask: 20 * time.Millisecond,
}

func start(t *testing.T, c config.Broker, units ...Unit) *collector {
	t.Helper()
	return startWith(t, c, nil, shortTimes, units...)
}

func startWith(t *testing.T, c config.Broker, mask Masker, spans times, units ...Unit) *collector {
	t.Helper()
	registry := prometheus.NewRegistry()
	s := New(Options{Broker: c, Units: units, Mask: mask, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})), Metrics: registry, Health: daemon.NewHealth()})
	s.times = spans
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	running := true
	stop := func() error {
		if !running {
			return nil
		}
		running = false
		cancel()
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				return fmt.Errorf("Run returned %w", err)
			}
			return nil
		case <-time.After(15 * time.Second):
			return errors.New("not stopped within 15 s")
		}
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return &collector{s, registry, stop}
}

// published reads what a reader with read_committed finds in raw.
func published(t testing.TB, c config.Broker) []event.Raw {
	t.Helper()
	var events []event.Raw
	for _, r := range read(t, c, broker.TopicsOf(c.TopicPrefix).Raw) {
		raw, err := event.ParseRaw(r.Key, r.Value, r.Headers)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, *raw)
	}
	return events
}

// read is what is committed in a topic.
func read(t testing.TB, c config.Broker, topic string) []broker.Record {
	t.Helper()
	scanner, err := broker.NewScanner(c, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = scanner.Close() }()
	var records []broker.Record
	for p := range c.Partitions {
		end, err := scanner.Settled(t.Context(), topic, p)
		if err != nil {
			t.Fatal(err)
		}
		err = scanner.Scan(t.Context(), topic, p, 0, end, func(r broker.Record) error {
			records = append(records, r)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return records
}

// awaitNumbers waits until the numbers up to n are published, each once, and those of each key in order.
func awaitNumbers(t testing.TB, c config.Broker, name string, n int) {
	t.Helper()
	testrig.Eventually(t, 30*time.Second, func() error {
		last := map[string]int{}
		count := 0
		for _, e := range published(t, c) {
			if e.Stream.Source() != name {
				continue
			}
			count++
			number, err := strconv.Atoi(string(e.Value))
			if err != nil {
				t.Fatal(err)
			}
			if before, ok := last[string(e.Key)]; ok && number <= before {
				t.Fatalf("%d came behind %d", number, before)
			}
			last[string(e.Key)] = number
		}
		if count > n {
			t.Fatalf("%d events for %d numbers", count, n)
		}
		if count < n {
			return fmt.Errorf("%d of %d numbers", count, n)
		}
		return nil
	})
}

func TestEventsAndProgressAreCommittedTogether(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, s, feed := brokerConfig(t, addr), newSystem(), &shown{}
		first := start(t, c, unit(s, "one", feed))
		s.write(95)
		awaitNumbers(t, c, "one", 95)
		testrig.Eventually(t, 30*time.Second, func() error { // behind the commit
			if got := feed.count(); got != 95 {
				return fmt.Errorf("the feed was offered %d events of 95", got)
			}
			if got := testutil.ToFloat64(first.metrics.publishedTotal.WithLabelValues("one/numbers")); got != 95 {
				return fmt.Errorf("events_published_total is %v", got)
			}
			return nil
		})
		if problems, err := testutil.GatherAndLint(first.registry); err != nil || len(problems) > 0 {
			t.Errorf("metrics: %v %v", problems, err)
		}
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		start(t, c, unit(s, "one", nil))
		s.write(12)
		awaitNumbers(t, c, "one", 107)
	})
}

func TestSourceThatFailsBetweenReadAndCommitLosesAndRepeatsNothing(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, s := brokerConfig(t, addr), newSystem()
		failures := 0
		s.batches = func(int) error { // before the emit
			if failures++; failures%2 == 1 {
				return errDown
			}
			return nil
		}
		s.after = func(n int) error { // after it was committed
			if n == 2 {
				return errDown
			}
			return nil
		}
		start(t, c, unit(s, "one", nil))
		for range 4 {
			s.write(25)
		}
		awaitNumbers(t, c, "one", 100)
	})
}

func TestOneSourcesFailureDoesNotDisturbTheOthers(t *testing.T) {
	c, good, bad := brokerConfig(t, testrig.Embedded(t)), newSystem(), newSystem()
	bad.batches = func(int) error { panic("a bug") }
	collector := start(t, c, unit(bad, "bad", nil), unit(good, "good", nil))
	bad.write(1)
	good.write(30)
	awaitNumbers(t, c, "good", 30)
	testrig.Eventually(t, 10*time.Second, func() error {
		if body := readyz(collector); !strings.Contains(body, "panic: a bug") {
			return fmt.Errorf("/readyz doesn't say what failed: %s", body)
		}
		return nil
	})
}

func readyz(c *collector) string {
	w := httptest.NewRecorder()
	c.Health.ServeHTTP(w, nil)
	return w.Body.String()
}

// TestWriterThatTheBrokerGaveUpIsOpenedAgain has nobody else there.
func TestWriterThatTheBrokerGaveUpIsOpenedAgain(t *testing.T) {
	testrig.WithoutRaceDetector(t, "where a request for several partitions fails, the Kafka client reads its transaction manager's lastError unlocked")
	c, s := brokerConfig(t, testrig.Embedded(t)), newSystem()
	collector := start(t, c, unit(s, "one", nil))
	s.write(10)
	awaitNumbers(t, c, "one", 10)
	fence, err := broker.OpenPublisher(t.Context(), c, c.TopicPrefix+"-source-one")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fence.Close() }()
	s.write(10)
	awaitNumbers(t, c, "one", 20)
	testrig.Eventually(t, 10*time.Second, func() error { return streams(collector, "one") })
}

// secret masks values, but for those that it chokes on.
type secret struct{}

func (secret) Apply(e *event.Raw) error {
	switch string(e.Value) {
	case "bad", "unmaskable":
		return errors.New("no JSON")
	case "good":
		e.Value = []byte("masked")
	}
	return nil
}

func TestWhatCanNotBeMaskedIsNotPublished(t *testing.T) {
	c := brokerConfig(t, testrig.Embedded(t))
	now := time.Now()
	good := event.Raw{
		Type: event.RawType, Kind: event.Postgres, Stream: "one/numbers", Time: now, CapturedAt: now, ID: "one/e.1",
		RecordKey: []byte("one/numbers\n1"), Key: []byte("1"), Value: []byte("good"),
	}
	bad := good
	bad.ID, bad.Value = "one/e.2", []byte("bad")
	feed := &shown{}
	startWith(t, c, secret{}, shortTimes, Unit{Name: "one", Feed: feed, New: func(source.Reporter) source.Source { return once{[]event.Raw{good, bad}} }})
	testrig.Eventually(t, 20*time.Second, func() error {
		if n := len(published(t, c)); n != 2 || feed.count() != 2 {
			return fmt.Errorf("%d events published, %d shown", n, feed.count())
		}
		return nil
	})
	for _, events := range [][]event.Raw{published(t, c), feed.events} {
		for _, e := range events {
			if e.ID == good.ID && string(e.Value) != "masked" || e.ID == bad.ID && e.Type != event.GapType {
				t.Errorf("%s: %s %s", e.ID, e.Type, e.Value)
			}
		}
	}
}

func TestEventLargerThanTheTopicsTakeBecomesADeadLetterAndAGap(t *testing.T) {
	c := brokerConfig(t, testrig.Embedded(t))
	large := event.Raw{
		Type: event.RawType, Kind: event.Postgres, Stream: "one/numbers", Time: time.Now(), CapturedAt: time.Now(), ID: "one/e.1",
		RecordKey: []byte("one/numbers\n1"), Key: []byte("1"), Value: bytes.Repeat([]byte("x"), broker.RecordLimit(c)+1),
	}
	small, cut, secretive := large, large, large
	small.ID, small.Value = "one/e.2", []byte("2")
	cut.ID, cut.Value, cut.Size = "one/e.3", []byte("the beginning"), 1<<40
	secretive.ID, secretive.Value, secretive.Size = "one/e.4", []byte("unmaskable"), 1<<40
	startWith(t, c, secret{}, shortTimes, Unit{Name: "one", New: func(source.Reporter) source.Source { return once{[]event.Raw{large, small, cut, secretive}} }})
	var letters []broker.Record
	testrig.Eventually(t, 20*time.Second, func() error {
		types := map[string]string{}
		for _, e := range published(t, c) {
			types[e.ID] = e.Type
		}
		letters = read(t, c, broker.TopicsOf(c.TopicPrefix).DeadLetter)
		if len(types) != 4 || types["one/e.2"] != event.RawType || types["one/e.1"] != event.GapType || types["one/e.3"] != event.GapType || len(letters) != 3 {
			return fmt.Errorf("published: %v, %d letters", types, len(letters))
		}
		return nil
	})
	found := map[string]map[string]string{}
	for _, l := range letters {
		headers := map[string]string{"value": string(l.Value[:min(len(l.Value), 20)]), "key": string(l.Key)}
		for _, h := range l.Headers {
			headers[h.Name] = string(h.Value)
		}
		found[headers["ce_id"]] = headers
		if l.Size() > broker.RecordLimit(c) || headers[deadletter.HeaderStage] != "collector" || headers[deadletter.HeaderClass] != "too_large" ||
			headers[deadletter.HeaderReason] == "" || headers[deadletter.HeaderOriginTopic] != "one/numbers" {
			t.Errorf("letter of %d bytes: %v", l.Size(), headers)
		}
	}
	if l := found["one/e.1"]; l["value"] != strings.Repeat("x", 20) || l["key"] != "one/numbers\n1" {
		t.Errorf("letter %v", l)
	}
	if l := found["one/e.3"]; l["value"] != "the beginning" || l[deadletter.HeaderSize] != fmt.Sprint(1<<40) {
		t.Errorf("letter %v", l)
	}
	if l := found["one/e.4"]; l["value"] != "" || l["key"] != "one/numbers" || l["datawatch_key"] != "" {
		t.Errorf("what can't be masked is in the letter: %v", l)
	}
}

func TestEventThatItsSourceCouldNotReadBecomesADeadLetterAndAGapThatSayWhy(t *testing.T) {
	c := brokerConfig(t, testrig.Embedded(t))
	unreadable := event.Raw{
		Type: event.RawType, Kind: event.Kafka, Stream: "one/numbers", Time: time.Now(), CapturedAt: time.Now(), ID: "one/numbers/0/20261122T101500Z.0000000000000000007",
		RecordKey: []byte("one/numbers\n#0"), Size: 4000, Unreadable: "offsets 5 to 7 lie in a compressed batch that can't be unfolded: invalid input",
	}
	startWith(t, c, nil, shortTimes, Unit{Name: "one", New: func(source.Reporter) source.Source { return once{[]event.Raw{unreadable}} }})
	testrig.Eventually(t, 20*time.Second, func() error {
		letters, gaps := read(t, c, broker.TopicsOf(c.TopicPrefix).DeadLetter), published(t, c)
		if len(letters) != 1 || len(gaps) != 1 {
			return fmt.Errorf("%d letters, %d gaps", len(letters), len(gaps))
		}
		headers := map[string]string{}
		for _, h := range letters[0].Headers {
			headers[h.Name] = string(h.Value)
		}
		if headers[deadletter.HeaderClass] != "unreadable" || !strings.HasSuffix(headers[deadletter.HeaderReason], unreadable.Unreadable) || headers[deadletter.HeaderOriginOffset] != "7" {
			t.Errorf("letter %v", headers)
		}
		var gap event.Gap
		if err := json.Unmarshal(gaps[0].Value, &gap); err != nil || gap.Lost != nil || !strings.Contains(gap.Cause, unreadable.Unreadable) || !strings.Contains(gap.Remedy, "the producer") {
			t.Errorf("gap %s, %v", gaps[0].Value, err)
		}
		return nil
	})
}

// once emits one batch, and then waits.
type once struct{ events []event.Raw }

func (o once) Run(ctx context.Context, progress source.Progress, emit source.Emit) error {
	if progress[""] == nil {
		if err := emit(ctx, source.Batch{Events: o.events, Progress: source.Progress{"": []byte(`{"version":1}`)}}); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func TestBrokerThatIsKilledAndComesBackCostsNothingAndHoldsUpNoStop(t *testing.T) {
	server := testrig.KafkaServer(t)
	c, s := brokerConfig(t, server.Addr()), newSystem()
	collector := start(t, c, unit(s, "one", nil))
	s.write(30)
	awaitNumbers(t, c, "one", 30)
	other := newSystem()
	stopped := start(t, c, unit(other, "other", nil))
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	other.write(30) // its emit waits for the broker
	if err := stopped.stop(); err != nil {
		t.Errorf("with the broker away: %v", err)
	}
	s.write(30)
	testrig.Eventually(t, 60*time.Second, func() error {
		if collector.Health.Overall() == daemon.Ready {
			return errors.New("/readyz says that all is well")
		}
		return nil
	})
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.write(30)
	testrig.Eventually(t, 90*time.Second, func() error {
		if collector.Health.Overall() != daemon.Ready {
			return errors.New(readyz(collector))
		}
		return nil
	})
	awaitNumbers(t, c, "one", 90)
}
