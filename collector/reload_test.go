package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig"
)

func TestReloadDisturbsOnlyWhatChangedAndAWrongFileChangesNothing(t *testing.T) {
	addr, prefix := testrig.Embedded(t), testrig.Prefix(t)
	c := configuration(t, addr, addr, prefix)
	for _, topic := range []string{".a", ".b", ".c"} {
		createTopic(t, addr, prefix+topic, 1)
	}
	sources := func(topics ...string) Config {
		next := c
		next.Collector.Sources = nil
		for i, topic := range topics {
			k := *c.Collector.Sources[0].Kafka
			k.Topics, k.Start = []string{prefix + topic}, "earliest"
			next.Collector.Sources = append(next.Collector.Sources, Source{Name: fmt.Sprintf("source-%d", i), Kafka: &k})
		}
		return next
	}
	var log strings.Builder
	env := daemon.NewEnv(slog.New(slog.NewTextHandler(&log, nil)))
	reloads := make(chan daemon.Reload[Config])
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- RunReloading(ctx, sources(".a", ".b"), reloads, env) }()
	defer func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
		if n := strings.Count(log.String(), "source=source-0 state=streaming"); n != 1 {
			t.Errorf("the source that didn't change began to stream %d times:\n%s", n, log.String())
		}
	}()
	sent := 0
	send := func(topic string, captured bool) {
		t.Helper()
		produce(t, addr, &sarama.ProducerMessage{Topic: prefix + topic, Value: sarama.StringEncoder(topic)})
		if captured {
			sent++
		}
		awaitRaw(t, c, sent)
	}
	send(".a", true)
	send(".b", true)

	reloads <- daemon.Reload[Config]{Err: errors.New("line 3: nonsense")}
	awaitPart(t, env, configurationPart, daemon.Degraded, "line 3: nonsense")
	send(".b", true)

	reloads <- daemon.Reload[Config]{Config: sources(".a", ".c")} // source-1 reads another topic
	awaitPart(t, env, configurationPart, daemon.Ready, "")
	send(".c", true)
	send(".b", false)
	send(".a", true)

	reloads <- daemon.Reload[Config]{Config: sources(".a")}
	testrig.Eventually(t, 20*time.Second, func() error {
		for _, p := range env.Health.Parts() {
			if p.Name == "source source-1" {
				return errors.New("/readyz still names the source that is gone")
			}
		}
		return nil
	})
	send(".c", false)
	send(".a", true)
	if problems, err := testutil.GatherAndLint(env.Metrics); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v %v", problems, err)
	}
}

func awaitPart(t *testing.T, env daemon.Env, name string, status daemon.Status, reason string) {
	t.Helper()
	testrig.Eventually(t, 20*time.Second, func() error {
		for _, p := range env.Health.Parts() {
			if p.Name == name && p.Status == status && strings.Contains(p.Reason, reason) {
				return nil
			}
		}
		return fmt.Errorf("no %s that is %s: %s", name, status, reason)
	})
}
