package gapalert

import (
	"flag"
	"log/slog"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
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
			for _, gaps := range [][]event.Raw{
				{gapIn(t, "shop-mongo/shop.carts", "the oplog no longer reaches back to 13:41", nil, from, from.Add(17*time.Minute))},
				{gapIn(t, "shop-db/public.orders", "the outbox is full (2 GiB)", &one, from, from.Add(17*time.Minute))},
				{
					gapIn(t, "shop-db/public.orders", "the outbox is full (2 GiB)", &many, from, from.Add(17*time.Minute)),
					gapIn(t, "shop-db/public.payments", "the outbox is full (2 GiB)", &many, from, from.Add(20*time.Hour)),
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
