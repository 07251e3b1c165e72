// Package e2e_test runs the three services as users do, against real servers, and looks at what comes out: topics,
// chats, metrics.
package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"datawatch/deploy/program"
	"datawatch/deploy/telegramsim"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

const (
	feedChat   = 1001
	alertsChat = -1001000000002
	// strangersChat is in no configuration.
	strangersChat = -4711
)

const settings = `
broker:
  addresses: ["{{.Via.Internal}}"]
  topic_prefix: {{.Prefix}}
  partitions: 3
telegram:
  token: "{{.Token}}"
  api_url: {{.TelegramURL}}
  feed: {chat: 1001}
  alerts: {chat: -1001000000002}
collector:
  listen: {{index .Listen "collector"}}
  sources:
{{- if .Via.Sources}}
{{.Via.Sources}}
{{- else}}
    - name: shop-db
      postgres: {dsn: "{{.Via.DSN}}", tables: ["public.*"]}
    - name: shop-kafka
      kafka: {addresses: ["{{.Via.Company}}"], topics: ["*"]}
{{- if .Via.Mongo}}
    - name: shop-mongo
      mongodb: {uri: "{{.Via.Mongo}}", collections: ["shop.*"]}
{{- end}}
{{- end}}
preprocessor:
  listen: {{index .Listen "preprocessor"}}
validator:
  listen: {{index .Listen "validator"}}
  schemas: {{.Schemas}}
log: {level: debug}
`

// places are where the servers are. Mongo is empty where the company has none; Sources, where they aren't the shop's, are
// the lines of the configuration.
type places struct{ DSN, Company, Internal, Mongo, Sources string }

// world is a company, a Telegram and datawatch, of one test's own.
type world struct {
	places
	Via                                 places // as datawatch sees them
	Prefix, Token, TelegramURL, Schemas string
	Listen                              map[string]string

	looking *broker.Scanner // at the internal broker; nil until something was asked

	t         testing.TB
	sim       *telegramsim.Server
	folder    string
	config    string
	configs   map[string]string // of the processes that have one of their own, by name
	programs  map[string]string // path by service
	processes map[string]*program.Process
}

// newWorld makes the company and the Telegram; start starts datawatch.
func newWorld(t testing.TB, internal string, limits telegramsim.Limits) *world {
	t.Helper()
	servers := places{DSN: testrig.Postgres(t).Database(t), Company: testrig.Embedded(t), Internal: internal}
	return newWorldOf(t, servers, servers, limits)
}

// newWorldOf makes a world of servers that are there, which datawatch sees where via says.
func newWorldOf(t testing.TB, servers, via places, limits telegramsim.Limits) *world {
	t.Helper()
	w := &world{
		places: servers, Via: via, Prefix: testrig.Prefix(t),
		Listen: map[string]string{}, t: t, folder: t.TempDir(), configs: map[string]string{}, programs: map[string]string{}, processes: map[string]*program.Process{},
	}
	w.sim = telegramsim.New(telegramsim.Options{Limits: limits, Chats: []telegramsim.Chat{
		{ID: feedChat, Type: telegramsim.Private}, {ID: alertsChat, Type: telegramsim.Supergroup, Title: "alerts"}, {ID: strangersChat, Title: "another team"},
	}})
	w.TelegramURL, w.Token = w.serveTelegram(), w.sim.Token()
	w.Schemas = filepath.Join(w.folder, "schemas")
	if err := os.CopyFS(w.Schemas, os.DirFS(filepath.Join(program.SourceTree(), "deploy", "schemas"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range program.Services {
		w.Listen[name] = testrig.FreeAddress(t)
		var err error
		if w.programs[name], err = program.Build(t.Context(), name, name, filepath.Join(w.folder, "bin")); err != nil {
			t.Fatal(err)
		}
	}
	var text bytes.Buffer
	if err := template.Must(template.New("").Parse(settings)).Execute(&text, w); err != nil {
		t.Fatal(err)
	}
	w.config = filepath.Join(w.folder, "datawatch.yaml")
	if err := os.WriteFile(w.config, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) serveTelegram() (url string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	server := &http.Server{Handler: w.sim, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	w.t.Cleanup(func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			w.t.Error(err)
		}
	})
	return "http://" + listener.Addr().String()
}

// start starts services (all where none are named) and waits until they are ready.
func (w *world) start(names ...string) {
	w.t.Helper()
	if len(names) == 0 {
		names = program.Services
	}
	w.launch(names...)
	for _, name := range names {
		if err := w.processes[name].AwaitReady(w.t.Context(), w.Listen[name]); err != nil {
			w.t.Fatal(err)
		}
	}
}

// launch starts services and doesn't wait.
func (w *world) launch(names ...string) {
	w.t.Helper()
	for _, name := range names {
		p, err := program.Start(w.programs[name], cmp.Or(w.configs[name], w.config), filepath.Join(w.folder, name+".log"))
		if err != nil {
			w.t.Fatal(err)
		}
		w.processes[name] = p
		w.t.Cleanup(func() {
			_ = p.Kill()
			if w.t.Failed() {
				w.t.Logf("%s:\n%s", name, p.Tail())
			}
		})
	}
}

func (w *world) broker() (config.Broker, broker.Topics) {
	c := config.DefaultShared().Broker
	c.Addresses, c.TopicPrefix, c.Partitions = []string{w.Internal}, w.Prefix, 3
	return c, broker.TopicsOf(w.Prefix)
}

// committed is what a reader with read_committed sees in a topic now.
func (w *world) committed(topic string) ([]broker.Record, error) {
	c, _ := w.broker()
	return w.scan(c, topic)
}

func (w *world) scan(c config.Broker, topic string) ([]broker.Record, error) {
	s, err := broker.NewScanner(c, "e2e")
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	partitions, err := s.Partitions(topic)
	if err != nil {
		return nil, err
	}
	var all []broker.Record
	for _, p := range partitions {
		end, err := s.Settled(w.t.Context(), topic, p)
		if err != nil {
			return nil, err
		}
		oldest, err := s.Oldest(topic, p) // what is compacted may begin later
		if err != nil {
			return nil, err
		}
		err = s.Scan(w.t.Context(), topic, p, oldest, end, func(r broker.Record) error { all = append(all, r); return nil })
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// clean is datawatch.clean, parsed, but for canaries.
func (w *world) clean() ([]*event.Clean, error) {
	_, topics := w.broker()
	records, err := w.committed(topics.Clean)
	if err != nil {
		return nil, err
	}
	events := make([]*event.Clean, 0, len(records))
	for _, r := range records {
		if event.IsCanary(r.Key) {
			continue
		}
		e, err := event.ParseClean(r.Value)
		if err != nil {
			return nil, fmt.Errorf("%s/%d@%d: %w", r.Topic, r.Partition, r.Offset, err)
		}
		events = append(events, e)
	}
	return events, nil
}

// message waits for a message of the bot that contains the text.
func (w *world) message(chat int64, text string) telegramsim.Message {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	m, err := w.sim.Await(ctx, chat, func(m telegramsim.Message) bool { return m.FromBot && strings.Contains(m.Text, text) })
	if err != nil {
		w.t.Fatalf("no message with %q in chat %d: %v\nthere are: %v", text, chat, err, texts(w.sim.Messages(chat)))
	}
	return m
}

func texts(messages []telegramsim.Message) string {
	var b strings.Builder
	for _, m := range messages {
		b.WriteString("\n--\n" + m.Text)
	}
	return b.String()
}
