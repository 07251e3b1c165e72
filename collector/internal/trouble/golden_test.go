package trouble

import (
	"errors"
	"flag"
	"log/slog"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/config"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMessagesReadAsTheGoldenFilesSay(t *testing.T) {
	since := time.Date(2024, 11, 22, 6, 58, 0, 0, time.UTC)
	zone := time.FixedZone("", 7*3600)
	failed := &matter{subject: "shop-mongo", since: since, well: since.Add(26 * time.Minute), why: reason.MongoUnanswered.With().Quoting(errors.New("no primary at <mongo-1>\nand a stack")).FirstLine(), do: reason.DoMongoUnanswered.With()}
	unknown := &matter{subject: "shop-db", since: since, well: since.Add(40 * time.Second)}
	file := &matter{subject: configuration, since: since, why: reason.Why(&config.Error{File: "datawatch.yaml", Problems: []config.Problem{
		{Path: "collector.sources[0].kafka.topcs", Line: 14, Message: "unknown key topcs", Hint: "did you mean topics?"}, {Message: "and more"},
	}})}
	for _, language := range []string{"en", "vi"} {
		t.Run(language, func(t *testing.T) {
			teller := New(Options{Language: language, Zone: zone, Log: slog.New(slog.DiscardHandler)})
			teller.loaded = since
			w := teller.words
			var messages []string
			for _, m := range []telegram.Message{
				teller.message(failed), w.over(failed), w.elsewhere(failed), w.unconfigured(failed), teller.message(unknown), w.over(unknown), teller.message(file), w.over(file),
			} {
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
