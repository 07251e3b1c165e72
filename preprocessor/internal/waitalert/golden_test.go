package waitalert

import (
	"errors"
	"flag"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"datawatch/pkg/normalize"
	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMessagesReadAsTheGoldenFilesSay: records that wait for a schema, or for the registry, that become dead letters, and
// that it is over; as many as aren't known, one, some, and more than are counted.
func TestMessagesReadAsTheGoldenFilesSay(t *testing.T) {
	for _, language := range []string{"en", "vi"} {
		synctest.Test(t, func(t *testing.T) {
			a := New(Options{Language: language, Zone: time.FixedZone("", 7*3600), Log: slog.New(slog.DiscardHandler)})
			since := time.Now()
			wait := Wait{Stream: "shop-kafka/payments.captured", Since: since, Until: since.Add(15 * time.Minute)}
			schema, registry := wait, wait
			schema.For = &normalize.Unavailable{Schema: 41, Registry: "http://r", Err: errors.New("404")}
			registry.For = &normalize.Unavailable{Registry: "http://r", Err: errors.New("503 <b>")}
			lost := registry
			lost.Lost = true
			time.Sleep(90 * time.Minute)
			var messages []string
			say := func(blocks []telegram.Block) {
				m := telegram.NewMessage(blocks...)
				messages = append(messages, m.HTML())
			}
			say(a.waiting(&told{wait: schema}))
			say(a.waiting(&told{wait: schema, n: number{n: 1}}))
			say(a.waiting(&told{wait: registry, n: number{n: 20_000, more: true}}))
			say(a.waiting(&told{wait: lost, n: number{n: 214}}))
			say(a.over(&told{wait: registry}))
			say(a.over(&told{wait: lost}))
			time.Sleep(30 * time.Hour)
			say(a.over(&told{wait: registry}))
			testrig.Golden(t, "testdata/messages."+language+".golden", strings.Join(messages, "\n――――――――\n")+"\n", *update)
			testrig.EveryTextIsShown(t, a.words, testrig.GoldenTexts(t, "testdata/messages."+language+".golden"), "date", "thousands")
		})
	}
}
