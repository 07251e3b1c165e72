package preprocessor_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig"

	"datawatch/preprocessor"
)

// execute runs a command line with a configuration.
func execute(t *testing.T, yaml string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "datawatch.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code = daemon.Execute(preprocessor.Service(), append([]string{"--config", file}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

func TestWrongTransformsAreConfigurationErrors(t *testing.T) {
	for name, test := range map[string]struct{ rule, says string }{
		"unknown":        {"{stream: a/b, rop: true}", `unknown key`},
		"nothing":        {"{stream: a/b}", "0 things to do"},
		"two":            {"{stream: a/b, drop: true, rename: a/c}", "2 things to do"},
		"no stream":      {"{drop: true}", `preprocessor.transforms[0].stream: "" is not a stream`},
		"bad glob":       {`{stream: "a/[b", drop: true}`, `"a/[b" is not a stream`},
		"bad name":       {"{stream: a/b, rename: c}", `"c" is not a stream`},
		"bad CEL":        {"{stream: a/b, filter: self.total >}", "preprocessor.transforms[0].filter: 1:"},
		"not a question": {"{stream: a/b, filter: self.total + 1}", "preprocessor.transforms[0].filter: 1:"},
		"a name twice":   {"{stream: a/b, key: [id, id]}", "stands twice"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := execute(t, "broker: {addresses: [\"127.0.0.1:1\"]}\npreprocessor:\n  transforms:\n    - "+test.rule+"\n", "check")
			if code != daemon.ExitConfig || !strings.Contains(stderr, test.says) {
				t.Errorf("exit %d: %s", code, stderr)
			}
		})
	}
}

func TestWrongFormatsAreConfigurationErrors(t *testing.T) {
	for name, test := range map[string]struct{ entry, says string }{
		"unknown":     {"{stream: a/b, valeu: json}", "unknown key"},
		"nothing":     {"{stream: a/b}", "formats[0]: nothing is said"},
		"no stream":   {"{value: json}", `formats[0].stream: "" is not a stream`},
		"no format":   {"{stream: a/b, value: xml}", `datawatch.yaml:3: formats[0].value: "xml" is not allowed`},
		"no key":      {"{stream: a/b, key: xml}", `formats[0].key: "xml" is not allowed`},
		"no envelope": {"{stream: a/b, envelope: flume}", `formats[0].envelope: "flume" is not allowed`},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := execute(t, "broker: {addresses: [\"127.0.0.1:1\"]}\nformats:\n  - "+test.entry+"\n", "check")
			if code != daemon.ExitConfig || !strings.Contains(stderr, test.says) {
				t.Errorf("exit %d: %s", code, stderr)
			}
		})
	}
}

func TestWrongListenIsAConfigurationError(t *testing.T) {
	code, _, stderr := execute(t, `
broker: {addresses: ["127.0.0.1:1"]}
preprocessor: {listen: nowhere, transforms: []}
`)
	if code != daemon.ExitConfig || !strings.Contains(stderr, "datawatch.yaml:3: preprocessor.listen") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestCheckTellsWhatIsThere(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := settings(t, addr)
		yaml := func(prefix, partitions string) string {
			return "broker: {addresses: [" + addr + "], topic_prefix: " + prefix + ", partitions: " + partitions + "}\n"
		}
		for name, test := range map[string]struct {
			yaml string
			code int
			says []string
		}{
			"all there":      {yaml(c.Broker.TopicPrefix, "3"), daemon.ExitOK, []string{"ok    broker " + addr, "ok    topic " + topics.Raw + ": 3 partitions", "ok    group " + c.Broker.TopicPrefix + "-preprocessor"}},
			"not yet there":  {yaml(testrig.Prefix(t), "3"), daemon.ExitOK, []string{"missing; it will be created with 3 partitions"}},
			"other number":   {yaml(c.Broker.TopicPrefix, "6"), daemon.ExitFailed, []string{"FAIL  topic " + topics.Clean + ": 3 partitions, the configuration says 6 (set broker.partitions to 3"}},
			"nobody answers": {"broker: {addresses: [\"127.0.0.1:1\"]}\n", daemon.ExitFailed, []string{"FAIL  broker 127.0.0.1:1"}},
		} {
			t.Run(name, func(t *testing.T) {
				code, stdout, stderr := execute(t, test.yaml, "check")
				if code != test.code {
					t.Errorf("exit %d: %s%s", code, stdout, stderr)
				}
				for _, want := range test.says {
					if !strings.Contains(stdout, want) {
						t.Errorf("no %q in\n%s", want, stdout)
					}
				}
			})
		}
	})
}

func TestOtherNumberOfPartitionsEndsTheService(t *testing.T) {
	c, _ := settings(t, testrig.Embedded(t))
	c.Broker.Partitions++
	err := preprocessor.Run(t.Context(), c, daemon.NewEnv(slog.New(slog.DiscardHandler)))
	if !errors.Is(err, broker.ErrPartitions) {
		t.Errorf("run ended with %v", err)
	}
}

func TestMissingCertificateEndsTheService(t *testing.T) {
	c := preprocessor.DefaultConfig()
	c.Broker.Addresses = []string{"127.0.0.1:1"}
	c.Broker.TLS = config.TLS{Enabled: true, CAFile: filepath.Join(t.TempDir(), "none.pem")}
	if err := preprocessor.Run(t.Context(), c, daemon.NewEnv(slog.New(slog.DiscardHandler))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("run ended with %v", err)
	}
}

func TestBrokerThatIsAwayIsWaitedFor(t *testing.T) {
	c := preprocessor.DefaultConfig()
	c.Broker.Addresses = []string{testrig.FreeAddress(t)}
	c.Preprocessor.Listen = "127.0.0.1:0"
	i := start(t, c)
	testrig.Eventually(t, 10*time.Second, func() error {
		if i.env.Health.Overall() != daemon.NotReady {
			return errors.New("ready without a broker")
		}
		return nil
	})
	select {
	case err := <-i.ended:
		t.Errorf("run ended with %v", err)
		i.ended = nil
	case <-time.After(500 * time.Millisecond):
	}
	i.stop(t)
}

func TestStopLeavesNoGoroutine(t *testing.T) {
	c, topics := settings(t, testrig.Embedded(t))
	publish(t, publisher(t, c), row(topics, 1, 7, "x"))
	before := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- preprocessor.Run(ctx, c, daemon.NewEnv(slog.New(slog.DiscardHandler))) }()
	await(t, c, topics.Clean, 1)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("run ended with %v", err)
	}
	// The broker serves each connection in a goroutine of this process.
	testrig.NothingRuns(t, before, goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).read"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).read.func1"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).write"))
}
