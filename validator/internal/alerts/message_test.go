package alerts

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts/life"
	"datawatch/validator/internal/schemas"
)

var update = flag.Bool("update", false, "write the golden files anew")

var hanoi = time.FixedZone("ICT", 7*3600)

func exampleGroup(kind event.ErrorKind, rule, keyword, place, message, expected, actual string) *Group {
	first := time.Date(2026, 11, 22, 7, 3, 7, 412e6, time.UTC)
	g := &Group{
		Version: 1, Fingerprint: "k3f9a1mmrtqz", Stream: "shop-db/public.orders", File: "shop-db/public.orders.json", Kind: kind, Rule: rule,
		Severity: event.Critical, Owner: "payments", Count: 1, First: first, Last: first,
		Example: Example{
			SHA256: "3f2a51", Place: place, Keyword: keyword, Message: message, Expected: expected, Actual: actual,
			Key: json.RawMessage(`{"id":1042}`), Op: event.Update, Sample: layout(json.RawMessage(`{"id":1042,"total":149.98,"customer":"•••","items":3,"note":null}`)),
		},
	}
	g.Keys.add([]byte("1042"))
	return g
}

// buttonTexts are a message's buttons as people see them.
func buttonTexts(m telegram.Message) string {
	var out strings.Builder
	for _, row := range m.Buttons {
		for _, b := range row {
			fmt.Fprintf(&out, "[%s]", b.Text)
		}
	}
	return out.String()
}

// TestMessagesReadAsPeopleAreUsedTo holds every form of a group's message, in both languages, letter by letter.
func TestMessagesReadAsPeopleAreUsedTo(t *testing.T) {
	rule := exampleGroup(event.RuleViolation, "total-adds-up", "0", "/total", "Order total is not the sum of its items", "149.97", "149.98")
	living := rule.clone()
	living.Example.Transaction, living.Example.Actor = "81422", "order-service (app)"
	living.Recent = []Example{rule.Example, living.Example}
	for i := range living.Recent {
		living.Recent[i].At = living.First
	}
	living.Count, living.Last, living.Runbook = 1312, living.First.Add(4*time.Minute+20*time.Second), "https://example.com/runbooks/orders?a=1&b=2"
	for i := range 40 {
		living.Keys.add(fmt.Append(nil, i))
	}
	many := living.clone()
	many.Severity, many.Owner = event.Warning, ""
	for i := range 20_000 {
		many.Keys.add(fmt.Append(nil, i))
	}
	failing := exampleGroup(event.RuleError, "total-adds-up", "0", "", "self.total is null (write self.total.orValue(0))", "", "")
	missing := exampleGroup(event.SchemaError, "", "required", "", `"currency" is missing`, "currency", "")
	small := exampleGroup(event.SchemaError, "", "minimum", "/items/0/price", "is too small", ">= 0", "-1 <b>&")
	small.Example.Key = json.RawMessage(`{"order":7,"line":"a<b"}`)
	small.Example.Op = event.Read
	keyless := exampleGroup(event.LimitError, "", "number", "", "is a number beyond what can be judged", "at most 64 characters and an exponent within ±400", "")
	keyless.Example.Key, keyless.Example.Sample, keyless.Example.Op = json.RawMessage("null"), "", event.Message
	others := exampleGroup(event.RuleViolation, "x", "0", "", "x", "", "")
	others.Fingerprint, others.Count = othersID, 3

	var got bytes.Buffer
	for _, language := range []string{"en", "vi"} {
		write := func(name string, m telegram.Message) {
			fmt.Fprintf(&got, "== %s: %s\n%s\n%s\n\n", language, name, m.HTML(), buttonTexts(m))
		}
		show := func(name string, g *Group, wrong int64, c life.Card) {
			w := writer{words: wordsOf(language), zone: hanoi, now: g.Last, quiet: g.Last, held: !c.HeldUntil.IsZero()}
			share := 0.0
			if g.Count > 1 {
				share = 0.0234
			}
			write(name, w.group(g, wrong, share, &c, nil))
		}
		at := func(d time.Duration) time.Time { return living.First.Add(d) }
		open := life.Card{Phase: life.Open, Rows: true}
		mended := life.Card{Phase: life.Over, Rows: true, OverAt: at(time.Hour)}
		show("new", rule, 1, open)
		show("living", living, 1300, open)
		show("too many keys to tell apart, a warning", many, 0, life.Card{Phase: life.Open})
		show("mended", living, 0, mended)
		mended.OverAt = at(30 * time.Hour)
		show("mended on another day", living, 0, mended)
		show("resolved", living, 0, life.Card{Phase: life.Over, OverAt: at(time.Hour), ResolvedBy: "@linh"})
		show("quiet", living, 30, life.Card{Phase: life.Quiet, Rows: true})
		show("back", living, 300, life.Card{Phase: life.Open, Rows: true, WasOver: at(-48 * time.Hour)})
		show("comes and goes", living, 300, life.Card{Phase: life.Open, Rows: true, HeldUntil: at(6 * time.Hour), Openings: make([]time.Time, 3)})
		show("a rule that can't run", failing, 0, open)
		show("a member is missing", missing, 1, open)
		show("hostile texts", small, 1, open)
		show("no key, no sample", keyless, 0, open)
		show("others", others, 0, open)
		decided := life.Card{Phase: life.Open, Rows: true, AckBy: "@linh", AckAt: at(6 * time.Minute)}
		decided.Notes = []life.Note{{By: "@an", At: at(7 * time.Minute), Text: "the import of last night\n<b>again</b>"}}
		show("acknowledged, with a note", living, 300, decided)
		decided.MutedBy, decided.MutedUntil = "@linh", at(time.Hour)
		show("muted", living, 300, decided)
		decided.MutedUntil, decided.MutedFor = time.Time{}, "3f2a51"
		show("muted until the schema changes", living, 300, decided)
		show("accepted", living, 300, life.Card{Phase: life.Open, Rows: true, Accepted: &life.Acceptance{By: "@linh", Until: at(720 * time.Hour), Reason: "import of 2019"}})
		show("keys accepted", living, 300, life.Card{Phase: life.Open, Rows: true, Accepted: &life.Acceptance{By: "@linh", Until: at(720 * time.Hour), Reason: "import of 2019", Keys: []string{"1", "2"}}})
		w := writer{words: wordsOf(language), zone: hanoi, now: living.First}
		write("samples", telegram.NewMessage(w.samples(living)...))
		failure := schemas.Failure{Problem: schemas.Problem{File: "shop-db/public.orders.json", Line: 14, Message: `"requird"`, Hint: "required?"}}
		write("a file that never was right", w.failure(failure))
		failure.InForce = &schemas.File{LoadedAt: living.First}
		write("a file that was right", w.failure(failure))
		wasWrong := &life.Card{Phase: life.Over, Rows: true, Opened: living.First, OverAt: at(time.Hour)}
		write("mended file", telegram.NewMessage(w.ended(filePrefix+"shop-db/public.orders.json", wasWrong)))
		for _, r := range []schemas.Remark{
			{Kind: schemas.Shadowed, File: "shop-kafka/billing.*.json", Other: "shop-kafka/billing*.*.json"},
			{Kind: schemas.Ambiguous, File: "shop-kafka/pay*.json", Other: "shop-kafka/*pay.json"},
			{Kind: schemas.Unmatched, File: "shop-db/public.order.json", Stream: "shop-db/public.orders"},
			{Kind: schemas.Unmatched, File: "shop-db/public.coupons.json"},
			{Kind: schemas.Unrunnable, File: "shop-kafka/payments.json", Rule: "grows", Stream: "shop-kafka/payments"},
		} {
			write("remark: "+string(r.Kind), w.remark(r))
		}
		write("a silent service", w.silent("validator", living.First))
		write("a part out of order", w.part("collector", control.Part{Name: "broker", Why: reason.WaitsForBroker.With().Pointer(), Since: living.First}))
		write("a broken route", w.route(telegram.Chat{ID: -100789}, refusal{since: living.First, reason: "Forbidden: bot was kicked from the supergroup chat"}))
		write("dead letters", w.dead(&letters{Stream: "shop-kafka/payments.captured", Class: "schema", Reason: "id 41 is not in the registry", Count: 214, First: living.First}))
	}
	const golden = "testdata/messages.golden"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got.Bytes()) {
		t.Errorf("differs from %s:\n%s", golden, got.Bytes())
	}
}

func TestSketchIsExactWhileThereIsRoomAndNearBeyond(t *testing.T) {
	var s sketch
	for i := range 100_000 {
		s.add(fmt.Append(nil, "key ", i))
		s.add(fmt.Append(nil, "key ", i/2))
		n, exact := s.count()
		seen := int64(i + 1)
		if exact && n != seen {
			t.Fatalf("%d keys of %d", n, seen)
		}
		if exact != (seen < sketchSize) {
			t.Fatalf("exact is %v at %d keys", exact, seen)
		}
		if !exact && i%1000 == 0 && (n < seen*6/10 || n > seen*16/10) {
			t.Fatalf("≈ %d keys of %d", n, seen)
		}
	}
}

func TestSampleFitsAPhone(t *testing.T) {
	for line := range strings.SplitSeq(layout(json.RawMessage(`{"id":1042,"total":149.98,"customer":"•••","items":3}`)), "\n") {
		if len([]rune(line)) > preWidth {
			t.Errorf("%q is longer than %d", line, preWidth)
		}
	}
}
