package gapalert

import (
	"encoding/json"
	"flag"
	"html"
	"log/slog"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMessagesReadAsTheGoldenFilesSay(t *testing.T) {
	from := time.Date(2024, 11, 22, 6, 41, 0, 0, time.UTC)
	one, many := int64(1), int64(31_415)
	for _, language := range []string{"en", "vi"} {
		t.Run(language, func(t *testing.T) {
			a := New(Options{Language: language, Zone: time.FixedZone("", 7*3600), Log: slog.New(slog.DiscardHandler)})
			var messages []string
			full := event.Gap{Cause: string(reason.OutboxFull)}.Advising(reason.DoOutboxFull.With())
			for _, gaps := range [][]event.Raw{
				{saying(t, "shop-mongo/shop.carts", event.Gap{From: from, To: from.Add(17 * time.Minute), Cause: "history_lost: the resume point is gone"}.Advising(reason.DoHistoryLost.With()))},
				{saying(t, "shop-kafka/payments.captured", event.Gap{From: from, To: from.Add(17 * time.Minute), Lost: &one}.Because(reason.OffsetsExpired.With(42, 42, "payments.captured/3")).Advising(reason.DoOffsetsExpired.With()))},
				{gapIn(t, "shop-db/public.orders", "an earlier version's words", nil, from, from.Add(17*time.Minute))},
				{
					saying(t, "shop-db/public.orders", within(full, from, from.Add(17*time.Minute), &many)),
					saying(t, "shop-db/public.payments", within(full, from, from.Add(20*time.Hour), &many)),
				},
			} {
				a.Offer(gaps)
				m := a.message(a.next())
				messages = append(messages, m.HTML())
			}
			testrig.Golden(t, "testdata/messages."+language+".golden", strings.Join(messages, "\n――――――――\n")+"\n", *update)
		})
	}
}

func TestEveryTextStandsInAGoldenFile(t *testing.T) {
	for _, language := range []string{"en", "vi"} {
		testrig.EveryTextIsShown(t, wordsIn(language), testrig.GoldenTexts(t, "testdata/*."+language+".golden"), "date", "language")
	}
}

func within(g event.Gap, from, to time.Time, lost *int64) event.Gap {
	g.From, g.To, g.Lost = from, to, lost
	return g
}

// saying is the event of a gap as a source makes it.
func saying(t *testing.T, stream event.Stream, g event.Gap) event.Raw {
	t.Helper()
	value, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	return event.Raw{Type: event.GapType, Stream: stream, ID: string(stream) + "/x", Value: value}
}

// TestNoEnglishRemedyComesIntoAVietnameseMessage, nor a cause, whatever a source says.
func TestNoEnglishRemedyComesIntoAVietnameseMessage(t *testing.T) {
	for _, code := range reason.Codes() {
		text := code.With("a", "b", "c", "d")
		a := New(Options{Language: "vi", Zone: time.UTC, Log: slog.New(slog.DiscardHandler)})
		a.Offer([]event.Raw{saying(t, "shop-db/public.orders", event.Gap{}.Because(text).Advising(text))})
		m := a.message(a.next())
		said := html.UnescapeString(m.HTML())
		if text.In("vi") != text.In("en") && strings.Contains(said, text.In("en")) || !strings.Contains(said, text.Sentence("vi")+"\n") || !strings.HasSuffix(said, text.In("vi")) {
			t.Errorf("%s: %s", code, said)
		}
	}
}
