package record

import (
	"encoding/json"
	"flag"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestPagesReadAsTheGoldenFilesSay in both languages, with every kind of change, and what was found wrong; a small one, and
// one that has no room.
func TestPagesReadAsTheGoldenFilesSay(t *testing.T) {
	at := time.Date(2026, 11, 22, 7, 3, 7, 0, time.UTC)
	row := json.RawMessage(`{"id":1042,"total":149.98}`)
	whole := &Recording{
		Name: "checkout", Tag: "mine", From: at, To: at.Add(time.Minute), Beyond: 1842, BrokenBeyond: 3,
		Transactions: []Transaction{
			{Source: "shop-db", ID: "81422", Time: "2026-11-22T07:03:07Z", Actor: &event.Actor{Application: "order-service"}, Tag: "mine", Changes: []Change{
				{Stream: "shop-db/public.orders", Op: event.Insert, After: row}, {Stream: "shop-db/public.orders", Op: event.Update, Before: row, After: row},
				{Stream: "shop-db/public.orders", Op: event.Delete, Before: row}, {Stream: "shop-db/public.orders", Op: event.Truncate},
				{Stream: "shop-db/public.orders", Op: event.Read, After: row}, {Stream: "shop-kafka/payments", Op: event.Message, After: row},
			}, Findings: []Broken{
				{Rule: "total-adds-up", Message: "is too small", Actual: "149.98", Expected: "149.97", Own: true},
				{Rule: "/items", Message: "has too few elements", Actual: "0", Expected: ">= 3 characters"},
				{Rule: "total-adds-up", Message: "self.total is null (write self.total.orValue(…) for what it then counts as)"},
			}},
			{Source: "shop-db", ID: "81423", Time: "2026-11-22T07:03:08Z"}, {Source: "shop-db"}, {Source: "shop-db"},
		},
	}
	one := &Recording{
		From: at, To: at, Beyond: 1, BrokenBeyond: 1,
		Transactions: []Transaction{{Source: "shop-db", Changes: []Change{{Stream: "shop-db/public.orders", Op: event.Insert, After: row}}}},
	}
	for _, language := range []string{"en", "vi"} {
		for name, r := range map[string]*Recording{"whole": whole, "one": one} {
			text, err := r.HTML(1<<20, language)
			if err != nil {
				t.Fatal(err)
			}
			testrig.Golden(t, "testdata/page-"+name+"."+language+".html", string(text), *update)
			text, err = r.HTML(len(text)-1, language)
			if err != nil {
				t.Fatal(err)
			}
			testrig.Golden(t, "testdata/page-"+name+"-cut."+language+".html", string(text), *update)
		}
		testrig.EveryTextIsShown(t, catalogues[language], testrig.GoldenTexts(t, "testdata/page-*."+language+".html"), "language")
	}
}
