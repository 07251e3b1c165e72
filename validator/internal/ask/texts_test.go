package ask

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
	"datawatch/validator/internal/replay"
)

// TestReportsReadAsTheGoldenFilesSay: of files that would change what is in force nowhere, or everywhere, with more rules than
// are shown and with some that can't be asked; and what somebody is told who asks too much.
func TestReportsReadAsTheGoldenFilesSay(t *testing.T) {
	from := time.Date(2024, 11, 22, 7, 3, 7, 0, time.UTC)
	for _, language := range []string{"en", "vi"} {
		d := &Desk{o: Options{Language: language, Zone: time.UTC}, words: catalogues[language]}
		var out strings.Builder
		show := func(title string, blocks ...telegram.Block) {
			m := telegram.NewMessage(blocks...)
			fmt.Fprintf(&out, "―― %s\n%s\n", title, m.HTML())
		}
		report := &replay.Report{From: &from, To: &from, Events: 1842}
		show("nothing fails", d.report(report)...)
		report.Failing = 312
		of := replay.StreamReport{Unrunnable: map[string]int{"paid-stays-paid": 1204}}
		for i := range mostRules + 1 {
			of.Rules = append(of.Rules, &replay.RuleReport{Rule: fmt.Sprint("rule-", i), Message: "is too small", Failing: 1842, Own: i > 0})
		}
		of.Rules[0].Place = "/total"
		report.Streams = append(report.Streams, &of)
		show("some fail", d.report(report)...)
		show("too many ask", telegram.Line(telegram.Plain(d.words.busy)))
		testrig.Golden(t, "testdata/reports."+language+".golden", out.String(), flag.Lookup("update").Value.String() == "true")
	}
}

func TestEveryTextStandsInAGoldenFile(t *testing.T) {
	for language, texts := range catalogues {
		t.Run(language, func(t *testing.T) {
			testrig.EveryTextIsShown(t, texts, testrig.GoldenTexts(t, "testdata/*."+language+".golden"), "date", "thousands")
		})
	}
}
