package feed

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
	"datawatch/pkg/telegram"
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
		{"digest", append(append(append([]event.Raw{}, big...), unusual...), records...), true},
	}
	for _, c := range cases {
		for _, language := range []string{"en", "vi"} {
			t.Run(c.name+"/"+language, func(t *testing.T) {
				got := told(t, language, c.asDigest, c.events)
				path := filepath.Join("testdata", c.name+"."+language+".html")
				if *update {
					if err := os.MkdirAll("testdata", 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("%s:\n%s\nwant:\n%s", path, got, want)
				}
			})
		}
	}
}
