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

	"datawatch/pkg/event"
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

// TestMessagesReadAsPeopleAreUsedTo holds every form of a group's message, in both languages, letter by letter.
func TestMessagesReadAsPeopleAreUsedTo(t *testing.T) {
	rule := exampleGroup(event.RuleViolation, "total-adds-up", "0", "/total", "Order total is not the sum of its items", "149.97", "149.98")
	living := rule.clone()
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
		show := func(name string, g *Group, wrong int64, mended time.Time) {
			w := writer{words: wordsOf(language), zone: hanoi, now: g.Last}
			fmt.Fprintf(&got, "== %s: %s\n%s\n\n", language, name, w.group(g, wrong, sent{MendedAt: mended}, nil).HTML())
		}
		show("new", rule, 1, time.Time{})
		show("living", living, 1300, time.Time{})
		show("too many keys to tell apart, a warning", many, 0, time.Time{})
		show("mended", living, 0, living.First.Add(time.Hour))
		show("mended on another day", living, 0, living.First.Add(30*time.Hour))
		show("a rule that can't run", failing, 0, time.Time{})
		show("a member is missing", missing, 1, time.Time{})
		show("hostile texts", small, 1, time.Time{})
		show("no key, no sample", keyless, 0, time.Time{})
		show("others", others, 0, time.Time{})
		w := writer{words: wordsOf(language), zone: hanoi, now: living.First}
		decided := sent{AckBy: "@linh", AckAt: living.First.Add(6 * time.Minute)}
		fmt.Fprintf(&got, "== %s: acknowledged\n%s\n%v\n\n", language, w.group(living, 300, decided, nil).HTML(), w.buttons(living, decided))
		decided.MutedBy, decided.MutedUntil = "@linh", living.First.Add(time.Hour)
		fmt.Fprintf(&got, "== %s: muted\n%s\n%v\n\n", language, w.group(living, 300, decided, nil).HTML(), w.buttons(living, decided))
		failure := schemas.Failure{Problem: schemas.Problem{File: "shop-db/public.orders.json", Line: 14, Message: `"requird"`, Hint: "required?"}}
		fmt.Fprintf(&got, "== %s: a file that never was right\n%s\n\n", language, w.failure(failure).HTML())
		failure.InForce = &schemas.File{LoadedAt: living.First}
		fmt.Fprintf(&got, "== %s: a file that was right\n%s\n\n", language, w.failure(failure).HTML())
		fmt.Fprintf(&got, "== %s: mended file\n%s\n\n", language, w.mendedFile("shop-db/public.orders.json").HTML())
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
