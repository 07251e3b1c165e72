package ask_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
	"datawatch/validator/internal/ask"
	"datawatch/validator/internal/schemas"
)

func TestMain(m *testing.M) { testrig.Main(m) }

var update = flag.Bool("update", false, "write the golden files")

// bot is a Telegram that holds files and what is answered.
type bot struct {
	files   map[string]string
	answers chan string
}

func (b *bot) Send(_ context.Context, _ telegram.Chat, m telegram.Message, _ telegram.Priority) (telegram.Ref, error) {
	b.answers <- m.HTML()
	return telegram.Ref{ID: 1}, nil
}

func (b *bot) SendDocument(_ context.Context, _ telegram.Chat, d telegram.Document, _ telegram.Priority) (telegram.Ref, error) {
	b.answers <- d.Caption.HTML() + "\n[" + d.Name + "]\n" + string(d.Content)
	return telegram.Ref{ID: 1}, nil
}

func (b *bot) Download(_ context.Context, f telegram.File, most int64) ([]byte, error) {
	text, ok := b.files[f.ID]
	switch {
	case !ok:
		return nil, errors.New("telegram is away")
	case int64(len(text)) > most:
		return nil, telegram.ErrTooLarge
	}
	return []byte(text), nil
}

const (
	alertsChat = -100
	otherChat  = -200
)

// sit has a desk answer about 100 orders, of which every tenth has a status that the file in force doesn't have.
func sit(t *testing.T, language string) (b *bot, ask1 func(telegram.Command) string) {
	t.Helper()
	c := config.DefaultShared().Broker
	c.Addresses, c.TopicPrefix, c.Partitions = strings.Split(testrig.Embedded(t), ","), testrig.Prefix(t), 2
	if err := broker.EnsureTopics(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	p, err := broker.OpenPublisher(t.Context(), c, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	topics := broker.TopicsOf(c.TopicPrefix)
	var records []broker.Record
	for i := range 100 {
		status := "paid"
		if i%10 == 0 {
			status = "lost"
		}
		e := &event.Clean{ID: fmt.Sprint(i), Stream: "shop-db/public.orders", Type: event.ChangeType, Time: "2026-11-22T08:00:00Z", Change: &event.Change{
			Op: event.Insert, Key: json.RawMessage(fmt.Sprintf(`{"id":%d}`, i)), Origin: event.Origin{Kind: event.Postgres},
			After: json.RawMessage(fmt.Sprintf(`{"id":%d,"status":%q,"customer":"Nguyen Van %d","total":%d}`, i, status, i, i%7)),
		}}
		records = append(records, broker.Record{Topic: topics.Clean, Key: e.RecordKey(), Value: e.AppendJSON(nil)})
	}
	for _, stream := range []string{"shop-db/public.orders", "shop-db/public.carts", "shop-db/archive.carts"} {
		records = append(records, broker.Record{Topic: topics.State, Key: []byte("tally/0/" + stream), Value: []byte(`{"version":1,"valid":1,"invalid":0,"unvalidated":0}`)})
	}
	if err := p.Publish(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"shop-db/public.orders.json": `{"properties": {"status": {"enum": ["new", "paid"]}}}`, "_common/money.json": `{"type": "number", "minimum": 0}`,
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set, err := schemas.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	b = &bot{files: map[string]string{}, answers: make(chan string, 100)}
	desk := ask.New(ask.Options{
		Broker: c, Bot: b, Dir: dir, Schemas: func() *schemas.Set { return set }, Chats: []int64{alertsChat}, Language: language, Zone: time.UTC, Log: slog.New(slog.DiscardHandler),
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- desk.Run(ctx) }()
	before := tree(t, dir)
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
		if after := tree(t, dir); after != before {
			t.Errorf("something was stored: %s", after)
		}
	})
	h := desk.Handlers(telegram.Handlers{Command: func(_ context.Context, _ telegram.Command) error {
		b.answers <- "another's"
		return nil
	}})
	return b, func(c telegram.Command) string {
		t.Helper()
		if c.Message.Chat.ID == 0 {
			c.Message.Chat.ID = alertsChat
		}
		if err := h.Command(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		select {
		case answer := <-b.answers:
			return answer
		case <-time.After(2 * time.Minute):
			t.Fatal("no answer")
			return ""
		}
	}
}

func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			text, _ := os.ReadFile(path)
			fmt.Fprintf(&b, "%s %s\n", path, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var timeOfDay = regexp.MustCompile(`([0-9]+[ /][A-Za-z0-9]+ )?[0-9]{2}:[0-9]{2}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]+Z`)

// TestQuestionsAreAnsweredAsTheGoldenFilesSay: files that are wrong, worse, better or nobody's, and what infer finds.
func TestQuestionsAreAnsweredAsTheGoldenFilesSay(t *testing.T) {
	for _, language := range []string{"en", "vi"} {
		t.Run(language, func(t *testing.T) {
			b, ask := sit(t, language)
			b.files = map[string]string{
				"wrong":  `{"requird": ["id"], "properties": {"total": {"$ref": "../_common/mony.json"}}}`,
				"new":    `{"x-pii": ["/customer"], "required": ["ids"], "properties": {"id": {}, "status": {"enum": ["paid", "lost"]}, "total": {"$ref": "../_common/money.json", "maximum": 4}}, "x-rules": [{"id": "small", "rule": "self.total < 6", "message": "The total is large"}]}`,
				"same":   `{"properties": {"status": {"enum": ["new", "paid"]}}}`,
				"broken": `{`, "large": strings.Repeat(" ", 2<<20),
			}
			file := func(id, name, caption string) telegram.Command {
				c := telegram.Command{Args: caption, File: &telegram.File{ID: id, Name: name}}
				if rest, ok := strings.CutPrefix(caption, "/schema"); ok {
					c.Name, c.Args = "schema", strings.TrimSpace(rest)
				}
				return c
			}
			var out strings.Builder
			for _, c := range []struct {
				title   string
				command telegram.Command
			}{
				{"a wrong file", file("wrong", "public.orders.json", "")},
				{"one that isn't JSON", file("broken", "orders.json", "")},
				{"one that would change something", file("new", "my draft.json", "shop-db/public.orders")},
				{"one that would change nothing", file("same", "orders.json", "/schema orders")},
				{"one for a stream without a past", file("same", "x.json", "shop-db/public.coupons")},
				{"one that is too large", file("large", "orders.json", "")},
				{"one whose stream isn't known", file("same", "ordes.json", "")},
				{"one that may be for two", file("same", "carts.json", "")},
				{"one that Telegram doesn't give", file("gone", "orders.json", "")},
				{"/schema shop-db/public.orders", telegram.Command{Name: "schema", Args: "shop-db/public.orders"}},
				{"/schema carts", telegram.Command{Name: "schema", Args: "carts"}},
				{"/schema ordes", telegram.Command{Name: "schema", Args: "ordes"}},
				{"/schema shop-db/archive.carts", telegram.Command{Name: "schema", Args: "shop-db/archive.carts"}},
				{"/schema", telegram.Command{Name: "schema"}},
			} {
				fmt.Fprintf(&out, "―― %s\n%s\n", c.title, timeOfDay.ReplaceAllString(ask(c.command), "<time>"))
			}
			if strings.Contains(out.String(), "Nguyen") {
				t.Error("what x-pii names is shown")
			}
			path := filepath.Join("testdata", "answers."+language+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if out.String() != string(want) {
				t.Errorf("answers differ from %s:\n%s", path, out.String())
			}
		})
	}
}

// TestWhatIsNoQuestionIsOthers: other commands, notes, files that are no schemas, files where nobody hears of alerts.
func TestWhatIsNoQuestionIsOthers(t *testing.T) {
	b, ask := sit(t, "en")
	b.files["same"] = `{}`
	schema := &telegram.File{ID: "same", Name: "orders.json"}
	elsewhere := telegram.Ref{Chat: telegram.Chat{ID: otherChat}}
	for name, c := range map[string]telegram.Command{
		"a command": {Name: "ack", Args: "k3f9a1"}, "a note": {Args: "known", ReplyTo: 7}, "a picture": {File: &telegram.File{ID: "same", Name: "a.png"}},
		"a file in another chat": {File: schema, Message: elsewhere}, "a file with another command": {Name: "ack", File: schema},
	} {
		if answer := ask(c); answer != "another's" {
			t.Errorf("%s: %s", name, answer)
		}
	}
	if answer := ask(telegram.Command{Name: "schema", Args: "orders", File: schema, Message: elsewhere}); !strings.Contains(answer, "newly fail") {
		t.Errorf("/schema with a file in another chat: %s", answer)
	}
}
