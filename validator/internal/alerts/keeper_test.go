package alerts_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/broker"
	"datawatch/pkg/cel"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
	"datawatch/validator/internal/alerts"
	"datawatch/validator/internal/alerts/life"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/wrongrows"
)

const (
	stream   = event.Stream("shop-db/public.orders")
	alerting = -100456
	payments = -100789
)

type world struct {
	t        *testing.T
	shared   config.Shared
	topics   broker.Topics
	log      *slog.Logger
	failures atomic.Pointer[[]schemas.Failure]
	remarks  atomic.Pointer[[]schemas.Remark]
	silent   time.Duration // how long a service may be; zero is the default
	times    life.Times
	most     int // groups; zero is the default
}

func newWorld(t *testing.T, addr string, a *api) *world {
	t.Helper()
	w := &world{t: t, shared: config.DefaultShared(), log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	b := &w.shared.Broker
	b.Addresses, b.TopicPrefix, b.Partitions = []string{addr}, testrig.Prefix(t), 2
	w.topics = broker.TopicsOf(b.TopicPrefix)
	w.shared.Telegram.Token, w.shared.Telegram.APIURL = "1:x", a.server.URL
	w.shared.Telegram.Alerts = config.Chat{ID: alerting}
	w.shared.Telegram.Owners = map[string]config.Owner{"payments": {Chat: config.Chat{ID: payments}, Mention: []string{"@oncall"}}}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := broker.EnsureTopics(ctx, *b, w.log); err != nil {
		t.Fatal(err)
	}
	return w
}

// start runs a keeper; stop ends it and waits.
func (w *world) start() (stop func()) {
	w.t.Helper()
	registry := prometheus.NewRegistry()
	bot, err := telegram.New(telegram.Options{Config: w.shared.Telegram, Service: "validator", Log: w.log, Metrics: registry})
	if err != nil {
		w.t.Fatal(err)
	}
	k := alerts.New(alerts.Options{
		Broker: w.shared.Broker, Telegram: w.shared.Telegram, Messenger: bot, Log: w.log, Metrics: registry,
		EditEvery: 300 * time.Millisecond, LookEvery: 50 * time.Millisecond, SilentAfter: w.silent, Times: w.times, MaxGroups: w.most,
		Failures: func() []schemas.Failure {
			if f := w.failures.Load(); f != nil {
				return *f
			}
			return nil
		},
		Remarks: func() []schemas.Remark {
			if r := w.remarks.Load(); r != nil {
				return *r
			}
			return nil
		},
	})
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				w.t.Errorf("keeper: %v", err)
			}
			stopping, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := bot.Stop(stopping); err != nil {
				w.t.Errorf("stop telegram: %v", err)
			}
		})
	}
	w.t.Cleanup(stop)
	return stop
}

func violation(n int, rule string, severity event.Severity) *event.Violation {
	transaction := "of " + rule
	return &event.Violation{
		Version: 1, ID: fmt.Sprintf("v%d-%s", n, rule), Stream: stream, Op: event.Update, Key: json.RawMessage(fmt.Sprintf(`{"id":%d}`, n)),
		EventID: fmt.Sprintf("shop-db/%d", n), EventTime: time.Date(2026, 11, 22, 14, 3, 7+n%50, 0, time.UTC).Format(time.RFC3339Nano), Transaction: &transaction,
		Schema: event.ViolationSchema{File: "shop-db/public.orders.json", SHA256: "3f2a51"}, Severity: severity, Owner: "payments",
		Errors: []event.ViolationError{{
			Kind: event.RuleViolation, Rule: rule, Severity: severity, InstanceLocation: "/total", KeywordLocation: "/x-rules/0",
			Message: "Order total is not the sum of its items", Expected: "149.97", Actual: "149.98", Fingerprint: "fp-" + rule,
		}},
		Sample: json.RawMessage(`{"id":1042,"total":149.98,"customer":"•••","items":3}`),
	}
}

// publish writes violations, and the wrong rows that they make.
func (w *world) publish(wrong bool, violations ...*event.Violation) {
	w.t.Helper()
	var records []broker.Record
	for _, v := range violations {
		value, err := json.Marshal(v)
		if err != nil {
			w.t.Fatal(err)
		}
		key := event.RecordKey(v.Stream, v.Key)
		records = append(records, broker.Record{Topic: w.topics.Violations, Key: key, Value: value})
		if wrong {
			records = append(records, broker.Record{Topic: w.topics.Wrong, Key: wrongrows.Key(key, v.Errors[0].Rule), PartitionBy: key, Value: value})
		}
	}
	w.write(records)
}

// mend ends what stands of a rule for rows.
func (w *world) mend(rule string, rows ...int) {
	w.t.Helper()
	var records []broker.Record
	for _, n := range rows {
		key := event.RecordKey(stream, fmt.Appendf(nil, `{"id":%d}`, n))
		records = append(records, broker.Record{Topic: w.topics.Wrong, Key: wrongrows.Key(key, rule), PartitionBy: key})
	}
	w.write(records)
}

func (w *world) write(records []broker.Record) {
	w.t.Helper()
	p, err := broker.OpenPublisher(w.t.Context(), w.shared.Broker, w.shared.Broker.TopicPrefix+"-test")
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if err := p.Publish(w.t.Context(), records); err != nil {
		w.t.Fatal(err)
	}
}

// eventually waits until exactly n messages are there and the last contains each text.
func (w *world) eventually(a *api, n int, contains ...string) {
	w.t.Helper()
	testrig.Eventually(w.t, 60*time.Second, func() error {
		messages, _ := a.sent()
		if len(messages) != n {
			return fmt.Errorf("%d messages, want %d: %+v", len(messages), n, messages)
		}
		if n == 0 {
			return nil
		}
		for _, text := range contains {
			if !strings.Contains(messages[n-1].text, text) {
				return fmt.Errorf("no %q in:\n%s", text, messages[n-1].text)
			}
		}
		return nil
	})
}

func TestAHundredViolationsOfOneKindAreOneMessageThatLives(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		a := newAPI(t)
		w := newWorld(t, addr, a)
		stop := w.start()
		w.publish(true, violation(1, "total-adds-up", event.Critical))
		w.eventually(a, 1, "🔴 <b>Order total is not the sum of its items</b>", "got <code>149.98</code>, expected <code>149.97</code>", "@oncall")
		for n := 2; n <= 100; n += 9 {
			var more []*event.Violation
			for i := n; i < n+9; i++ {
				more = append(more, violation(i, "total-adds-up", event.Critical))
			}
			w.publish(true, more...)
		}
		w.eventually(a, 1, "<b>100</b> in", "100 keys", "<b>100 rows wrong now</b>")
		stop()

		// Another keeper goes on with the same message and the same counts.
		w.start()
		w.publish(true, violation(101, "total-adds-up", event.Critical))
		w.eventually(a, 1, "<b>101</b> in", "101 keys", "<b>101 rows wrong now</b>")
		messages, edits := a.sent()
		if messages[0].chat != fmt.Sprint(payments) {
			t.Errorf("sent to chat %s", messages[0].chat)
		}
		if messages[0].silent {
			t.Error("a new alert makes no sound")
		}
		if edits > 30 {
			t.Errorf("%d edits", edits)
		}
		rows := make([]int, 101)
		for i := range rows {
			rows[i] = i + 1
		}
		w.mend("total-adds-up", rows[:100]...)
		w.eventually(a, 1, "<b>1 row wrong now</b>")
		w.mend("total-adds-up", 101)
		w.eventually(a, 1, "🟢 <b>Order total", "mended: all 101 right again")
	})
}

func TestInfoIsCountedAndNeverAMessage(t *testing.T) {
	a := newAPI(t)
	w := newWorld(t, testrig.Embedded(t), a)
	w.start()
	w.publish(false, violation(1, "quiet", event.Info))
	w.publish(false, violation(2, "loud", event.Warning))
	w.eventually(a, 1, "🟡", "loud")
	w.publish(false, violation(3, "quiet", event.Info), violation(4, "loud", event.Warning))
	w.eventually(a, 1, "<b>2</b> ", "loud")
}

// TestALostAnswerRepeatsAMessageAndLosesNone: Telegram has the message, and the keeper dies before it knows.
func TestALostAnswerRepeatsAMessageAndLosesNone(t *testing.T) {
	a := newAPI(t)
	a.lose = 1
	w := newWorld(t, testrig.Embedded(t), a)
	w.start()
	w.publish(false, violation(1, "total-adds-up", event.Critical))
	w.eventually(a, 2, "Order total")
	w.publish(false, violation(2, "total-adds-up", event.Critical))
	w.eventually(a, 2, "<b>2</b> ")
}

func TestASecondKeeperStandsByAndTakesOver(t *testing.T) {
	a := newAPI(t)
	w := newWorld(t, testrig.Embedded(t), a)
	stopFirst := w.start()
	w.publish(false, violation(1, "one", event.Critical))
	w.eventually(a, 1, "one")
	stopSecond := w.start()
	w.publish(false, violation(1, "two", event.Critical))
	w.eventually(a, 2, "two")
	stopFirst()
	w.publish(false, violation(1, "three", event.Critical))
	w.eventually(a, 3, "three")
	w.start()
	stopSecond()
	w.publish(false, violation(1, "four", event.Critical))
	w.eventually(a, 4, "four")
}

// TestButtonsDecideAndTheDecisionOutlivesTheKeeper presses each button, and takes the keeper away in between.
func TestButtonsDecideAndTheDecisionOutlivesTheKeeper(t *testing.T) {
	a := newAPI(t)
	w := newWorld(t, testrig.Embedded(t), a)
	stop := w.start()
	w.publish(false, violation(1, "total-adds-up", event.Critical))
	w.eventually(a, 1, "🔴 <b>Order total")
	press := func(text string) {
		t.Helper()
		if err := a.press(1, text); err != nil {
			t.Fatal(err)
		}
	}
	press("Ack")
	w.eventually(a, 1, "👁 <b>Order total is not the sum of its items</b> · acknowledged by @linh, ")
	stop()
	w.start()
	press("Mute 1h")
	w.eventually(a, 1, "🔇 <b>Order total", "muted until ")
	w.publish(false, violation(2, "total-adds-up", event.Critical), violation(1, "other", event.Critical))
	w.eventually(a, 2, "other")
	if messages, _ := a.sent(); strings.Contains(messages[0].text, "<b>2</b>") {
		t.Errorf("a muted message was edited: %s", messages[0].text)
	}
	press("Unmute")
	first := func(contains string) {
		t.Helper()
		testrig.Eventually(t, 30*time.Second, func() error {
			if messages, _ := a.sent(); !strings.Contains(messages[0].text, contains) {
				return fmt.Errorf("no %q in %s", contains, messages[0].text)
			}
			return nil
		})
	}
	first("👁")
	first("<b>2</b> in 1 s")
	press("Undo ack")
	first("🔴")
	testrig.Eventually(t, 30*time.Second, func() error {
		want := []string{"Acknowledged", "Muted", "No longer muted", "No longer acknowledged"}
		var got []string
		for _, answer := range a.answered() {
			if answer != "" && (len(got) == 0 || got[len(got)-1] != answer) {
				got = append(got, answer)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("answered %q, want %q", got, want)
		}
		return nil
	})
}

func TestASchemaFileThatFailsIsOneMessageUntilItIsMended(t *testing.T) {
	a := newAPI(t)
	w := newWorld(t, testrig.Embedded(t), a)
	stop := w.start()
	w.failures.Store(&[]schemas.Failure{{
		Problem: schemas.Problem{File: "shop-db/public.orders.json", Line: 14, Column: 3, Severity: cel.Error, Message: `"requird"`, Hint: "required?"},
		InForce: &schemas.File{LoadedAt: time.Date(2026, 11, 22, 14, 1, 0, 0, time.UTC)},
	}})
	w.eventually(a, 1, "🟠 <b>public.orders.json not loaded</b>: line 14, &quot;requird&quot; (required?). The version of 14:01 stays in force.")
	stop()
	w.start()
	w.failures.Store(nil)
	w.eventually(a, 1, "🟢 <b>public.orders.json is loaded again</b>")
	w.failures.Store(&[]schemas.Failure{{Problem: schemas.Problem{File: "shop-db/public.orders.json", Message: "not JSON"}}})
	w.eventually(a, 2, "🟠 <b>public.orders.json not loaded</b>: not JSON")
}

func TestASchemaFileThatCannotDoWhatWasMeantIsOneMessageUntilItCan(t *testing.T) {
	a := newAPI(t)
	w := newWorld(t, testrig.Embedded(t), a)
	stop := w.start()
	unmatched := schemas.Remark{Kind: schemas.Unmatched, File: "shop-db/public.order.json", Stream: "shop-db/public.orders"}
	w.remarks.Store(&[]schemas.Remark{unmatched})
	w.eventually(a, 1, "🟠 <b>public.order.json has matched no stream for a day</b>\n", "Do: rename it; did you mean shop-db/public.orders.json?")
	stop()
	w.start()
	w.remarks.Store(&[]schemas.Remark{{Kind: schemas.Unrunnable, File: "shop-kafka/payments.json", Rule: "grows", Stream: "shop-kafka/payments"}})
	w.eventually(a, 2, "🟠 <b>The rule grows can't run on shop-kafka/payments</b>")
	testrig.Eventually(t, 30*time.Second, func() error {
		if messages, _ := a.sent(); !strings.Contains(messages[0].text, "🟢 <b>shop-db/public.order.json: over</b>") {
			return errors.New(messages[0].text)
		}
		return nil
	})
}
