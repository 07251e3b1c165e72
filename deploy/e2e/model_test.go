package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/deploy/telegramsim"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/kafka"
	"datawatch/pkg/testrig/model"
)

// modelled is a database that is written to at random, and captured one way.
type modelled struct {
	source  string
	capture string
	dsn     string
	db      *pgx.Conn
}

func newModelled(t *testing.T, capture string) *modelled {
	t.Helper()
	m := &modelled{capture: capture, dsn: testrig.Postgres(t).Database(t)}
	m.db = m.session(t)
	m.source = strings.ReplaceAll(m.db.Config().Database, "_", "-") // slots are the cluster's
	for _, sql := range model.DDL {
		m.exec(t, sql)
	}
	if capture == "wal" {
		m.exec(t, model.Identities)
	} else {
		m.exec(t, model.Swaps)
		m.exec(t, `insert into swaps select g, 's' from generate_series(0, 60) g`)
	}
	m.exec(t, `insert into a select g, 'old' from generate_series(0, 1999) g; insert into b select g, 'old' from generate_series(0, 499) g;
		insert into p select g, 'old' from generate_series(0, 1999) g; insert into kids select g, 'old', g from generate_series(0, 499) g`)
	return m
}

func (m *modelled) session(t *testing.T) *pgx.Conn {
	t.Helper()
	db, err := pgx.Connect(t.Context(), m.dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(context.Background()) })
	return db
}

func (m *modelled) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := m.db.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// settings are the source's lines of the configuration, for a datawatch that reaches the database through a wire.
func (m *modelled) settings(t *testing.T, via *wire) string {
	u := parse(t, m.dsn)
	u.Host = via.addr()
	return fmt.Sprintf(`    - name: %s
      postgres: {dsn: %q, capture: %s, allow_unbounded_wal: true, snapshot: initial, snapshot_max_bytes_per_second: 64KiB}
`, m.source, u.String(), m.capture)
}

func (m *modelled) tables() []string {
	if m.capture == "wal" {
		return model.Tables
	}
	return append(slices.Clone(model.Tables), "swaps")
}

// holds compares the tables with what a replay of the source's events in clean gives.
func (m *modelled) holds(ctx context.Context, events []*event.Clean) error {
	var changes []model.Change
	latest := map[string]string{}
	for _, e := range events { // partition by partition
		if e.Stream.Source() != m.source {
			continue
		}
		c := model.OfClean(e)
		if key := string(c.Stream) + c.Key; c.ID <= latest[key] {
			return fmt.Errorf("%s stands behind %s", c, latest[key])
		} else if c.Key != "" {
			latest[key] = c.ID
		}
		changes = append(changes, c)
	}
	slices.SortFunc(changes, func(a, b model.Change) int { return strings.Compare(event.PositionOf(a.ID), event.PositionOf(b.ID)) })
	if err := model.Whole(changes); err != nil {
		return err
	}
	state, err := model.Replay{Unknown: true, Partial: m.capture == "wal"}.Tables(changes)
	if err != nil {
		return err
	}
	for _, table := range m.tables() {
		rows, err := model.Contents(ctx, m.db, table)
		if err == nil {
			err = model.Equal(rows, state[m.stream(table)])
		}
		if err != nil {
			return fmt.Errorf("%s: %w", m.stream(table), err)
		}
	}
	return nil
}

func (m *modelled) stream(table string) event.Stream {
	return event.StreamOf(m.source, event.TableEntity("public", table))
}

// behind changes a row so that capture doesn't see it.
func (m *modelled) behind(t *testing.T, id int) {
	t.Helper()
	m.exec(t, fmt.Sprintf(`insert into a (id, v) values (%d, 'seen')`, id))
	change := fmt.Sprintf(`update a set v = 'behind' where id = %d`, id)
	if m.capture != "wal" {
		m.exec(t, `begin; set local session_replication_role = replica; `+change+`; commit`)
		return
	}
	var publication string
	if err := m.db.QueryRow(t.Context(), `select pubname from pg_publication_tables where tablename = 'a'`).Scan(&publication); err != nil {
		t.Fatal(err)
	}
	m.exec(t, fmt.Sprintf(`begin; alter publication %[1]s drop table a; %[2]s; alter publication %[1]s add table a; commit`, pgx.Identifier{publication}.Sanitize(), change))
}

// TestReplayedCleanIsTheTablesWhateverIsKilledOrCut has eight sessions write whatever they like to two databases, of which
// one is captured by triggers and one from the WAL, both with a snapshot of what was there before. Meanwhile collector,
// preprocessor and broker are killed and connections cut, at random. Replaying clean then gives each table exactly, each
// change once, and so says `collector verify`, also while writes go on; it finds the rows that were broken on purpose.
func TestReplayedCleanIsTheTablesWhateverIsKilledOrCut(t *testing.T) {
	brokers := testrig.KafkaServer(t)
	databases := []*modelled{newModelled(t, "triggers"), newModelled(t, "wal")}
	via := newWire(t, "PostgreSQL", parse(t, databases[0].dsn).Host)
	servers := places{DSN: databases[0].dsn, Internal: brokers.Addr()}
	for _, m := range databases {
		servers.Sources += m.settings(t, via)
	}
	w := newWorldOf(t, servers, servers, telegramsim.Limits{})
	w.start("collector", "preprocessor")

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	writing, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	defer func() { stop(); writers.Wait() }()
	for i := range 8 {
		m := databases[i%2]
		db, writer := m.session(t), model.Writer{Swaps: m.capture != "wal", Bulk: 60, Pause: 30 * time.Millisecond}
		writers.Go(func() {
			if err := writer.Run(writing, db, rand.New(rand.NewPCG(seed, uint64(i+1)))); err != nil {
				t.Errorf("%s: %v", m.source, err)
			}
		})
	}
	w.harm(brokers, via, rand.New(rand.NewPCG(seed, 0)))
	testrig.Eventually(t, 2*time.Minute, func() error { return w.snapshotsEnded(databases) })
	for _, m := range databases {
		w.agree(m, true, "p")
	}
	stop()
	writers.Wait()

	testrig.WhileMoving(t, time.Minute, func() (int, error) {
		events, err := w.clean()
		for _, m := range databases {
			if err == nil {
				err = m.holds(t.Context(), events)
			}
		}
		return len(events), err
	})
	var verifying sync.WaitGroup
	for _, m := range databases {
		m.behind(t, 777777)
		verifying.Go(func() {
			w.finds(m, "a", 777777) // and nothing else
			w.agree(m, false, m.tables()[1:]...)
		})
	}
	verifying.Wait()
	t.Logf("clean holds %s", w.summary())
}

// snapshotsEnded tells by `collector status` what still has to be read of what was there before.
func (w *world) snapshotsEnded(databases []*modelled) error {
	out, err := exec.CommandContext(w.t.Context(), w.programs["collector"], "status", "--config", w.config).CombinedOutput()
	if n := strings.Count(string(out), "snapshot of everything: ended"); n < len(databases) {
		return errors.Join(fmt.Errorf("%d snapshots ended\n%s", n, out), err)
	}
	return nil
}

// harm kills services and their broker and cuts connections, for as long as the dial says, and each at least once.
func (w *world) harm(brokers *kafka.Server, via *wire, random *rand.Rand) {
	w.t.Helper()
	done := map[string]int{}
	harms := []string{"collector", "preprocessor", "connections", "broker", "collector", "connections"}
	for n, until := 0, time.Now().Add(testrig.Soak()); n < len(harms) || time.Now().Before(until); n++ {
		time.Sleep(time.Duration(300+random.IntN(1500)) * time.Millisecond) // what is to be harmed must be at work
		what := harms[n%len(harms)]
		done[what]++
		switch what {
		case "connections":
			via.disturb(w.t, random)
		case "broker":
			if err := errors.Join(brokers.Kill(), brokers.Restart(w.t.Context())); err != nil {
				w.t.Fatal(err)
			}
		default:
			if err := w.processes[what].Kill(); err != nil {
				w.t.Fatal(err)
			}
			w.launch(what)
		}
	}
	w.t.Logf("harmed: %v; %s", done, via)
}

// verified is what `collector verify` found.
type verified struct {
	exit        int
	Differences []struct {
		Kind string
		Key  struct{ ID int }
	}
	Rows, Untold, Unsettled int64

	said string
}

func (w *world) verify(stream event.Stream) (*verified, error) {
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(w.t.Context(), w.programs["collector"], "verify", "--config", w.config, "--stream", string(stream), "--output", "json")
	cmd.Stdout, cmd.Stderr = &out, &complaints
	failed := cmd.Run()
	v := &verified{exit: cmd.ProcessState.ExitCode(), said: out.String() + complaints.String()}
	if err := json.Unmarshal(out.Bytes(), v); err != nil {
		return nil, fmt.Errorf("verify of %s: %w\n%s", stream, errors.Join(failed, err), v.said)
	}
	return v, nil
}

// agree has `collector verify` find nothing wrong with tables. Where somebody writes, a row may have changed at each look.
func (w *world) agree(m *modelled, writing bool, tables ...string) {
	w.t.Helper()
	for _, table := range tables {
		v, err := w.verify(m.stream(table))
		switch {
		case err != nil:
			w.t.Error(err)
		case v.exit != 0 || len(v.Differences) > 0 || v.Untold > 0 || v.Unsettled > 0 && !writing:
			w.t.Errorf("verify of %s: exit %d: %s", m.stream(table), v.exit, v.said)
		}
	}
}

// finds has `collector verify` find the one row of a table that is different.
func (w *world) finds(m *modelled, table string, id int) {
	w.t.Helper()
	v, err := w.verify(m.stream(table))
	if err != nil {
		w.t.Error(err)
	} else if v.exit != 1 || len(v.Differences) != 1 || v.Differences[0].Kind != "different" || v.Differences[0].Key.ID != id {
		w.t.Errorf("verify of %s, of which row %d was changed: exit %d: %s", m.stream(table), id, v.exit, v.said)
	}
}
