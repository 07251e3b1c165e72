package silence

import (
	"flag"
	"testing"
	"time"

	"datawatch/pkg/testrig"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMessagesReadAsTheGoldenFilesSay(t *testing.T) {
	since := time.Date(2026, 11, 22, 6, 58, 0, 0, time.UTC)
	for language, words := range languages {
		t.Run(language, func(t *testing.T) {
			w := &watch{Options: Options{Language: language, Zone: time.FixedZone("", 7*3600)}}
			silent, back := w.message(since, time.Time{}), w.message(since, since.Add(20*time.Minute))
			file := "testdata/messages." + language + ".golden"
			testrig.Golden(t, file, silent.HTML()+"\n――――――――\n"+back.HTML()+"\n", *update)
			testrig.EveryTextIsShown(t, words, testrig.GoldenTexts(t, file))
		})
	}
}
