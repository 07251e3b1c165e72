package wal

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/postgres"
	"datawatch/collector/internal/source"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
)

// TestMain has more tests side by side than there are processors: they wait most of their time.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	testrig.Main(m)
}

// rig is a database with a session, a source on it, and what the source emitted.
type rig struct {
	t      *testing.T
	dsn    string
	db     *pgx.Conn
	config postgres.Config
	opts   Options
	limits limits

	mu        sync.Mutex
	committed source.Progress
	events    []event.Raw
	batches   int
	marks     int // of compared
	states    []string
	fail      func(batch int) (before, after bool)
	requested []source.SnapshotRequest // as the control topic holds them
}

var errBroker = errors.New("the broker is away")

// databaseOn is a database on a server of a version; "" is the one that tests get which ask for none.
func databaseOn(t *testing.T, version string) string {
	t.Helper()
	if version == "" {
		return testrig.Postgres(t).Database(t)
	}
	return testrig.PostgresVersion(t, version).Database(t)
}

func newRig(t *testing.T, ddl ...string) *rig {
	t.Helper()
	return newRigOn(t, databaseOn(t, ""), ddl...)
}

func newRigOn(t *testing.T, dsn string, ddl ...string) *rig {
	t.Helper()
	t.Parallel() // the tests wait most of their time
	r := &rig{t: t, dsn: dsn, committed: source.Progress{}, limits: defaultLimits}
	r.limits.heartbeat = 200 * time.Millisecond
	r.config.SetDefaults()
	r.config.DSN = config.Secret(dsn)
	r.config.Capture = "wal"
	r.config.AllowUnboundedWAL = true
	r.db = r.session()
	for _, sql := range ddl {
		r.exec(sql)
	}
	return r
}

func (r *rig) session() *pgx.Conn {
	r.t.Helper()
	db, err := pgx.Connect(r.t.Context(), r.dsn)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = db.Close(context.Background()) })
	return db
}

func (r *rig) exec(sql string) {
	r.t.Helper()
	if _, err := r.db.PgConn().Exec(r.t.Context(), sql).ReadAll(); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
}

// sourceName is the database's own, since slots are the cluster's.
func (r *rig) sourceName() string {
	c, err := pgx.ParseConfig(r.dsn)
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.ReplaceAll(c.Database, "_", "-")
}

func (r *rig) source() *Source {
	if r.opts.Reporter == nil {
		r.opts.Reporter = r
	}
	s := New(r.sourceName(), r.config, r.opts)
	s.limits = r.limits
	s.TakeSnapshots(r.requests())
	return s
}

func (r *rig) install() {
	r.t.Helper()
	if err := r.source().Install(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// State, Lag and Gap implement source.Reporter.
func (r *rig) State(state source.State, why reason.Text) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states = append(r.states, string(state)+" "+why.String())
}
func (r *rig) Backlog(int64) {}

func (r *rig) Lag(float64) {}
func (r *rig) Gap(string)  {}

func (r *rig) emit(_ context.Context, b source.Batch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches++
	var before, after bool
	if r.fail != nil {
		before, after = r.fail(r.batches)
	}
	if before {
		return errBroker
	}
	r.events = append(r.events, b.Events...)
	maps.Copy(r.committed, b.Progress)
	if after {
		return errBroker
	}
	return nil
}

func (r *rig) progress() source.Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.committed)
}

// version is the server's, as in 150014.
func (r *rig) version() int {
	r.t.Helper()
	var version int
	if err := r.db.QueryRow(r.t.Context(), "select current_setting('server_version_num')::int").Scan(&version); err != nil {
		r.t.Fatal(err)
	}
	return version
}

// start runs the source until the returned function is called, and returns when it is streaming.
func (r *rig) start() (stop func() error) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r.mu.Lock()
	r.states = nil
	r.mu.Unlock()
	done := make(chan struct{})
	var ended error
	go func() { defer close(done); ended = r.source().Run(ctx, r.progress(), r.emit) }()
	stop = func() error {
		cancel()
		<-done
		return ended
	}
	r.t.Cleanup(func() { _ = stop() })
	testrig.Eventually(r.t, 60*time.Second, func() error {
		select {
		case <-done:
			r.t.Fatalf("run ended with %v", ended)
		default:
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if !slices.Contains(r.states, "streaming ") {
			return fmt.Errorf("states %q", r.states)
		}
		return nil
	})
	return stop
}

// sessions checks how many sessions the source has.
func (r *rig) sessions(want int) error {
	var n int
	err := r.db.QueryRow(r.t.Context(), `select count(*) from pg_stat_activity where datname = current_database() and application_name = $1`, applicationName).Scan(&n)
	if err == nil && n != want {
		err = fmt.Errorf("%d sessions", n)
	}
	return err
}

// captured is what was emitted so far.
func (r *rig) captured() []event.Raw {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// awaitLast waits for an event that is written behind all others, and until no snapshot is under way.
func (r *rig) awaitLast(is func(event.Raw) bool) {
	r.t.Helper()
	looked, found := 0, false
	testrig.WhileMoving(r.t, time.Minute, func() (int, error) {
		r.mu.Lock()
		found = found || slices.ContainsFunc(r.events[looked:], is)
		looked = len(r.events)
		r.mu.Unlock()
		if jobs := r.account().Jobs; !found || len(jobs) > 0 {
			return looked, fmt.Errorf("not at the end after %d events: %v", looked, jobs)
		}
		return looked, nil
	})
}

// count is how many events were emitted so far. Copying them all again and again would take the longer the more there are.
func (r *rig) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events)
}

func (r *rig) await(n int) {
	r.t.Helper()
	testrig.WhileMoving(r.t, time.Minute, func() (far int, err error) {
		if far = r.count(); far < n {
			err = fmt.Errorf("%d events of %d", far, n)
		}
		return far, err
	})
}

// wait runs the source until n events are there.
func (r *rig) wait(n int) []event.Raw {
	r.t.Helper()
	stop := r.start()
	r.await(n)
	if err := stop(); !errors.Is(err, context.Canceled) {
		r.t.Fatalf("run ended with %v", err)
	}
	return r.captured()
}

func rowChange(t *testing.T, e event.Raw) event.RowChange {
	t.Helper()
	var c event.RowChange
	if err := json.Unmarshal(e.Value, &c); err != nil {
		t.Fatalf("%s: %v", e.Value, err)
	}
	return c
}

// brief is an event in one line.
func brief(t *testing.T, e event.Raw) string {
	t.Helper()
	if e.Type == event.GapType {
		var g event.Gap
		if err := json.Unmarshal(e.Value, &g); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s gap %s", e.Stream.Entity(), g.Cause)
	}
	c := rowChange(t, e)
	key := string(e.Key)
	if e.Key == nil {
		key = "-"
	}
	line := fmt.Sprintf("%s %s %s", e.Stream.Entity(), c.Op, key)
	if c.Before != nil {
		line += " before " + string(c.Before)
	}
	if c.After != nil {
		line += " after " + string(c.After)
	}
	if c.MovedTo {
		line += " moved_to"
	}
	if c.MovedFrom {
		line += " moved_from"
	}
	if c.Incomplete != nil {
		text, err := json.Marshal(c.Incomplete)
		if err != nil {
			t.Fatal(err)
		}
		line += " incomplete " + string(text)
	}
	if c.Reason != "" {
		line += " reason " + c.Reason
	}
	return line
}

func briefs(t *testing.T, events []event.Raw) []string {
	t.Helper()
	lines := make([]string, len(events))
	for i, e := range events {
		lines[i] = brief(t, e)
	}
	return lines
}

func expect(t *testing.T, got []event.Raw, want ...string) {
	t.Helper()
	if lines := briefs(t, got); !slices.Equal(lines, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(lines, "\n\t"), strings.Join(want, "\n\t"))
	}
	last := ""
	for _, e := range got {
		if e.Position() <= last {
			t.Errorf("position %s is behind %s", e.Position(), last)
		}
		last = e.Position()
	}
}

// startOther runs another source into a rig.
func startOther(t *testing.T, s source.Source, into *rig) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx, into.progress(), into.emit); !errors.Is(err, context.Canceled) {
			t.Errorf("run ended with %v", err)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// as is the address for another role, whose password is x.
func (r *rig) as(role string) config.Secret {
	u, err := url.Parse(r.dsn)
	if err != nil {
		r.t.Fatal(err)
	}
	u.User = url.UserPassword(role, "x")
	return config.Secret(u.String())
}
