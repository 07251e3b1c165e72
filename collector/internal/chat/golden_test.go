package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"datawatch/collector/internal/feed"
	"datawatch/collector/internal/record"
	"datawatch/collector/internal/remote"
	"datawatch/collector/internal/source"
	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
)

// pages are answers with what was asked, as golden files hold them.
type pages struct{ text strings.Builder }

func (p *pages) add(about string, blocks []telegram.Block) {
	fmt.Fprintf(&p.text, "―― %s\n%s\n", about, telegram.NewMessage(blocks...).HTML())
}

func (p *pages) say(about, text string) { fmt.Fprintf(&p.text, "―― %s\n%s\n", about, text) }

var clockTime = regexp.MustCompile(`(\b\d\d? [A-Z][a-z]{2} |\b\d\d/\d\d )?\b\d\d:\d\d\b`)

// holds compares, with times of day that aren't always the same left out.
func (p *pages) holds(t *testing.T, name, language string) {
	t.Helper()
	testrig.Golden(t, filepath.Join("testdata", name+"."+language+".golden"), clockTime.ReplaceAllString(p.text.String(), "hh:mm"), *update)
}

// What recordings, files and comparisons say beneath them.
func TestCaptionsReadAsTheGoldenFilesSay(t *testing.T) {
	for _, language := range []string{"en", "vi"} {
		t.Run(language, func(t *testing.T) {
			d := New(Options{Language: language, Zone: time.UTC})
			var p pages
			one := &record.Recording{Name: "checkout", Transactions: []record.Transaction{{Changes: make([]record.Change, 1), Findings: make([]record.Broken, 1)}}}
			atOnce := &record.Recording{Name: "big", Beyond: 1, Transactions: []record.Transaction{{Changes: make([]record.Change, 1842), Findings: make([]record.Broken, 3)}}}
			many := &record.Recording{Name: "day", Beyond: 31_415, Transactions: []record.Transaction{{Changes: make([]record.Change, 1842)}, {Changes: make([]record.Change, 1)}}}
			p.add("a recording that was stopped", d.recordingCaption(one, nil))
			p.add("ended by its size", d.recordingCaption(many, []string{d.tooLarge()}))
			p.add("ended by its time, and incomplete", d.recordingCaption(atOnce, []string{d.tooLong(), d.words.recordLacks}))
			p.add("a file of a transaction", d.wholeCaption(one, feed.Whole{Changes: 1}))
			p.add("a file that lacks one", d.wholeCaption(atOnce, feed.Whole{Changes: 1844}))
			p.add("a file that lacks many", d.wholeCaption(many, feed.Whole{Changes: 99_999}))
			p.add("a file of what is gone", d.wholeCaption(&record.Recording{}, feed.Whole{Changes: 5}))
			pair := [2]recording{{Name: "checkout"}, {Name: "checkout-2"}}
			p.say("a comparison", d.differ(pair, 1)+"\n"+d.differ(pair, 1842)+"\n"+fmt.Sprintf(d.words.alike, "checkout", "checkout-2"))
			p.holds(t, "captions", language)
		})
	}
}

// /status in every state.
func TestStatusReadsAsTheGoldenFilesSay(t *testing.T) {
	none, one := 0, 1
	for _, language := range []string{"en", "vi"} {
		t.Run(language, func(t *testing.T) {
			var p pages
			well := Standing{Sources: []Source{{Name: "shop-db", State: source.Streaming, Running: true, Lag: 90 * time.Minute}}, PerSecond: 1842, Open: &none, Canary: time.Now().Add(-15 * time.Second)}
			for _, name := range services {
				well.Services = append(well.Services, Service{Name: name, Running: 1})
			}
			wrong := Standing{Open: &one, Services: []Service{{Name: "validator"}}, Canary: time.Now().Add(-49 * time.Hour)}
			for _, state := range []source.State{source.Connecting, source.Snapshot, source.Stalled, source.Failed, source.Standby} {
				wrong.Sources = append(wrong.Sources, Source{Name: "shop-" + string(state), State: state, Running: true, Lag: 5 * time.Second})
			}
			wrong.Sources = append(wrong.Sources, Source{Name: "shop-stopped", State: remote.Stopped})
			for i, standing := range []Standing{well, wrong} {
				d := New(Options{Language: language, Zone: time.UTC, Status: func(context.Context) (Standing, error) { return standing, nil }})
				lines, err := d.status(t.Context(), telegram.Command{})
				if err != nil {
					t.Fatal(err)
				}
				p.add([]string{"/status", "/status in every state"}[i], lines)
			}
			p.holds(t, "status", language)
		})
	}
}

// What the desk says about itself and about what it can't do.
func TestRefusalsReadAsTheGoldenFilesSay(t *testing.T) {
	for _, language := range []string{"en", "vi"} {
		t.Run(language, func(t *testing.T) {
			b := newBot()
			d := New(Options{Language: language, Zone: time.UTC, Bot: b, Log: slog.New(slog.DiscardHandler)})
			var p pages
			lines, err := d.noFeed(t.Context(), telegram.Command{})
			if err != nil {
				t.Fatal(err)
			}
			p.add("a command of the feed where there is none", lines)
			if err := d.apologize(telegram.Command{}, errors.New("no broker")); err == nil {
				t.Error("the error is gone")
			}
			p.say("while the broker is away", b.answer(t))
			p.say("a button of another version", d.whole(telegram.Press{}, []string{"x"}))
			var menu []string
			for _, c := range d.words.announced() {
				menu = append(menu, "/"+c.Name+" "+c.Description)
			}
			p.say("the list of commands", strings.Join(menu, "\n"))
			p.say("more lines than are shown", d.more(1842))
			for range mostJobs {
				d.jobs <- nil
			}
			d.o.Feed = new(feed.Feed)
			whole := feed.Whole{First: time.Now(), Last: time.Now(), Until: time.Now(), Changes: 5}.Action()
			p.say("a button while too much is to be done", d.whole(telegram.Press{}, strings.Fields(whole)[1:]))
			d.sent = 4000
			large := &record.Recording{Name: "checkout", Transactions: []record.Transaction{{Changes: make([]record.Change, 200)}}}
			if err := d.sendRecording(t.Context(), here, large, nil); err != nil {
				t.Fatal(err)
			}
			b.document(t) // the page
			p.say("a file that Telegram doesn't take", b.answer(t))
			p.holds(t, "refusals", language)
		})
	}
}

// What is said on the way of a recording, of following, of pairing, of a file.
func TestConversationReadsAsTheGoldenFilesSay(t *testing.T) {
	for _, language := range []string{"en", "vi"} {
		t.Run(language, func(t *testing.T) {
			c := configuration(t, testrig.Embedded(t))
			b, f, stop := sitWith(t, c, language, func(o *Options) { o.LookEvery, o.LargestFile = time.Hour, record.MaxBytes })
			defer stop()
			var p pages
			ask := func(text string) { p.say(text, b.ask(t, text)) }
			ask("/tables")
			f.Offer([]event.Raw{inserted(t, 1, 1, "orders", "1", time.Now()), inserted(t, 2, 2, "orders", "2", time.Now())})
			beats(t, c, time.Now(), map[event.Stream]control.Changes{"shop-db/public.orders": {Count: 1840, First: time.Now(), Last: time.Now()}})
			testrig.Eventually(t, 30*time.Second, func() error {
				if got := b.ask(t, "/tables"); !strings.Contains(got, "842") {
					return errors.New(got)
				}
				return nil
			})
			ask("/tables")
			ask("/follow orders user_id=42 for 2h")
			ask("/follow tag=checkout")
			ask("/pause 10m")
			ask("/resume")
			ask("/unfollow tag=checkout")
			for i := range 19 {
				b.ask(t, fmt.Sprintf("/follow orders user_id=%d", 100+i))
			}
			ask("/follow orders user_id=7")
			ask("/unfollow")
			b.number++
			b.updates <- func(ctx context.Context, h telegram.Handlers) error { // in the feed's own chat
				return h.Command(ctx, telegram.Command{Update: b.number, Name: "follow"})
			}
			p.say("/follow, in the feed's own chat", b.answer(t))
			ask("/record start checkout tag=mine")
			ask("/record start other")
			ask("/record")
			ask("/record stop")
			b.document(t)
			b.document(t)
			ask("/record")
			ask("/compare checkout checkout")
			p.say("compared", b.answer(t))
			ask("/pair ABCD-EFGH")
			p.say("/pair with a code from the terminal", b.ask(t, "/pair "+codeFor(t, c)))
			p.say("a button", b.press(t, feed.Whole{First: time.Now().Add(-time.Hour), Last: time.Now(), Until: time.Now(), Changes: 5}.Action()))
			p.say("answered", b.answer(t))
			p.holds(t, "conversation", language)
		})
	}
}

func TestEveryTextStandsInAGoldenFile(t *testing.T) {
	for language, texts := range catalogues {
		t.Run(language, func(t *testing.T) {
			testrig.EveryTextIsShown(t, texts, testrig.GoldenTexts(t, "testdata/*."+language+".golden"), "date")
		})
	}
}
