package feed

import (
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
)

var update = flag.Bool("update", false, "write the golden files anew")

// told are the messages of events that come within the chat's budget, or of the digest of all of them.
func told(t *testing.T, language string, asDigest bool, events []event.Raw) string {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Ho_Chi_Minh")
	if err != nil {
		t.Fatal(err)
	}
	w := writer{words: catalogues[language], zone: zone}
	var works []work
	sum := newDigest()
	viewers := newAudience(telegram.Chat{}, newBoard())
	everybody := viewers.of(telegram.Chat{})
	if asDigest {
		everybody.backlog.pause(time.Now().Add(time.Hour))
	}
	a := newAssembler(normalize.New(normalize.Options{}), viewers, open{}, time.Second, slog.New(slog.DiscardHandler), func(tx *transaction) {
		works = append(works, work{transaction: tx})
		sum.add(tx)
	})
	for i := range events {
		a.take(t.Context(), &events[i])
	}
	a.completeAll()
	if asDigest {
		sum.lose("shop-db", &loss{changes: 31_415})
		works = []work{{digest: sum}}
	}
	var messages []string
	for _, what := range works {
		m := w.write(what, everybody, verdict{}, at.Add(time.Hour))
		text := m.HTML()
		for _, row := range m.Buttons {
			text += fmt.Sprintf("\n[%s] %s", row[0].Text, row[0].Data)
		}
		messages = append(messages, text)
	}
	return strings.Join(messages, "\n――――――――\n") + "\n"
}

func TestMessagesReadAsTheGoldenFilesSay(t *testing.T) {
	id := []string{"id"}
	checkout := []event.Raw{
		did{tick: 1, n: 1, table: "orders", op: event.Update, key: id, before: `{"id":1042,"status":"new","note":null}`, after: `{"id":1042,"status":"paid","note":null}`, tx: "81422", app: "order-service", tag: "checkout-test"}.raw(),
		did{tick: 1, n: 2, table: "payments", op: event.Insert, key: id, after: `{"id":88,"order_id":1042,"amount":149.98,"method":"momo","refund":null}`, tx: "81422"}.raw(),
		did{tick: 1, n: 3, table: "wallets", op: event.Update, key: id, before: `{"id":7,"balance":500.00}`, after: `{"id":7,"balance":350.02}`, tx: "81422"}.raw(),
		did{tick: 1, n: 4, table: "ledger", op: event.Insert, after: `{"debit":"cash","amount":149.98}`, tx: "81422"}.raw(),
		did{tick: 1, n: 5, table: "orders", op: event.Insert, key: id, after: `{"id":1043,"status":"new"}`, tx: "81422"}.raw(),
	}
	unusual := []event.Raw{
		did{tick: 2, n: 1, table: "orders", op: event.Delete, key: id, before: `{"id":1042,"status":"paid","note":null}`, tx: "81423"}.raw(),
		did{tick: 2, n: 2, table: "orders", op: event.Delete, key: id, before: `{"id":1,"name":"Bút <bi>"}`, after: `{"id":2,"name":"Bút & thước"}`, to: true, tx: "81423"}.raw(),
		did{tick: 2, n: 3, table: "orders", op: event.Insert, key: id, before: `{"id":1,"name":"Bút <bi>"}`, after: `{"id":2,"name":"Bút & thước"}`, from: true, tx: "81423"}.raw(),
		did{tick: 2, n: 4, table: "orders", op: event.Update, key: id, after: `{"id":5,"status":"paid"}`, incomplete: &event.Incomplete{Before: "unavailable"}, tx: "81423"}.raw(),
		did{tick: 2, n: 5, table: "orders", op: event.Update, key: id, before: `{"id":6,"status":"x"}`, after: `{"id":6,"status":"x"}`, tx: "81423"}.raw(),
		did{tick: 2, n: 6, table: "crm.items", op: event.Insert, key: []string{"order_id", "line"}, after: `{"order_id":1,"line":2,"sku":"` + strings.Repeat("0123456789", 12) + `","empty":"","blank":" ","none":"null","lines":"a\nb"}`, tx: "81423"}.raw(),
		did{tick: 2, n: 7, table: "profiles", op: event.Update, key: id, before: `{"id":3,"doc":{"address":{"city":"Huế","zip":"49"},"tags":["a"],"old":1},"seen":null}`, after: `{"id":3,"doc":{"address":{"city":"Đà Nẵng","zip":"49"},"tags":["a","b"]},"seen":true}`, tx: "81423"}.raw(),
		did{tick: 2, n: 8, table: "carts", op: event.Truncate, tx: "81423"}.raw(),
		did{tick: 2, n: 9, table: "carts", op: event.Delete, key: id, after: "", before: `{"id":9}`, tx: "81423"}.raw(),
	}
	var big []event.Raw
	for i := range int64(12) {
		big = append(big, did{tick: 3, n: i, table: "orders", op: event.Insert, key: id, after: fmt.Sprintf(`{"id":%d,"status":"new"}`, i), tx: "81424", app: "batch"}.raw())
	}
	for i := range int64(1500) {
		big = append(big, did{tick: 3, n: 20 + i, table: "wallets", op: event.Update, key: id, before: fmt.Sprintf(`{"id":%d,"balance":1}`, i), after: fmt.Sprintf(`{"id":%d,"balance":2.5}`, i), tx: "81424"}.raw())
	}
	records := []event.Raw{
		recorded("payments.captured", 3, 88172, []byte("1042"), []byte(`{"order_id": 1042, "amount": 149.98}`)),
		recorded("payments.captured", 3, 88173, nil, []byte(`{"order":{"id":1042,"lines":[{"sku":"A-1","qty":2,"price":10.50},{"sku":"B-22","qty":1,"price":128.98}]},"customer":"Nguyễn Văn A","card":null,"ok":true}`), event.Header{Name: "datawatch-tag", Value: []byte("checkout-test")}),
		recorded("payments.captured", 3, 88174, []byte(`{"id": 7}`), nil),
		recorded("raw.bytes", 0, 5, []byte("k"), []byte{0xff, 0xfe, 0x00}),
		recorded("plain.text", 0, 6, []byte("k"), []byte("line one <b>\nline two")),
		recorded("plain.text", 0, 7, []byte("k"), []byte("")),
	}
	incomplete := []event.Raw{
		did{tick: 5, n: 1, table: "carts", op: event.Insert, key: id, after: `{"id":1,"total":5}`, incomplete: &event.Incomplete{After: "later"}, tx: "81425"}.raw(),
		did{tick: 5, n: 2, table: "carts", op: event.Update, key: id, after: `{"id":2}`, incomplete: &event.Incomplete{Before: "unavailable", After: "missing"}, tx: "81425"}.raw(),
		did{tick: 5, n: 3, table: "carts", op: event.Delete, key: id, before: `{"id":3}`, incomplete: &event.Incomplete{Before: "unavailable"}, tx: "81425"}.raw(),
	}
	var long []event.Raw
	for i := range int64(60) {
		value := strings.Repeat("0123456789", 8)
		long = append(long, did{tick: 6, n: i, table: fmt.Sprintf("table_%02d", i), op: event.Insert, key: id, after: fmt.Sprintf(`{"id":%d,"a":%q,"b":%q}`, i, value, value), tx: "81426"}.raw())
	}
	ordered := func(tick int64, later time.Duration) event.Raw {
		return did{tick: tick, table: "orders", op: event.Insert, key: id, after: fmt.Sprintf(`{"id":%d}`, tick), tx: fmt.Sprint(tick), at: at.Add(later)}.raw()
	}
	hours := []event.Raw{ordered(7, 0), ordered(8, 5*time.Hour), recorded("payments.captured", 3, 1, nil, []byte(`1`))}
	days := []event.Raw{ordered(7, 0), ordered(8, 72*time.Hour)}
	minutes := []event.Raw{ordered(7, 0), ordered(8, 5*time.Minute)}
	envelope := func(op, before, after string) []byte {
		return []byte(`{"before":` + before + `,"after":` + after + `,"source":{"connector":"mysql","ts_ms":1795361587430},"op":"` + op + `"}`)
	}
	envelopes := []event.Raw{
		recorded("crm.orders", 0, 1, []byte(`{"id":7}`), envelope("u", `{"id":7,"total":1.10,"doc":{"city":"Huế","zip":"49"},"note":"x"}`, `{"id":7,"total":1.20,"doc":{"city":"Đà Nẵng","zip":"49"},"note":"x"}`)),
		recorded("crm.orders", 0, 2, []byte(`{"id":7}`), envelope("u", `null`, `{"id":7,"total":1.30}`)),
		recorded("crm.orders", 0, 3, []byte(`{"id":8}`), envelope("c", `null`, `{"id":8,"total":1.20,"note":null}`)),
		recorded("crm.orders", 0, 4, []byte(`{"id":7}`), envelope("d", `{"id":7,"total":1.20}`, `null`)),
		recorded("crm.orders", 0, 5, nil, envelope("t", `null`, `null`)),
	}
	cases := []struct {
		name     string
		events   []event.Raw
		asDigest bool
	}{
		{"checkout", checkout, false},
		{"unusual", unusual, false},
		{"big", big, false},
		{"yesterday", []event.Raw{did{tick: 4, table: "orders", op: event.Insert, key: id, after: `{"id":1}`, tx: "1", at: at.Add(-24 * time.Hour)}.raw()}, false},
		{"records", records, false},
		{"incomplete", incomplete, false},
		{"long", long, false},
		{"digest-hours", hours, true},
		{"digest-days", days, true},
		{"digest-minutes", minutes, true},
		{"digest-one", []event.Raw{ordered(7, 0)}, true},
		{"envelopes", envelopes, false},
		{"digest", append(append(append([]event.Raw{}, big...), unusual...), records...), true},
	}
	for _, c := range cases {
		for _, language := range []string{"en", "vi"} {
			t.Run(c.name+"/"+language, func(t *testing.T) {
				got := told(t, language, c.asDigest, c.events)
				testrig.Golden(t, filepath.Join("testdata", c.name+"."+language+".html"), got, *update)
			})
		}
	}
}

// What comes to a transaction later, and what there was no time for.
func TestVerdictsAndWhatWasLeftReadAsTheGoldenFilesSay(t *testing.T) {
	const all = maxFindings + 3
	missing := event.ViolationError{Kind: event.SchemaError, InstanceLocation: "/currency", Message: `"currency" is missing`}
	row := event.ViolationError{Kind: event.SchemaError, Message: "not an object"}
	shown := event.ViolationError{Kind: event.RuleViolation, Rule: "balance-not-negative", Message: "Balance <below> zero", Actual: "-5"}
	found := verdict{FindingsOf(violationOf("101", wrongTotal, missing, row, shown)), all - maxFindings}
	for _, language := range []string{"en", "vi"} {
		t.Run(language, func(t *testing.T) {
			zone, err := time.LoadLocation("Asia/Ho_Chi_Minh")
			if err != nil {
				t.Fatal(err)
			}
			f, err := New(Options{Sender: &chat{}, Language: language, Zone: zone, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
			if err != nil {
				t.Fatal(err)
			}
			transactions := assembled(t, purchase(1, 1))
			if len(transactions) != 1 {
				t.Fatalf("%d transactions", len(transactions))
			}
			everybody := newAudience(telegram.Chat{}, newBoard()).of(telegram.Chat{})
			whole := Whole{First: at, Last: at, Until: at, Changes: 31_415}.Action()
			messages := []telegram.Message{
				f.writer.write(work{transaction: transactions[0]}, everybody, found, at.Add(time.Hour)),
				f.writer.verdictAlone(transactions[0], found),
				f.LeftMessage(Left{Transactions: 1204, Changes: 31_415, Whole: whole, At: at}),
				f.LeftMessage(Left{Transactions: 1, Changes: 3, Whole: whole, At: at}),
				f.LeftMessage(Left{Changes: 31_415, Whole: whole, At: at}),
				f.writer.broken(&telegram.RefusedError{Reason: "Forbidden: bot was kicked from the <b> chat", Remedy: reason.DoTelegramAdd.With()}, at),
			}
			var texts []string
			for _, m := range messages {
				text := m.HTML()
				for _, row := range m.Buttons {
					text += fmt.Sprintf("\n[%s]", row[0].Text)
				}
				texts = append(texts, text)
			}
			testrig.Golden(t, filepath.Join("testdata", "verdicts."+language+".html"), strings.Join(texts, "\n――――――――\n")+"\n", *update)
		})
	}
}

// assembled are the transactions of events.
func assembled(t *testing.T, events []event.Raw) (out []*transaction) {
	t.Helper()
	a := newAssembler(normalize.New(normalize.Options{}), newAudience(telegram.Chat{}, newBoard()), open{}, time.Second, slog.New(slog.DiscardHandler), func(tx *transaction) {
		out = append(out, tx)
	})
	for i := range events {
		a.take(t.Context(), &events[i])
	}
	a.completeAll()
	return out
}

func TestEveryTextOfTheFeedStandsInAGoldenFile(t *testing.T) {
	for language, texts := range catalogues {
		t.Run(language, func(t *testing.T) {
			testrig.EveryTextIsShown(t, texts, testrig.GoldenTexts(t, "testdata/*."+language+".html"), "date", "group", "language")
		})
	}
}
