package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"datawatch/collector/internal/postgres"
	"datawatch/pkg/config"
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

// TestAReloadHidesWhatMaskHasNewly, of a source that comes with its entry, and of one that was there; and leaves the others alone.
func TestAReloadHidesWhatMaskHasNewly(t *testing.T) {
	addr, prefix := testrig.Embedded(t), testrig.Prefix(t)
	c := configuration(t, addr, addr, prefix)
	aside := *c.Collector.Sources[0].Kafka
	aside.Topics = []string{prefix + ".none"}
	c.Collector.Sources = append(c.Collector.Sources, Source{Name: "aside", Kafka: &aside})
	c.Collector.Sources[0].Kafka.Topics = []string{prefix + ".cards"}
	createTopic(t, addr, prefix+".cards", 1)
	dsn := testrig.Postgres(t).Database(t)
	db, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.Background()) }()
	exec := func(sql string) {
		t.Helper()
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("create table users (id int primary key, pin text, note text)")
	var log strings.Builder
	env := daemon.NewEnv(slog.New(slog.NewTextHandler(&log, nil)))
	reloads := make(chan daemon.Reload[Config])
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- RunReloading(ctx, c, reloads, env) }()
	defer func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the run ended with %v", err)
		}
		if n := strings.Count(log.String(), "source=aside state=streaming"); n != 1 {
			t.Errorf("the source that mask doesn't concern began to stream %d times:\n%s", n, log.String())
		}
	}()
	awaitPart(t, env, "source aside", daemon.Ready, "")
	awaitPart(t, env, "source shop-kafka", daemon.Ready, "")

	next := c
	var p postgres.Config
	p.SetDefaults()
	p.DSN = config.Secret(dsn)
	next.Collector.Sources = append(slices.Clone(c.Collector.Sources), Source{Name: "shop-db", Postgres: &p})
	next.Mask = []config.Mask{
		{Stream: "shop-db/public.users", Fields: []string{"pin"}, How: "drop"}, {Stream: "shop-kafka/*", Fields: []string{"pin"}, How: "hash"},
	}
	reloads <- daemon.Reload[Config]{Config: next}
	awaitPart(t, env, configurationPart, daemon.Ready, "")
	awaitPart(t, env, "source shop-db", daemon.Ready, "")
	exec("insert into users values (1, 'hush')")
	produce(t, addr, &sarama.ProducerMessage{Topic: prefix + ".cards", Value: sarama.StringEncoder(`{"pin":"hush"}`)})
	for _, r := range awaitRaw(t, c, 2) {
		if strings.Contains(string(r.Value), "hush") {
			t.Errorf("%s", r.Value)
		}
	}
	var outside int
	if err := db.QueryRow(t.Context(), `select count(*) from datawatch.packs p where p::text ~ 'hush|pin'`).Scan(&outside); err != nil || outside > 0 {
		t.Errorf("%d packs hold what is hidden, %v", outside, err)
	}

	next.Mask = append(slices.Clone(next.Mask), config.Mask{Stream: "shop-*/public.users", Fields: []string{"note"}, How: "drop"})
	reloads <- daemon.Reload[Config]{Config: next}
	testrig.Eventually(t, 20*time.Second, func() error {
		var hidden bool
		if err := db.QueryRow(t.Context(), `select 'note' = any (datawatch.masked('public', 'users'))`).Scan(&hidden); err != nil || !hidden {
			return fmt.Errorf("the database doesn't hide what is new: %w", err)
		}
		return nil
	})

	next.Mask = []config.Mask{{Stream: "shop-db/[", Fields: []string{"pin"}, How: "drop"}}
	reloads <- daemon.Reload[Config]{Config: next}
	awaitPart(t, env, configurationPart, daemon.Degraded, "is not a glob")
	exec("insert into users values (2, 'hush')")
	for _, r := range awaitRaw(t, c, 3) {
		if strings.Contains(string(r.Value), "hush") {
			t.Errorf("behind a mask that is wrong: %s", r.Value)
		}
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
