package alerts

import (
	"html"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
	"datawatch/validator/internal/alerts/life"
	"datawatch/validator/internal/schemas"
)

// TestEveryTextStandsInAGoldenFile: whoever changes a text sees it in a message, in both languages.
func TestEveryTextStandsInAGoldenFile(t *testing.T) {
	shown := testrig.GoldenTexts(t, "testdata/*.golden")
	for _, language := range []string{"en", "vi"} {
		t.Run(language, func(t *testing.T) {
			testrig.EveryTextIsShown(t, wordsOf(language), shown, "language", "date")
		})
	}
}

// TestNoEnglishOfAnotherServiceComesIntoAVietnameseMessage, whatever is said by code of gaps, sources and parts.
func TestNoEnglishOfAnotherServiceComesIntoAVietnameseMessage(t *testing.T) {
	w := writer{words: vietnamese, zone: time.UTC, now: time.Now()}
	for _, code := range reason.Codes() {
		text := code.With("a", "b", "c", "d")
		gap := event.Gap{}.Because(text).Advising(text)
		for name, m := range map[string]telegram.Message{
			"a gap":    w.gaps(&gaps{Source: "shop-db", Streams: []event.Stream{"shop-db/public.orders"}, Cause: gap.Cause, Remedy: gap.Remedy, Why: gap.Why, Do: gap.Do}),
			"a source": w.source("shop-db", &control.SourceTrouble{Reason: text.String(), Remedy: text.String(), Why: &text, Do: &text}),
			"a part":   w.part("collector", control.Part{Name: "broker", Reason: text.String(), Why: &text}),
		} {
			said := html.UnescapeString(m.HTML())
			if text.In("vi") != text.In("en") && strings.Contains(said, text.In("en")) || !strings.Contains(said, text.Sentence("vi")+"\n") {
				t.Errorf("%s, %s: %s", name, code, said)
			}
		}
	}
}

// TestTheRestReadsAsTheGoldenFileSays: what no message of the other golden files happens to say.
func TestTheRestReadsAsTheGoldenFileSays(t *testing.T) {
	now := time.Date(2026, 11, 22, 7, 3, 7, 0, time.UTC)
	var got strings.Builder
	for _, language := range []string{"en", "vi"} {
		s := desk(language, now)
		w := writer{words: s.words, zone: hanoi, now: now}
		show := func(name string, texts ...string) {
			got.WriteString("== " + language + ": " + name + "\n" + strings.Join(texts, "\n") + "\n\n")
		}
		message := func(name string, m telegram.Message) { show(name, m.HTML()) }
		for _, keyword := range slices.Sorted(maps.Keys(vietnamese.predicates)) {
			g := exampleGroup(event.SchemaError, "", keyword, "/items/0/price", "is too small", "a multiple of 0.01", "7")
			if keyword == string(event.LimitError) {
				g.Kind = event.LimitError
			}
			show("a heading: "+keyword, w.heading(g))
		}
		for _, said := range []string{"has more elements than the schema names", "fits more than one of the schemas of oneOf"} {
			message("a keyword without a predicate: "+said, w.group(exampleGroup(event.SchemaError, "", "additionalItems", "/items", said, ">= 3 characters", "7"), 0, 0, &life.Card{Phase: life.Open}, nil))
		}
		failing := exampleGroup(event.RuleError, "total-adds-up", "0", "", "self.total is null (write self.total.orValue(…) for what it then counts as)", "", "")
		message("a rule that can't run", w.group(failing, 0, 0, &life.Card{Phase: life.Open}, nil))
		for _, op := range slices.Sorted(maps.Keys(w.words.ops)) {
			show("an op", w.words.ops[op]+" · 14:03:07")
		}
		show("spans", w.words.span(7*time.Hour), w.words.span(24*7*time.Hour))
		for _, verb := range slices.Sorted(maps.Keys(w.words.done)) {
			show("what who has pressed reads: "+string(verb), w.words.done[verb])
		}
		show("a press on what is forgotten", w.words.unknownAlert)
		message("a silent collector", w.silent("collector", now))
		message("a source of which nobody knows what to do", w.source("shop-db", &control.SourceTrouble{Since: now, Reason: "in an earlier version's words"}))
		message("an outbox", w.outbox("shop-db", control.Source{Backlog: 1 << 30, BacklogCap: 1 << 30}, now))
		show("an outbox in a line", w.troubleName(outboxPrefix+"shop-db"))
		many := &gaps{Source: "shop-db", Cause: string(reason.OutboxFull), From: now, To: now}
		for i := range gapStreams + 1 {
			many.Streams = append(many.Streams, event.Stream("shop-db/public.t"+strconv.Itoa(i)))
		}
		message("a gap in many streams", w.gaps(many))
		show("a route mended", telegram.NewMessage(w.ended(routePrefix+"-100", &life.Card{Phase: life.Over, Rows: true, Opened: now, OverAt: now.Add(time.Hour)})).HTML())
		for _, class := range []string{"malformed", "too_large", "schema_unavailable", "of tomorrow"} {
			message("dead letters: "+class, w.dead(&letters{Stream: "shop-kafka/payments.captured", Class: class, Reason: "in the words of who read it", Count: 214, First: now}))
		}
		message("a schema file with a rule that is wrong", w.failure(schemas.Failure{Problem: schemas.Problem{
			File: "shop-db/public.orders.json", Line: 14, Message: "at 1:3 of the rule: unknown name slef", Hint: "did you mean self?",
		}}))
		answers := w.words.answers
		show("answers", answers.stillWrong, answers.noRows)
		for _, command := range slices.Sorted(maps.Keys(answers.usage)) {
			show("/"+command+" alone", answers.usage[command])
		}
	}
	testrig.Golden(t, "testdata/rest.golden", got.String(), *update)
}
