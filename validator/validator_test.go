package validator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/hide"
	"datawatch/pkg/testrig"
	"datawatch/validator"
)

func TestMain(m *testing.M) { testrig.Main(m) }

// buffer is a log that tests may read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestWrongRowBecomesAViolationAnAlertAndAMetric runs the service as it is run, from clean to the alert in the log, and
// through a schema file that breaks and is mended.
func TestWrongRowBecomesAViolationAnAlertAndAMetric(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		dir := t.TempDir()
		file := filepath.Join(dir, "shop-db", "public.orders.json")
		const good = `{"x-severity": "critical", "x-rules": [{"id": "total-adds-up", "rule": "self.total == sum(self.items)", "message": "Order total is not the sum of its items"}]}`
		writeFile(t, file, good)
		cfg := validator.DefaultConfig()
		cfg.Broker.Addresses, cfg.Broker.TopicPrefix, cfg.Broker.Partitions = []string{addr}, testrig.Prefix(t), 2
		cfg.Validator = validator.Section{Listen: testrig.FreeAddress(t), Schemas: dir}
		var log buffer
		env := daemon.NewEnv(slog.New(slog.NewTextHandler(io.MultiWriter(&log, t.Output()), nil)))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- validator.Run(ctx, cfg, env) }()
		defer func() {
			cancel()
			select {
			case err := <-ended:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("run: %v", err)
				}
			case <-time.After(daemon.StopTimeout):
				t.Error("it doesn't stop")
			}
		}()
		fetch := func(path string) (int, string, error) {
			response, err := http.Get("http://" + cfg.Validator.Listen + path)
			if err != nil {
				return 0, "", err
			}
			defer func() { _ = response.Body.Close() }()
			body, err := io.ReadAll(response.Body)
			return response.StatusCode, string(body), err
		}
		eventually := func(what string, condition func() (bool, error)) {
			t.Helper()
			testrig.Eventually(t, time.Minute, func() error {
				ok, err := condition()
				if err == nil && !ok {
					err = errors.New(what)
				}
				return err
			})
		}
		ready := func(status, contains string) {
			t.Helper()
			testrig.Eventually(t, time.Minute, func() error {
				code, body, err := fetch("/readyz")
				if err == nil && (code != http.StatusOK || !strings.Contains(body, `"status": "`+status+`"`) || !strings.Contains(body, contains)) {
					err = fmt.Errorf("readyz: %d %s", code, body)
				}
				return err
			})
		}
		ready("ready", `"schemas"`)

		clean := &event.Clean{
			ID: "shop-db/1", Stream: "shop-db/public.orders", Type: event.ChangeType, Time: time.Now().UTC().Format(time.RFC3339Nano),
			Change: &event.Change{
				Op: event.Insert, Key: json.RawMessage(`{"id":1042}`), After: json.RawMessage(`{"id":1042,"total":149.98,"items":[100,49.97]}`),
				Origin: event.Origin{Kind: event.Postgres, Transaction: "81422"},
			},
		}
		p, err := broker.OpenPublisher(ctx, cfg.Broker, "test")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		if err := p.Publish(ctx, []broker.Record{{Topic: broker.TopicsOf(cfg.Broker.TopicPrefix).Clean, Key: clean.RecordKey(), Value: clean.AppendJSON(nil)}}); err != nil {
			t.Fatal(err)
		}
		eventually("no alert in the log", func() (bool, error) {
			text := log.String()
			return strings.Contains(text, "Order total is not the sum of its items") && strings.Contains(text, "149.97"), nil
		})
		eventually("metrics are missing", func() (bool, error) {
			_, body, err := fetch("/metrics")
			for _, line := range []string{
				`datawatch_validator_events_validated_total{result="invalid",stream="shop-db/public.orders"} 1`,
				`datawatch_validator_events_violated_total{severity="critical",stream="shop-db/public.orders"} 1`,
				`datawatch_validator_wrong_rows{rule="total-adds-up",severity="critical",stream="shop-db/public.orders"} 1`,
				`datawatch_validator_open_alerts{rule="total-adds-up",severity="critical",stream="shop-db/public.orders"} 1`,
				`datawatch_validator_commit_to_verdict_seconds_count 1`,
				`datawatch_validator_schema_files{state="loaded"} 1`,
			} {
				if err == nil && !strings.Contains(body, line) {
					return false, fmt.Errorf("no %s", line)
				}
			}
			return true, err
		})

		writeFile(t, file, strings.Replace(good, "x-rules", "x-ruls", 1))
		ready("degraded", `\"x-ruls\" (x-rules?)`)
		eventually("people aren't told of the file", func() (bool, error) {
			return strings.Contains(log.String(), "public.orders.json not loaded"), nil
		})
		writeFile(t, file, good)
		ready("ready", "")
	})
}

// config is a file that names a broker nobody answers at.
func writeConfig(t *testing.T, schemas string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "datawatch.yaml")
	writeFile(t, path, fmt.Sprintf("broker: {addresses: [%q]}\nvalidator: {listen: \"127.0.0.1:0\", schemas: %q}\n", testrig.FreeAddress(t), schemas))
	return path
}

func TestLintPrintsWhatIsWrongAndExitsWithOne(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "shop-db", "public.orders.json"), "{\n  \"requird\": [\"id\"]\n}")
	var out, errs bytes.Buffer
	if code := daemon.Execute(validator.Service(), []string{"lint", dir}, &out, &errs); code != daemon.ExitFailed {
		t.Errorf("exit code %d, %s", code, errs.String())
	}
	if want := filepath.ToSlash(dir) + "/shop-db/public.orders.json:2:3: \"requird\" (did you mean required?)\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	out.Reset()
	writeFile(t, filepath.Join(dir, "shop-db", "public.orders.json"), `{"required": ["id"]}`)
	if code := daemon.Execute(validator.Service(), []string{"lint", dir}, &out, &errs); code != daemon.ExitOK || out.Len() != 0 {
		t.Errorf("exit code %d, %s", code, out.String())
	}
}

func TestCheckTellsOfTheBrokerAndOfSchemaFiles(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "shop-db", "public.orders.json"), `{"tipe": 1}`)
	var out, errs bytes.Buffer
	code := daemon.Execute(validator.Service(), []string{"check", "--config", writeConfig(t, dir)}, &out, &errs)
	if code != daemon.ExitFailed {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"FAIL  broker", `FAIL  schema file: shop-db/public.orders.json:1:2: "tipe" (type?)`, "ok    telegram: no token"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s%s", want, out.String(), errs.String())
		}
	}
}

func TestConfigurationOfTheSectionIsChecked(t *testing.T) {
	c := validator.DefaultConfig()
	err := config.Parse("datawatch.yaml", []byte("broker: {addresses: [\"b:1\"]}\nvalidator:\n  listen: here\n  schemas: \"\"\n  schema: x\n  alerts: {over_valid: -3}\n"), os.LookupEnv, &c)
	for _, want := range []string{"datawatch.yaml:3: validator.listen: not an address", "validator.schemas: missing", `unknown key "schema" (did you mean schemas?)`, "datawatch.yaml:6: validator.alerts.over_valid: too few (flaps"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
}

// TestChangeOfAFileReachesRowsAndFeedWithoutAnEvent runs the service: what x-pii hides, and what stands, follow the folder.
func TestChangeOfAFileReachesRowsAndFeedWithoutAnEvent(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "shop-db", "public.orders.json")
	writeFile(t, file, `{"x-pii": ["/email"], "x-rules": [{"id": "not-negative", "rule": "self.total >= 0", "message": "Negative"}]}`)
	cfg := validator.DefaultConfig()
	cfg.Broker.Addresses, cfg.Broker.TopicPrefix, cfg.Broker.Partitions = []string{testrig.Embedded(t)}, testrig.Prefix(t), 2
	cfg.Validator = validator.Section{Listen: testrig.FreeAddress(t), Schemas: dir}
	env := daemon.NewEnv(slog.New(slog.NewTextHandler(t.Output(), nil)))
	follower := hide.NewFollower(cfg.Broker, "test", env.Log)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = validator.Run(ctx, cfg, env) })
	running.Go(func() { _ = follower.Run(ctx) })
	defer running.Wait()
	defer cancel()
	testrig.Eventually(t, time.Minute, func() error {
		if s := env.Health.Overall(); s != daemon.Ready {
			return errors.New(string(s))
		}
		return nil
	})
	clean := &event.Clean{ID: "shop-db/1", Stream: "shop-db/public.orders", Type: event.ChangeType, Time: time.Now().UTC().Format(time.RFC3339Nano),
		Change: &event.Change{Op: event.Insert, Key: json.RawMessage(`{"id":1}`), After: json.RawMessage(`{"id":1,"total":-5}`), Origin: event.Origin{Kind: event.Postgres}}}
	p, err := broker.OpenPublisher(ctx, cfg.Broker, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if err := p.Publish(ctx, []broker.Record{{Topic: broker.TopicsOf(cfg.Broker.TopicPrefix).Clean, Key: clean.RecordKey(), Value: clean.AppendJSON(nil)}}); err != nil {
		t.Fatal(err)
	}
	wrongRows := func(metric string) {
		t.Helper()
		testrig.Eventually(t, time.Minute, func() error {
			response, err := http.Get("http://" + cfg.Validator.Listen + "/metrics")
			if err != nil {
				return err
			}
			defer func() { _ = response.Body.Close() }()
			body, err := io.ReadAll(response.Body)
			if got := strings.Contains(string(body), "datawatch_validator_wrong_rows{"); err == nil && got != (metric != "") {
				err = fmt.Errorf("wrong rows: %v", got)
			}
			return err
		})
	}
	hides := func(place string) {
		t.Helper()
		testrig.Eventually(t, time.Minute, func() error {
			got := follower.For("shop-db/public.orders").Change(&event.Change{After: json.RawMessage(`{"email":"e","phone":"p"}`)}).After
			if want := strings.Replace(`{"email":"e","phone":"p"}`, `"`+place[:1]+`"`, `"•••"`, 1); string(got) != want {
				return fmt.Errorf("shown: %s", got)
			}
			return nil
		})
	}
	hides("email")
	wrongRows("one")
	writeFile(t, file, `{"x-pii": ["/phone"], "x-rules": [{"id": "not-negative", "rule": "self.total >= -10", "message": "Negative"}]}`)
	hides("phone")
	wrongRows("")
}
