package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"datawatch/pkg/event"
)

// checkout is what one run of a purchase leaves: ids from n on, at a time of its own.
func checkout(n int, total string, broken ...string) *Recording {
	at := fmt.Sprintf("2026-11-22T07:%02d:07.5Z", n%60)
	change := func(stream event.Stream, op event.Op, key, before, after string) Change {
		raw := func(s string) json.RawMessage {
			if s == "" {
				return nil
			}
			return json.RawMessage(s)
		}
		return Change{EventID: fmt.Sprintf("%s/%d", stream, n), Stream: stream, Op: op, Key: raw(key), Before: raw(before), After: raw(after)}
	}
	t := Transaction{Source: "shop-db", ID: fmt.Sprint(n), Time: at, Changes: []Change{
		change("shop-db/public.orders", event.Insert, fmt.Sprintf(`{"id":%d}`, n), "", fmt.Sprintf(`{"id":%d,"wallet_id":7,"ref":"9b2d0a3c-0000-4000-8000-%012d","quantity":3,"total":%s,"at":"%s"}`, n, n, total, at)),
		change("shop-db/public.payments", event.Insert, fmt.Sprintf(`{"id":%d}`, n), "", fmt.Sprintf(`{"id":%d,"order_id":%d,"amount":%s}`, n, n, total)), // the same number as the order's
		change("shop-db/public.wallets", event.Update, `{"id":7}`, `{"id":7,"balance":500}`, `{"id":7,"balance":350}`),
	}}
	for _, rule := range broken {
		t.Findings = append(t.Findings, Broken{EventID: t.Changes[0].EventID, Rule: rule})
	}
	message := Transaction{Source: "shop-kafka", Time: at, Changes: []Change{
		change("shop-kafka/payments.captured", event.Message, fmt.Sprintf(`"%d"`, n), "", fmt.Sprintf(`{"orderId":"%d","ref":"9b2d0a3c-0000-4000-8000-%012d","lines":[{"no":1}]}`, n, n)),
	}}
	return &Recording{Transactions: []Transaction{t, message}}
}

func TestRunsOfTheSameCodeAreAlike(t *testing.T) {
	// 3 is a quantity too, and 7 a wallet's id, which no run makes.
	if d := Compare(Canonical(checkout(3, "149.97")), Canonical(checkout(1042, "149.97"))); len(d) > 0 {
		var out bytes.Buffer
		if err := WriteDifferences(&out, d); err != nil {
			t.Fatal(err)
		}
		t.Errorf("different:\n%s", out.String())
	}
}

func TestGeneratedValuesAreRecognized(t *testing.T) {
	golden, err := Golden(Canonical(checkout(1042, "149.97")))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"stream":"shop-db/public.orders","op":"insert","key":{"id":"<orders 1>"},"after":{"id":"<orders 1>","wallet_id":7,"ref":"<id 1>","quantity":3,"total":149.97,"at":"<time>"}}
{"stream":"shop-db/public.payments","op":"insert","key":{"id":"<payments 1>"},"after":{"id":"<payments 1>","order_id":"<orders 1>","amount":149.97}}
{"stream":"shop-db/public.wallets","op":"update","key":{"id":7},"before":{"id":7,"balance":500},"after":{"id":7,"balance":350}}
{"stream":"shop-kafka/payments.captured","op":"message","key":"<id>","after":{"orderId":"<orders 1>","ref":"<id 1>","lines":[{"no":1}]}}
`
	if string(golden) != want {
		t.Errorf("got\n%s", golden)
	}
	lines, err := ParseGolden(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := Compare(lines, Canonical(checkout(77, "149.97"))); len(d) > 0 {
		t.Errorf("the file differs from another run: %+v", d)
	}
}

func TestDifferencesNameTheFields(t *testing.T) {
	was, is := checkout(3, "149.97"), checkout(9, "149.98", "total-adds-up")
	is.Transactions[0].Changes = append(is.Transactions[0].Changes[:2], Change{
		EventID: "x", Stream: "shop-db/public.ledger", Op: event.Insert, After: json.RawMessage(`{"debit":"cash"}`),
	})
	var out bytes.Buffer
	if err := WriteDifferences(&out, Compare(Canonical(was), Canonical(is))); err != nil {
		t.Fatal(err)
	}
	const want = `shop-db/public.ledger
  + insert ∅ {"debit":"cash"}
shop-db/public.orders
  ~ insert {"id":"<orders 1>"}
      after.total: 149.97 → 149.98
      broken: ∅ → total-adds-up
shop-db/public.payments
  ~ insert {"id":"<payments 1>"}
      after.amount: 149.97 → 149.98
shop-db/public.wallets
  - update {"id":7} {"id":7,"balance":350}
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}

func TestOneLineMoreIsOneDifference(t *testing.T) {
	var was, is []Line
	for i := range 50 {
		l := Line{Stream: "s/t", Op: event.Update, Key: json.RawMessage(`{"id":1}`), After: json.RawMessage(fmt.Sprint(i % 7))}
		was = append(was, l)
		if i == 25 {
			is = append(is, Line{Stream: "s/t", Op: event.Update, Key: json.RawMessage(`{"id":1}`), After: json.RawMessage("99")})
		}
		is = append(is, l)
	}
	if d := Compare(was, is); len(d) != 1 || d[0].Line != nil || text(d[0].Now.After) != "99" {
		t.Errorf("%+v", d)
	}
}

func TestRecordingIsReadBackAsItWasWritten(t *testing.T) {
	r := checkout(1042, "149.97", "total-adds-up")
	var text, again bytes.Buffer
	if err := r.WriteJSONLines(&text); err != nil {
		t.Fatal(err)
	}
	read, err := ReadJSONLines(text.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := read.WriteJSONLines(&again); err != nil {
		t.Fatal(err)
	}
	if text.String() != again.String() || read.Changes() != 4 || read.Broken() != 1 {
		t.Errorf("%s\n%s", text.String(), again.String())
	}
}

func TestPageShowsEveryChangeAndEscapesIt(t *testing.T) {
	r := checkout(1042, "149.97", "total-adds-up")
	r.Transactions[0].Changes[0].After = json.RawMessage(`{"id":1042,"note":"<script>alert(1)</script>"}`)
	text, err := r.HTML(1<<20, "en")
	if err != nil {
		t.Fatal(err, "en")
	}
	page := string(text)
	if strings.Contains(page, "<script>") || !strings.Contains(page, "&lt;script&gt;") || strings.Count(page, "<tr>") != 4 || !strings.Contains(page, "total-adds-up") {
		t.Errorf("%s", page)
	}
}
