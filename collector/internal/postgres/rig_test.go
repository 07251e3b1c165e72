package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/source"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

func TestMain(m *testing.M) { testrig.Main(m) }

// rig is a database with sessions, a source on it, and what the source emitted. The model tests, which take as long as the
// dial says, run in parallel, behind the others: some of those measure memory.
type rig struct {
	t      *testing.T
	dsn    string
	db     *pgx.Conn
	config Config
	opts   Options
	limits limits
	dones  int // how often drained asked
	// unfollowed: the installer may have no event trigger, as most roles.
	unfollowed bool

	mu        sync.Mutex
	committed source.Progress
	events    []event.Raw
	batches   int
	fail      func(batch int) (before, after bool)
	requested []source.SnapshotRequest // as the control topic holds them
}

var errBroker = errors.New("the broker is away")

func newRig(t *testing.T, ddl ...string) *rig {
	t.Helper()
	return newRigOn(t, testrig.Postgres(t).Database(t), ddl...)
}

func newRigOn(t *testing.T, dsn string, ddl ...string) *rig {
	t.Helper()
	r := &rig{t: t, dsn: dsn, committed: source.Progress{}, limits: defaultLimits}
	r.config.SetDefaults()
	r.config.DSN = config.Secret(dsn)
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

func (r *rig) source() *Source {
	s := New("shop-db", r.config, r.opts)
	s.limits, s.unfollowed = r.limits, r.unfollowed
	requests := make(chan source.SnapshotRequest, 100)
	for _, request := range r.open() {
		requests <- request
	}
	s.TakeSnapshots(requests)
	return s
}

func (r *rig) install() {
	r.t.Helper()
	if err := r.source().Install(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

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
	for name, value := range b.Progress {
		r.committed[name] = value
	}
	if after {
		return errBroker
	}
	return nil
}

func (r *rig) progress() source.Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := source.Progress{}
	for name, value := range r.committed {
		p[name] = value
	}
	return p
}

// start runs the source until the returned function is called.
func (r *rig) start() (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := r.source().Run(ctx, r.progress(), r.emit)
		if ctx.Err() == nil {
			r.t.Logf("run ended with %v", err)
		}
		done <- err
	}()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() {
			cancel()
			err = <-done
		})
		return err
	}
	r.t.Cleanup(func() { _ = stop() })
	return stop
}

// runFor runs the source for a while; only the broker's failure may end it earlier.
func (r *rig) runFor(d time.Duration) {
	r.t.Helper()
	end := time.Now().Add(d)
	ctx, cancel := context.WithDeadline(r.t.Context(), end)
	defer cancel()
	err := r.source().Run(ctx, r.progress(), r.emit)
	if time.Now().Before(end) && !errors.Is(err, errBroker) { // what the deadline cuts short has errors of many kinds
		r.t.Fatalf("run ended with %v", err)
	}
}

// captured is what was emitted so far.
func (r *rig) captured() []event.Raw {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]event.Raw(nil), r.events...)
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

// count is how many events were emitted so far. Copying them all again and again would take the longer the more there are.
func (r *rig) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events)
}

// number is what a query of one number gives.
func (r *rig) number(sql string) (n int64) {
	r.t.Helper()
	if err := r.db.QueryRow(r.t.Context(), sql).Scan(&n); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
	return n
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
	if e.Size > 0 {
		return fmt.Sprintf("%s too large %s", e.Stream.Entity(), e.Key)
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
	if c.Reason != "" {
		line += " " + c.Reason
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

func maskOf(stream, how string, fields ...string) config.Mask {
	return config.Mask{Stream: stream, Fields: fields, How: how}
}

// as is the address for another role.
func (r *rig) as(role, password string) config.Secret {
	u, err := url.Parse(r.dsn)
	if err != nil {
		r.t.Fatal(err)
	}
	u.User = url.UserPassword(role, password)
	return config.Secret(u.String())
}

// session0 is a session for a cleanup.
func (r *rig) session0() *pgx.Conn {
	db, err := pgx.Connect(context.Background(), r.dsn)
	if err != nil {
		r.t.Fatal(err)
	}
	return db
}

// awaitInstalled waits until a table has its triggers.
func (r *rig) awaitInstalled(table string) {
	r.t.Helper()
	testrig.Eventually(r.t, 20*time.Second, func() error {
		var n int
		err := r.db.QueryRow(r.t.Context(), `select count(*) from pg_trigger where tgrelid = $1::text::regclass and tgname like '\_datawatch%'`, table).Scan(&n)
		if err == nil && n < 4 {
			err = fmt.Errorf("%d triggers", n)
		}
		return err
	})
}

// emptyOutbox takes all packs away, whether they were read or not.
const emptyOutbox = `truncate datawatch.outbox, datawatch.single_0, datawatch.single_1, datawatch.single_2`

// breaks makes capture fail where a pack has that op, until it is mended.
func (r *rig) breaks(op string) {
	r.t.Helper()
	r.everyOutbox(`alter table %s add constraint broken check (op <> '` + op + `')`)
}

func (r *rig) mended() {
	r.t.Helper()
	r.everyOutbox(`alter table %s drop constraint broken`)
}

// everyOutbox runs a statement for each table that packs are written to.
func (r *rig) everyOutbox(statement string) {
	r.t.Helper()
	for _, table := range []string{"datawatch.outbox", "datawatch.single_0", "datawatch.single_1", "datawatch.single_2"} {
		r.exec(fmt.Sprintf(statement, table))
	}
}
