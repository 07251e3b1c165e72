package wal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"

	"datawatch/collector/internal/postgres"
	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	servers "datawatch/pkg/testrig/postgres"
)

func epochOf(position string) string { return position[:16] }

// alter changes the progress that was committed.
func (r *rig) alter(change func(p *progress)) {
	r.t.Helper()
	s, err := parseProgress(r.progress())
	if err != nil {
		r.t.Fatal(err)
	}
	change(s.read)
	if r.committed, err = s.read.source(&tablesEntry{Version: progressVersion, Tables: s.tables, Published: s.rows, Counted: s.counted}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) dropSlot() {
	r.t.Helper()
	if err := dropSlot(r.t.Context(), r.db, r.source().names.slot); err != nil {
		r.t.Fatal(err)
	}
}

// A slot that was lost, moved on or dropped, a server that went back, and another capture before it: a new epoch each, with
// a gap that says why; what is written afterwards comes.
func TestALostPlaceIsANewEpochWithAGap(t *testing.T) {
	for name, one := range map[string]struct {
		cause string
		lose  func(r *rig)
	}{
		"dropped slot": {causeSlotLost, func(r *rig) {
			r.dropSlot()
		}},
		"slot made anew": {causeSlotMoved, func(r *rig) {
			r.dropSlot()
			r.exec(`insert into t values (-1)`)
			r.exec(fmt.Sprintf(`select pg_create_logical_replication_slot('%s', 'pgoutput')`, r.source().names.slot))
		}},
		"slot made anew that tells of prepared transactions": {causeSlotLost, func(r *rig) {
			r.dropSlot()
			if r.version() < 140000 {
				return
			}
			r.exec(fmt.Sprintf(`select pg_create_logical_replication_slot('%s', 'pgoutput', false, true)`, r.source().names.slot))
		}},
		"dropped publication": {causeNoPublication, func(r *rig) {
			r.exec(fmt.Sprintf(`drop publication %s; insert into t values (-1)`, r.source().names.all))
		}},
		"publication dropped while it was read": {causeNoPublication, func(r *rig) {
			r.start()
			r.await(1)
			r.exec(fmt.Sprintf(`drop publication %s; insert into t values (-1)`, r.source().names.all))
			testrig.Eventually(r.t, 60*time.Second, func() error { return r.sessions(0) })
		}},
		"publication made anew": {causeNoPublication, func(r *rig) {
			r.exec(fmt.Sprintf(`drop publication %[1]s; insert into t values (-1); create publication %[1]s for table t`, r.source().names.all))
		}},
		"publication made anew while it was read": {causeNoPublication, func(r *rig) {
			r.start()
			r.exec(fmt.Sprintf(`drop publication %[1]s; insert into t values (-1); create publication %[1]s for table t`, r.source().names.all))
			testrig.Eventually(r.t, 60*time.Second, func() error { return r.sessions(0) })
		}},
		"another server":          {causeRestored, func(r *rig) { r.alter(func(p *progress) { p.System = "1/1" }) }},
		"a server that went back": {causeRestored, func(r *rig) { r.alter(func(p *progress) { p.LSN += 1 << 40 }) }},
		"a failover":              {causeRestored, func(r *rig) { r.alter(func(p *progress) { p.Timeline = 77 }) }},
		"triggers before": {causeCaptureChanged, func(r *rig) {
			r.committed = source.Progress{"": json.RawMessage(`{"version":1,"epoch":"20990101T000000Z","install":"x","tick":3,"at":"2026-01-01T00:00:00Z"}`)}
		}},
	} {
		for _, version := range []string{"", "18"} { // which goes on where a publication wasn't there
			t.Run(strings.TrimSpace(name+" "+version), func(t *testing.T) {
				r := newRigOn(t, databaseOn(t, version), `create table t (id int primary key)`)
				r.install()
				r.exec(`insert into t values (1)`)
				first := r.wait(1)[0]
				one.lose(r)
				stop := r.start()
				r.await(2)
				r.exec(`insert into t values (2)`)
				r.await(3)
				_ = stop()
				got := r.captured()
				expect(t, got[1:], `public.t gap `+one.cause, `public.t insert {"id":2} after {"id":2}`)
				if epochOf(got[1].Position()) <= epochOf(first.Position()) {
					t.Errorf("positions %s, %s", first.Position(), got[1].Position())
				}
			})
		}
	}
}

// TestAnEpochIsToldInStreamsWhoseTablesAreGone, once, whenever the run that begins it is killed; a stream that has ended isn't told of the next.
func TestAnEpochIsToldInStreamsWhoseTablesAreGone(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table "Gone.1" (id int primary key)`, `create table left_out (id int primary key)`,
		`create table p (id int primary key) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`)
	r.install()
	r.exec(`insert into t values (1); insert into "Gone.1" values (1); insert into left_out values (1); insert into p values (1)`)
	r.wait(4)
	r.exec(`drop table "Gone.1"`)
	r.config.Exclude = []string{"public.left_out"}
	const gap = " gap " + causeSlotMoved // the slot was made anew by the run that was killed first
	for epoch, want := range [][]string{
		{`public.Gone%2E1` + gap, `public.Gone%2E1 truncate - reason drop`, `public.left_out` + gap, `public.left_out truncate - reason drop`, `public.p` + gap, `public.t` + gap},
		{`public.p` + gap, `public.t` + gap},
	} {
		n := r.count()
		r.dropSlot()
		for _, committed := range []bool{false, true} {
			r.fail = func(int) (before, after bool) { return !committed, committed }
			if err := r.source().Run(t.Context(), r.progress(), r.emit); !errors.Is(err, errBroker) {
				t.Fatalf("the run ended with %v", err)
			}
		}
		r.fail = nil
		last := fmt.Sprintf(`{"id":%d}`, epoch+2)
		r.exec(fmt.Sprintf(`insert into t values (%d)`, epoch+2))
		stop := r.start()
		r.awaitLast(func(e event.Raw) bool { return string(e.Key) == last })
		_ = stop()
		got := r.captured()[n:]
		expect(t, got, append(want, fmt.Sprintf(`public.t insert %[1]s after %[1]s`, last))...)
		for _, e := range got {
			if epochOf(e.Position()) != epochOf(got[0].Position()) {
				t.Errorf("%s is of another epoch than %s", e.Position(), got[0].Position())
			}
		}
	}
}

// TestCaptureByTriggersIsFollowedByTheWAL goes on from what triggers' own source committed, also for a table that is gone.
func TestCaptureByTriggersIsFollowedByTheWAL(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table gone (id int primary key)`)
	triggers := r.config
	triggers.Capture = "triggers"
	before := postgres.New(r.sourceName(), triggers, postgres.Options{})
	if err := before.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.exec(`insert into t values (1); insert into gone values (1)`)
	stop := startOther(t, before, r)
	r.await(2)
	stop()
	if err := before.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.exec(`drop table gone`)
	r.start()
	r.await(5)
	r.exec(`insert into t values (2)`)
	r.await(6)
	expect(t, r.captured(), `public.t insert {"id":1} after {"id":1}`, `public.gone insert {"id":1} after {"id":1}`,
		`public.gone gap capture_changed`, `public.gone truncate - reason drop`, `public.t gap capture_changed`, `public.t insert {"id":2} after {"id":2}`)
}

// TestTheWALIsFollowedByTriggers in the same way.
func TestTheWALIsFollowedByTriggers(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table gone (id int primary key)`)
	r.install()
	r.exec(`insert into t values (1); insert into gone values (1)`)
	r.wait(2)
	r.exec(`drop table gone`)
	stop := startOther(t, r.triggers(), r)
	r.await(5)
	r.exec(`insert into t values (2)`)
	r.await(6)
	stop()
	expect(t, r.captured()[2:], `public.t gap capture_changed`, `public.gone gap capture_changed`, `public.gone truncate - reason drop`, `public.t insert {"id":2} after {"id":2}`)
}

func TestLostProgressGoesOnWhereTheSlotIs(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	version := r.version()
	if version < 140000 {
		t.Skip("before 14, the server doesn't count what is read from a slot")
	}
	stop := r.start()
	r.exec(`insert into t values (1)`)
	r.await(1)
	testrig.Eventually(t, 60*time.Second, func() error { // statistics come late
		slot, err := askSlot(t.Context(), r.db, r.source().names.slot, version)
		if err == nil && !slot.Used {
			err = fmt.Errorf("slot %+v", slot)
		}
		return err
	})
	_ = stop()
	r.exec(`insert into t values (2)`)
	r.committed = source.Progress{}
	stop = r.start()
	r.awaitLast(func(e event.Raw) bool { return string(e.Key) == `{"id":2}` })
	_ = stop()
	got := r.captured()
	expect(t, got[1:2], `public.t gap progress_lost`)
	if last := brief(t, got[len(got)-1]); last != `public.t insert {"id":2} after {"id":2}` {
		t.Error(last)
	}
}

// TestAnInstalledSlotThatWasNeverReadIsNoGap: `collector triggers install`, days before the collector first runs.
func TestAnInstalledSlotThatWasNeverReadIsNoGap(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.config.ManageTriggers = false
	if err := r.source().Run(t.Context(), nil, r.emit); err == nil {
		t.Fatal("it ran without a slot")
	}
	plan, err := r.source().Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range plan {
		r.exec(step.SQL)
	}
	if left, err := r.source().Plan(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("after the plan was run, %v is missing, %v", left, err)
	}
	r.exec(`insert into t values (1)`)
	expect(t, r.wait(1), `public.t insert {"id":1} after {"id":1}`)
	if err := r.source().Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left int
	err = r.db.QueryRow(t.Context(), `select (select count(*) from pg_replication_slots where database = current_database()) + (select count(*) from pg_publication)`).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("%d things are left after remove, %v", left, err)
	}
}

func TestTheHistoryOfTimelinesTellsWhatWasUndone(t *testing.T) {
	history := []byte("1\t0/3000148\tno recovery target specified\n\n2\t1/A0000028\tno recovery target specified\n")
	for timeline, want := range map[int32]pglogrepl.LSN{1: 0x3000148, 2: 0x1A0000028, 3: 0} {
		if got := switchedAt(history, timeline); got != want {
			t.Errorf("timeline %d was left at %s, not %s", timeline, got, want)
		}
	}
	w := whereabouts{timeline: 2, left: 100, server: server{lsn: 500}}
	for lsn, undone := range map[pglogrepl.LSN]bool{100: false, 101: true} {
		if got := (&progress{Timeline: 1, LSN: lsn}).undone(w); got != undone {
			t.Errorf("what was read to %d is undone by a switch at 100: %v", lsn, got)
		}
	}
}

// TestAnIdleDatabaseLetsTheSlotMoveOn: what others write in the cluster is let go of, and a restart isn't taken for a gap.
func TestAnIdleDatabaseLetsTheSlotMoveOn(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table other (v text)`)
	r.config.Tables = []string{"public.t"}
	stop := r.start()
	r.exec(`insert into other select repeat('x', 1000) from generate_series(1, 1000)`)
	var end string
	if err := r.db.QueryRow(t.Context(), `select pg_current_wal_lsn()::text`).Scan(&end); err != nil {
		t.Fatal(err)
	}
	testrig.Eventually(t, 30*time.Second, func() error {
		var there bool
		err := r.db.QueryRow(t.Context(), `select confirmed_flush_lsn >= $1::text::pg_lsn from pg_replication_slots where slot_name = $2`, end, r.source().names.slot).Scan(&there)
		if err == nil && !there {
			err = fmt.Errorf("the slot is before %s", end)
		}
		return err
	})
	_ = stop()
	r.exec(`insert into t values (1)`)
	expect(t, r.wait(1), `public.t insert {"id":1} after {"id":1}`)
}

// TestAServerIsShutDownWithoutWaitingForTheBroker: a server waits for whoever reads its WAL.
func TestAServerIsShutDownWithoutWaitingForTheBroker(t *testing.T) {
	private := testrig.PrivatePostgres(t, servers.Options{})
	if err := private.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, private.DSN("shop"), `create table t (id int primary key)`)
	stuck := make(chan struct{})
	emit := r.emit
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		ended <- r.source().Run(ctx, nil, func(ctx context.Context, b source.Batch) error {
			if len(b.Events) == 0 {
				return emit(ctx, b)
			}
			close(stuck)
			<-ctx.Done() // the broker is away
			return ctx.Err()
		})
	}()
	testrig.Eventually(t, 30*time.Second, func() error {
		var active bool
		err := r.db.QueryRow(t.Context(), `select coalesce(bool_or(active), false) from pg_replication_slots`).Scan(&active)
		if err == nil && !active {
			err = fmt.Errorf("nobody reads")
		}
		return err
	})
	r.exec(`insert into t values (1)`)
	<-stuck
	stopping, end := context.WithTimeout(t.Context(), 40*time.Second) // after a minute it gives up whoever reads
	defer end()
	if err := private.Stop(stopping); err != nil {
		t.Fatalf("the server didn't stop: %v", err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("run ended with nothing")
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("the source goes on without its server")
	}
}
