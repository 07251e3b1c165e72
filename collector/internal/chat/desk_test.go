package chat

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"datawatch/collector/internal/feed"
	"datawatch/collector/internal/source"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/control"
	"datawatch/pkg/event"
	"datawatch/pkg/hide"
	"datawatch/pkg/normalize"
	"datawatch/pkg/reason"
	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
)

var update = flag.Bool("update", false, "write the golden files anew")

// bot is a Telegram in which a test writes, and reads the answers.
type bot struct {
	updates chan func(context.Context, telegram.Handlers) error
	answers chan telegram.Message
	number  int

	documents chan telegram.Document

	failing atomic.Bool // documents aren't taken
	failed  chan struct{}
}

func newBot() *bot {
	return &bot{updates: make(chan func(context.Context, telegram.Handlers) error), answers: make(chan telegram.Message, 100), documents: make(chan telegram.Document, 10), failed: make(chan struct{}, 1000)}
}

func (b *bot) Poll(ctx context.Context, h telegram.Handlers) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case u := <-b.updates:
			if err := u(ctx, h); err != nil {
				return fmt.Errorf("update: %w", err)
			}
		}
	}
}

func (b *bot) Send(_ context.Context, _ telegram.Chat, m telegram.Message, _ telegram.Priority) (telegram.Ref, error) {
	b.answers <- m
	return telegram.Ref{ID: 1}, nil
}

func (b *bot) SendDocument(_ context.Context, _ telegram.Chat, d telegram.Document, _ telegram.Priority) (telegram.Ref, error) {
	if b.failing.Load() {
		select {
		case b.failed <- struct{}{}:
		default:
		}
		return telegram.Ref{}, errors.New("telegram is away")
	}
	b.documents <- d
	return telegram.Ref{ID: 1}, nil
}

func (b *bot) Edit(context.Context, telegram.Ref, telegram.Message, telegram.Priority) error {
	return nil
}

func (b *bot) Announce(_ context.Context, _ string, commands []telegram.BotCommand) error {
	if len(commands) == 0 {
		return errors.New("no commands")
	}
	return nil
}

// write is a message in the chat.
func (b *bot) write(text string, replyTo int) {
	b.number++
	c := telegram.Command{Update: b.number, Message: telegram.Ref{Chat: here, ID: 7}, User: telegram.User{ID: 1, Name: "@linh"}, Args: text, ReplyTo: replyTo}
	if name, args, _ := strings.Cut(text, " "); strings.HasPrefix(name, "/") {
		c.Name, c.Args = name[1:], strings.TrimSpace(args)
	}
	b.updates <- func(ctx context.Context, h telegram.Handlers) error { return h.Command(ctx, c) }
}

func (b *bot) answer(t *testing.T) string {
	t.Helper()
	select {
	case m := <-b.answers:
		return m.HTML()
	case <-time.After(2 * time.Minute):
		t.Fatal("no answer")
		return ""
	}
}

func (b *bot) ask(t *testing.T, text string) string {
	t.Helper()
	b.write(text, 0)
	return b.answer(t)
}

var here = telegram.Chat{ID: -5, Thread: 3}

func configuration(t *testing.T, addr string) config.Broker {
	t.Helper()
	c := config.DefaultShared().Broker
	c.Addresses, c.TopicPrefix = strings.Split(addr, ","), testrig.Prefix(t)
	if err := broker.EnsureTopics(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return c
}

// ill is a datawatch in which something of everything is out of order.
func ill(context.Context) (Standing, error) {
	at, open := time.Date(2026, 11, 22, 14, 3, 0, 0, time.UTC), 2
	return Standing{
		Sources: []Source{
			{Name: "shop-db", State: source.Streaming, Running: true, Lag: 220 * time.Millisecond},
			{Name: "shop-mongo", State: source.Failed, Running: true, Why: reason.MongoUnanswered.With().Quoting(errors.New("<no primary>"))},
			{Name: "shop-kafka", State: source.Streaming, Lag: time.Second},
			{Name: "new-db"},
		},
		Services: []Service{
			{Name: "collector", Running: 2, Last: at, Parts: []control.Part{{Name: "telegram", Ready: true, Reason: "away", Why: reason.TelegramAway.With().Pointer()}}},
			{Name: "preprocessor", Last: at, Stopped: true},
			{Name: "validator", Last: at},
		},
		PerSecond: 212.4, Canary: time.Now().Add(-2*time.Hour - 500*time.Millisecond), Open: &open,
	}, nil
}

// sitsLargestFile is how large a file of the tests' desks is at most.
const sitsLargestFile = 20 << 10

// email is hidden at the tests' desks.
var email = func() hide.Pointer {
	p, err := hide.ParsePointer("/email")
	if err != nil {
		panic(err)
	}
	return p
}()

// sit runs a desk with a feed of its own until stop.
func sit(t *testing.T, c config.Broker, language string) (b *bot, f *feed.Feed, stop func()) {
	t.Helper()
	return sitWith(t, c, language, func(*Options) {})
}

// sitWith is a desk with other options.
func sitWith(t *testing.T, c config.Broker, language string, with func(*Options)) (b *bot, f *feed.Feed, stop func()) {
	t.Helper()
	return sitCounting(t, c, language, prometheus.NewRegistry(), with)
}

// sitCounting is a desk whose feed counts in a registry.
func sitCounting(t *testing.T, c config.Broker, language string, registry *prometheus.Registry, with func(*Options)) (b *bot, f *feed.Feed, stop func()) {
	t.Helper()
	b = newBot()
	f, err := feed.New(feed.Options{Sender: b, Language: language, Log: slog.New(slog.DiscardHandler), Metrics: registry})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Broker: c, Bot: b, Feed: f, Language: language, Zone: time.UTC, Log: slog.New(slog.DiscardHandler),
		Normalizer: normalize.New(normalize.Options{}), LargestFile: sitsLargestFile,
		Shown: func(source string) bool { return source != "aside-db" },
		Hide: func(_ event.Stream, c *event.Change) *event.Change {
			return hide.NewPlaces([]hide.Pointer{email}).Change(c)
		},
		Status: ill,
	}
	with(&o)
	d := New(o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return d.Run(ctx) })
		group.Go(func() error { return d.Watch(ctx) })
		ended <- group.Wait()
	}()
	return b, f, func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	}
}

// What a chat follows is followed by the next collector too, until it is unfollowed.
func TestWhatAChatFollowsOutlivesTheCollector(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c := configuration(t, addr)
		b, f, stop := sit(t, c, "en")
		if got := b.ask(t, "/follow orders user_id=42 for 2h"); !strings.Contains(got, "<code>orders user_id=42</code>  until ") || !strings.Contains(got, "by @linh") {
			t.Errorf("answered: %s", got)
		}
		b.ask(t, "/follow tag=checkout")
		if got := b.ask(t, "/pause 10m"); !strings.HasPrefix(got, "Silent until") {
			t.Errorf("answered: %s", got)
		}
		if n := len(f.Following(here).Follows); n != 2 {
			t.Errorf("%d followed", n)
		}
		stop()
		b, f, stop = sit(t, c, "en")
		b.ask(t, "/follow") // behind the restoring
		after := f.Following(here)
		if len(after.Follows) != 2 || after.Paused.IsZero() || after.Follows[0].By != "@linh" {
			t.Errorf("after a restart: %+v", after)
		}
		if got := b.ask(t, "/unfollow"); !strings.Contains(got, "follows nothing") {
			t.Errorf("answered: %s", got)
		}
		b.ask(t, "/resume")
		stop()
		b, f, stop = sit(t, c, "en")
		defer stop()
		b.ask(t, "/follow")
		if after := f.Following(here); len(after.Follows) != 0 || !after.Paused.IsZero() {
			t.Errorf("after unfollowing: %+v", after)
		}
	})
}

// What concerns other services goes to them; what people say to each other goes nowhere.
func TestWhatConcernsOthersIsPassedOn(t *testing.T) {
	c := configuration(t, testrig.Embedded(t))
	heard := make(chan string, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- control.Listen(ctx, control.Options{Broker: c, Name: "alerts", Log: slog.New(slog.DiscardHandler)}, telegram.Handlers{
			Command: func(_ context.Context, c telegram.Command) error {
				if c.File != nil {
					heard <- fmt.Sprintf("%s %d %s", c.File.Name, c.File.Size, c.File.ID)
					return nil
				}
				heard <- fmt.Sprintf("/%s %s ^%d", c.Name, c.Args, c.ReplyTo)
				return nil
			},
			Press: func(_ context.Context, p telegram.Press) (string, error) {
				heard <- p.Data
				return "", nil
			},
		})
	}()
	b, _, stop := sit(t, c, "en")
	defer stop()
	testrig.Eventually(t, 30*time.Second, func() error { // until the listener has its place
		b.write("/alerts", 0)
		select {
		case <-heard:
			return nil
		case <-time.After(time.Second):
			return errors.New("not heard")
		}
	})
	for len(heard) > 0 {
		<-heard
	}
	b.write("let's have lunch", 0)
	b.write("it is the new importer", 99)
	b.updates <- func(ctx context.Context, h telegram.Handlers) error {
		_, err := h.Press(ctx, telegram.Press{Update: 1000, Data: "ack k3f9a1"})
		return err
	}
	b.updates <- func(ctx context.Context, h telegram.Handlers) error { // a file alone isn't people talking
		return h.Command(ctx, telegram.Command{Update: 1001, File: &telegram.File{ID: "BQAC", Name: "orders.json", Size: 17}})
	}
	for _, want := range []string{"/ it is the new importer ^99", "ack k3f9a1", "orders.json 17 BQAC"} {
		for got := range heard {
			if got == "/alerts  ^0" {
				continue // one that was asked again meanwhile
			}
			if got != want {
				t.Errorf("heard %q, want %q", got, want)
			}
			break
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Listen returned %v", err)
	}
}

func TestAnswersReadAsTheGoldenFilesSay(t *testing.T) {
	for _, language := range []string{"en", "vi"} {
		t.Run(language, func(t *testing.T) {
			c := configuration(t, testrig.Embedded(t))
			b, f, stop := sit(t, c, language)
			defer stop()
			running, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() { _ = f.Run(running) }()
			f.Pause(telegram.Chat{}, time.Now().Add(time.Hour)) // of the feed's own chat: it isn't asked here
			at := time.Date(2026, 11, 22, 14, 3, 7, 0, time.UTC)
			stream := event.StreamOf("shop-kafka", "payments.captured")
			captured := []event.Raw{{
				Type: event.RawType, Kind: event.Kafka, Stream: stream, Time: at, CapturedAt: time.Now(), Key: []byte("1042"), Value: []byte(`{"amount": 149.98}`),
				ID: event.RecordID("shop-kafka", "payments.captured", 0, "20261122T000000Z.1"), RecordKey: event.SourceRecordKey(stream, []byte("1042")),
			}}
			commit(t, c, captured)
			f.Offer(captured)
			var out strings.Builder
			for _, text := range []string{
				"/help", "/status", "/tables", "/last payments.captured", "/last captured 1", "/last payments.captred", "/last", "/last x y",
				"/record", "/record stop", "/record start", "/compare a", "/compare a b",
				"/follow", "/follow orders after.total >", "/follow orders nope.x == 1", "/unfollow orders", "/pause", "/pause soon", "/resume", "/folow orders", "/xyzzy",
			} {
				fmt.Fprintf(&out, "―― %s\n%s\n", text, b.ask(t, text))
			}
			testrig.Golden(t, filepath.Join("testdata", "answers."+language+".golden"), out.String(), *update)
		})
	}
}
