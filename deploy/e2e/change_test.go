package e2e_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/deploy/telegramsim"
	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestChangeComesOutExactly commits one transaction with a wrong total and holds what comes out against golden files: the
// message in the feed, the clean events, the violation and the alert. Then the row is mended.
func TestChangeComesOutExactly(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		w := newWorld(t, addr, telegramsim.Limits{})
		connection, err := pgx.Connect(t.Context(), w.DSN+"&application_name=order-service")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = connection.Close(t.Context()) })
		execute := func(sql string) {
			t.Helper()
			if _, err := connection.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		execute(`CREATE TABLE wallets (id bigint PRIMARY KEY, customer text, balance numeric(14,2));
			CREATE TABLE orders (id bigint PRIMARY KEY, wallet_id bigint, customer text, status text, currency text, items jsonb, total numeric(14,2), created_at timestamptz);
			INSERT INTO wallets VALUES (7, 'An Nguyễn', 500.00)`)
		w.start()

		execute(`BEGIN; SET LOCAL datawatch.tag = 'checkout-test';
			INSERT INTO orders VALUES (1042, 7, 'An Nguyễn', 'new', 'USD', '[{"sku": "TEA-250", "price": 49.99, "quantity": 3}]', 149.98, '2026-11-22 23:59:01.123456+07');
			UPDATE wallets SET balance = balance - 149.98 WHERE id = 7;
			COMMIT`)

		feed := w.message(feedChat, "✗") // edited when the verdict came
		golden(t, "feed.html", stable(feed.HTML))
		alert := w.message(alertsChat, "Order total is not the sum of its items")
		golden(t, "alert.html", stable(alert.HTML))
		if alert.Silent {
			t.Errorf("the alert must ring: silent is %v", alert.Silent)
		}
		golden(t, "clean.json", w.goldenClean())
		golden(t, "violation.json", w.goldenViolations())
		w.assertWrongRows(1)
		w.assertPoisonIsADeadLetter()
		w.assertDashboardsHaveTheirMetrics(w.metrics())
		w.assertCanary()

		w.press(alertsChat, alert, "Ack")
		w.message(alertsChat, "👁")

		execute(`UPDATE orders SET total = 149.97 WHERE id = 1042`)
		w.assertWrongRows(0)
	})
}

// press presses a button of a message: the collector hears of it, and whom it concerns acts.
func (w *world) press(chat int64, m telegramsim.Message, label string) {
	w.t.Helper()
	if _, err := w.sim.Press(chat, m.ID, label); err != nil {
		w.t.Fatal(err)
	}
}

// assertPoisonIsADeadLetter puts a record into raw that nobody can read.
func (w *world) assertPoisonIsADeadLetter() {
	w.t.Helper()
	c, topics := w.broker()
	p, err := broker.OpenPublisher(w.t.Context(), c, w.Prefix+"-poison")
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if err := p.Publish(w.t.Context(), []broker.Record{{Topic: topics.Raw, Key: []byte("poison"), Value: []byte("\xff")}}); err != nil {
		w.t.Fatal(err)
	}
	testrig.Eventually(w.t, 30*time.Second, func() error {
		letters, err := w.committed(topics.DeadLetter)
		if err == nil && len(letters) != 1 {
			err = fmt.Errorf("%d dead letters, want 1", len(letters))
		}
		return err
	})
}

// assertWrongRows waits until datawatch.wrong names so many rows.
func (w *world) assertWrongRows(want int) {
	w.t.Helper()
	_, topics := w.broker()
	testrig.Eventually(w.t, 30*time.Second, func() error {
		records, err := w.committed(topics.Wrong)
		if err != nil {
			return err
		}
		wrong := map[string]bool{}
		for _, r := range records {
			if r.Value == nil {
				delete(wrong, string(r.Key))
			} else {
				wrong[string(r.Key)] = true
			}
		}
		if len(wrong) != want {
			return fmt.Errorf("wrong rows are %v, want %d", wrong, want)
		}
		return nil
	})
}

func (w *world) goldenClean() string {
	w.t.Helper()
	_, topics := w.broker()
	var events []string
	testrig.Eventually(w.t, 30*time.Second, func() error {
		records, err := w.committed(topics.Clean)
		if err != nil {
			return err
		}
		events = events[:0]
		for _, stream := range []string{"public.orders", "public.wallets"} {
			for _, r := range records {
				if strings.HasPrefix(string(r.Key), "shop-db/"+stream+"\n") {
					events = append(events, string(r.Key)+"\n"+indent(w.t, r.Value))
				}
			}
		}
		if len(events) != 2 {
			return fmt.Errorf("%d clean events, want 2", len(events))
		}
		return nil
	})
	return stable(strings.Join(events, "\n"))
}

func (w *world) goldenViolations() string {
	w.t.Helper()
	_, topics := w.broker()
	records, err := w.committed(topics.Violations)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(records) != 1 {
		w.t.Fatalf("%d violations, want 1", len(records))
	}
	var v event.Violation
	if err := json.Unmarshal(records[0].Value, &v); err != nil {
		w.t.Fatal(err)
	}
	return stable(string(records[0].Key) + "\n" + indent(w.t, records[0].Value))
}

func indent(t testing.TB, value []byte) string {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(json.RawMessage(value)); err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	return b.String()
}

// volatile is what differs from run to run.
var volatile = []struct {
	pattern *regexp.Regexp
	stands  string
}{
	{regexp.MustCompile(`\d{8}T\d{6}Z\.\d{12}\.\d{9}`), "<position>"},
	{regexp.MustCompile(`"(time|captured_at|detected_at|event_time)": "[^"]*Z"`), `"$1": "<time>"`},
	{regexp.MustCompile(`"transaction": "\d+"`), `"transaction": "<tx>"`},
	{regexp.MustCompile(`\btx \d+`), "tx <tx>"},
	{regexp.MustCompile(` \d\d:\d\d:\d\d(\.\d{3})?`), " <clock>"},
	{regexp.MustCompile(`"database": "[^"]*"`), `"database": "<database>"`},
	{regexp.MustCompile(`"(partition|offset)": \d+`), `"$1": <n>`},
	{regexp.MustCompile(`"topic": "[^"]*"`), `"topic": "<topic>"`},
	{regexp.MustCompile(`"client": "127\.0\.0\.1"`), `"client": "<client>"`},
	{regexp.MustCompile(`"(id|sha256|refs_sha256)": "[0-9a-z]{20,}"`), `"$1": "<hash>"`},
}

func stable(text string) string {
	for _, v := range volatile {
		text = v.pattern.ReplaceAllString(text, v.stands)
	}
	return text
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (rewrite by -update after reading):\ngot\n%s\nwant\n%s", name, got, want)
	}
}
