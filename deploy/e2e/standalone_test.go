package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/deploy/program"
	"datawatch/deploy/telegramsim"
	"datawatch/pkg/testrig"
)

// TestStandaloneGoesOnAfterARestart runs the one-machine program with the configuration of the three: what was committed
// while it was stopped is shown after its restart; SIGHUP has its configuration read again.
func TestStandaloneGoesOnAfterARestart(t *testing.T) {
	w := newWorld(t, testrig.FreeAddress(t), telegramsim.Limits{})
	path, err := program.Build(t.Context(), "deploy", "standalone", filepath.Join(w.folder, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.OpenFile(w.config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(config, "standalone: {data_dir: %s}\n", filepath.Join(w.folder, "data"))
	if err != nil || config.Close() != nil {
		t.Fatal(err)
	}
	connection, err := pgx.Connect(t.Context(), w.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close(context.WithoutCancel(t.Context())) })
	execute := func(sql string) {
		t.Helper()
		if _, err := connection.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	execute(`CREATE TABLE wallets (id bigint PRIMARY KEY, balance numeric(14,2))`)

	log := filepath.Join(w.folder, "standalone.log")
	run := func(work func(p *program.Process)) {
		t.Helper()
		p, err := program.Start(path, w.config, log)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
			defer cancel()
			if err := p.Stop(ctx); err != nil {
				t.Error(err)
			}
			if t.Failed() {
				t.Log(p.Tail())
			}
		}()
		for _, name := range program.Services {
			if err := p.AwaitReady(t.Context(), w.Listen[name]); err != nil {
				t.Fatal(err)
			}
		}
		work(p)
	}
	run(func(*program.Process) {
		execute(`INSERT INTO wallets VALUES (1, 100), (2, -12.50)`)
		w.message(feedChat, "wallets 1")
		w.message(alertsChat, "A wallet is below zero")
	})
	execute(`UPDATE wallets SET balance = 77.07 WHERE id = 1`)
	run(func(p *program.Process) {
		w.message(feedChat, "77.07")
		w.configure(`tables: ["public.*"]`, `tables: ["public.wallets"]`)
		if err := p.Reload(); err != nil {
			t.Fatal(err)
		}
		testrig.Eventually(t, time.Minute, func() error {
			text, err := os.ReadFile(log)
			if err == nil && !strings.Contains(string(text), "configuration loaded") {
				err = errors.New("no configuration was loaded")
			}
			return err
		})
		execute(`UPDATE wallets SET balance = 78.08 WHERE id = 1`)
		w.message(feedChat, "78.08")
	})
	if n := len(w.sim.Messages(alertsChat)); n != 1 {
		t.Errorf("%d messages in the alerts' chat, want the one: %s", n, texts(w.sim.Messages(alertsChat)))
	}
	printed, err := os.ReadFile(log)
	if err != nil || strings.Contains(string(printed), w.Token) {
		t.Errorf("the token is in the log (%v)", err)
	}
}

// TestStandaloneRefusesABrokerOfYours says what to do with a configuration that names a Kafka.
func TestStandaloneRefusesABrokerOfYours(t *testing.T) {
	w := newWorld(t, "kafka.example:9092", telegramsim.Limits{})
	path, err := program.Build(t.Context(), "deploy", "standalone", filepath.Join(w.folder, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := program.Start(path, w.config, filepath.Join(w.folder, "log"))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Ended():
	case <-time.After(2 * time.Minute):
		t.Fatal("it still runs")
	}
	if text := p.Failure().Error(); !strings.Contains(text, "exit status 2") || !strings.Contains(text, "standalone brings its own broker") {
		t.Errorf("it said: %s", text)
	}
}
