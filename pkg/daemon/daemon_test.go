package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"datawatch/pkg/config"
	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
)

func TestMain(m *testing.M) { testrig.MainLeavingNothing(m) }

type settings struct {
	config.Shared `yaml:",inline"`
	Listen        string `yaml:"listen"`
}

func service(run func(context.Context, settings, Env) error, findings ...Finding) Service[settings] {
	return Service[settings]{
		Name: "tester", Summary: "Tests.",
		Default: func() settings { return settings{Shared: config.DefaultShared()} },
		Shared:  func(c *settings) *config.Shared { return &c.Shared },
		Listen:  func(c *settings) string { return c.Listen },
		Run:     run,
		Check:   func(context.Context, settings) []Finding { return findings },
	}
}

// withGroup has commands below a command, with checks of arguments that cobra brings.
func withGroup(run func(context.Context, settings, Env) error) Service[settings] {
	s := service(run)
	s.Commands = func(func() (settings, error)) []*cobra.Command {
		nothing := func(*cobra.Command, []string) error { return nil }
		letters := &cobra.Command{Use: "letters", Args: cobra.NoArgs, RunE: nothing}
		letters.AddCommand(
			&cobra.Command{Use: "list", Args: cobra.NoArgs, RunE: nothing},
			&cobra.Command{Use: "compare A B", Args: cobra.ExactArgs(2), RunE: nothing},
		)
		return []*cobra.Command{letters}
	}
	return s
}

func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "datawatch.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const enough = "broker: {addresses: [127.0.0.1:9092]}\n"

func TestExitCodes(t *testing.T) {
	good, bad := configFile(t, enough), configFile(t, "brokr: {}\n")
	ok := func(context.Context, settings, Env) error { return nil }
	advised := func(context.Context, settings, Env) error {
		return fmt.Errorf("x: %w", reason.New(reason.MongoStandalone.With()).Advise(reason.DoMongoStandalone.With()))
	}
	for name, c := range map[string]struct {
		service Service[settings]
		args    []string
		code    int
		stderr  string
	}{
		"runs":                    {service(ok), []string{"--config", good}, ExitOK, ""},
		"run is default":          {service(ok), []string{"run", "--config", good}, ExitOK, ""},
		"fails":                   {service(func(context.Context, settings, Env) error { return errors.New("no luck") }), []string{"--config", good}, ExitFailed, "error: no luck"},
		"fails, with a remedy":    {service(advised), []string{"--config", good}, ExitFailed, " (" + reason.DoMongoStandalone.With().String() + ")\n"},
		"too far back":            {service(func(context.Context, settings, Env) error { return fmt.Errorf("x: %w", ErrTooFarBack) }), []string{"--config", good}, ExitTooFar, "held"},
		"wrong config":            {service(ok), []string{"--config", bad}, ExitConfig, `unknown key "brokr" (did you mean broker?)`},
		"missing config":          {service(ok), []string{"--config", good + ".none"}, ExitConfig, "no such file"},
		"unknown flag":            {service(ok), []string{"--confg", good}, ExitConfig, "unknown flag"},
		"unknown command":         {service(ok), []string{"rum"}, ExitConfig, `unknown command "rum" (did you mean run?)`},
		"word below a command":    {withGroup(ok), []string{"letters", "lst"}, ExitConfig, `tester letters: unknown command "lst" (did you mean list?)`},
		"word behind a command":   {withGroup(ok), []string{"letters", "list", "x"}, ExitConfig, `tester letters list: "x" is one too many: it takes flags only`},
		"too few words behind it": {withGroup(ok), []string{"letters", "compare", "x"}, ExitConfig, "tester letters compare: accepts 2 arg(s), received 1"},
		"command below a command": {withGroup(ok), []string{"letters", "list"}, ExitOK, ""},
		"check is fine":           {service(ok, Finding{What: "broker"}), []string{"check", "--config", good}, ExitOK, ""},
		"check finds":             {service(ok, Finding{What: "broker", Err: errors.New("refused")}), []string{"check", "--config", good}, ExitFailed, ""},
		"version":                 {service(ok), []string{"version"}, ExitOK, ""},
		"help":                    {service(ok), []string{"--help"}, ExitOK, ""},
		"help of a command":       {service(ok), []string{"check", "--help"}, ExitOK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			code := Execute(c.service, c.args, &stdout, &stderr)
			if code != c.code || !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("exit code %d, want %d; stderr: %s", code, c.code, stderr.String())
			}
		})
	}
}

func TestCheckPrintsALineAFinding(t *testing.T) {
	s := service(nil, Finding{What: "broker a:1", Detail: "3 topics"}, Finding{What: "source shop-db", Err: errors.New("no TRIGGER right"), Remedy: "GRANT TRIGGER …"})
	path := configFile(t, enough)
	var stdout strings.Builder
	Execute(s, []string{"check", "--config", path}, &stdout, io.Discard)
	want := "ok    configuration " + path + "\nok    broker a:1: 3 topics\nFAIL  source shop-db: no TRIGGER right (GRANT TRIGGER …)\n"
	if stdout.String() != want {
		t.Errorf("got\n%s\nwant\n%s", stdout.String(), want)
	}
}

func TestReadinessNamesEachDependency(t *testing.T) {
	h := NewHealth()
	ask := func() (int, map[string]part) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		var answer struct{ Dependencies map[string]part }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		return w.Code, answer.Dependencies
	}
	if code, _ := ask(); code != http.StatusServiceUnavailable {
		t.Errorf("knows nothing yet, and answers %d", code)
	}
	h.Set("broker", Ready, reason.Text{})
	h.Set("schemas", Degraded, reason.Quote("orders.json: line 14"))
	if code, parts := ask(); code != http.StatusOK || parts["schemas"].Reason != "orders.json: line 14" || h.Overall() != Degraded {
		t.Errorf("degraded: %d %v", code, parts)
	}
	h.Set("source shop-db", NotReady, reason.Quote("connection refused"))
	since := func() time.Time { _, parts := ask(); return parts["source shop-db"].Since }
	first := since()
	h.Set("source shop-db", NotReady, reason.Quote("still refused"))
	if code, _ := ask(); code != http.StatusServiceUnavailable || !since().Equal(first) {
		t.Errorf("not ready: %d, since %s and %s", code, first, since())
	}
	h.Forget("source shop-db")
	if code, _ := ask(); code != http.StatusOK {
		t.Errorf("forgotten, and still %d", code)
	}
}

func TestHTTPServesUntilTheContextEnds(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	env := NewEnv(slog.New(slog.DiscardHandler))
	if err := ServeHTTP(t.Context(), address, env); err == nil || !strings.Contains(err.Error(), "listen") {
		t.Errorf("a taken port: %v", err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	env.Health.Set("broker", Ready, reason.Text{})
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() { stopped <- ServeHTTP(ctx, address, env) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": `"broker"`, "/metrics": "go_goroutines"} {
		body := get(t, client, "http://"+address+path)
		if !strings.Contains(body, want) {
			t.Errorf("%s answers %s", path, body)
		}
	}
	cancel()
	if err := <-stopped; !errors.Is(err, context.Canceled) {
		t.Errorf("stopped with %v", err)
	}
}

// get asks again while the server isn't listening yet.
func get(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		answer, err := client.Get(url)
		if err != nil {
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
			continue
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
}

func TestStackClosesEverythingTheLastFirst(t *testing.T) {
	var s Stack
	var order []string
	for _, name := range []string{"broker", "source", "http"} {
		s.Push(name, func(context.Context) error {
			order = append(order, name)
			if name == "source" {
				return errors.New("stuck")
			}
			return nil
		})
	}
	err := s.Close()
	if !slices.Equal(order, []string{"http", "source", "broker"}) || err == nil || err.Error() != "stop source: stuck" {
		t.Errorf("closed %v with %v", order, err)
	}
}

func TestLogLinesNameTheService(t *testing.T) {
	for format, want := range map[string]string{"text": "service=tester", "json": `"service":"tester"`} {
		var b strings.Builder
		log := NewLogger(&b, config.Log{Level: "warn", Format: format}, "tester")
		log.Info("hidden")
		log.Warn("shown")
		if !strings.Contains(b.String(), want) || strings.Contains(b.String(), "hidden") || !strings.Contains(b.String(), "shown") {
			t.Errorf("%s: %s", format, b.String())
		}
	}
}

// said is a log that tells when it has a line with certain words.
type said struct {
	words string
	once  sync.Once
	heard chan struct{}
}

func (s *said) Write(b []byte) (int, error) {
	if strings.Contains(string(b), s.words) {
		s.once.Do(func() { close(s.heard) })
	}
	return len(b), nil
}

// TestAServiceThatReadsItsConfigurationOnceSurvivesSIGHUP, and says so.
func TestAServiceThatReadsItsConfigurationOnceSurvivesSIGHUP(t *testing.T) {
	log := &said{words: "SIGHUP", heard: make(chan struct{})}
	s := service(func(context.Context, settings, Env) error {
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return err
		}
		if err := self.Signal(syscall.SIGHUP); err != nil {
			return err
		}
		select {
		case <-log.heard:
			return nil
		case <-time.After(time.Minute):
			return errors.New("the log says nothing of a SIGHUP")
		}
	})
	if code := Execute(s, []string{"--config", configFile(t, enough)}, io.Discard, log); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestHealthyAsksTheRunningService(t *testing.T) {
	health := NewHealth()
	server := httptest.NewServer(health)
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	path := configFile(t, enough+"listen: "+server.Listener.Addr().String()+"\n")
	s := service(nil)
	var stdout strings.Builder
	if code := Execute(s, []string{"healthy", "--config", path}, &stdout, io.Discard); code != ExitFailed {
		t.Errorf("a service that isn't ready: exit code %d", code)
	}
	health.Set("broker", Ready, reason.Text{})
	if code := Execute(s, []string{"healthy", "--config", path}, &stdout, io.Discard); code != ExitOK || !strings.Contains(stdout.String(), `"broker"`) {
		t.Errorf("a ready service: exit code %d, %s", code, stdout.String())
	}
}
