package wal

import (
	"encoding/json"
	"testing"
	"time"

	"datawatch/collector/internal/postgres"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	servers "datawatch/pkg/testrig/postgres"
)

// triggers is the source of the same name that captures by triggers.
func (r *rig) triggers() *postgres.Source {
	c := r.config
	c.Capture = "triggers"
	return postgres.New(r.sourceName(), c, postgres.Options{})
}

// clock is the database's clock.
func (r *rig) clock() (at time.Time) {
	r.t.Helper()
	if err := r.db.QueryRow(r.t.Context(), `select clock_timestamp()`).Scan(&at); err != nil {
		r.t.Fatal(err)
	}
	return at
}

// covers checks that an event is a gap of a change of capture which covers a moment, in a later epoch than the event before.
func (r *rig) covers(before, e event.Raw, at time.Time) {
	r.t.Helper()
	if brief(r.t, e) != `public.t gap `+causeCaptureChanged {
		r.t.Fatalf("%s", brief(r.t, e))
	}
	var g event.Gap
	if err := json.Unmarshal(e.Value, &g); err != nil {
		r.t.Fatal(err)
	}
	if g.From.After(at) || g.To.Before(at) {
		r.t.Errorf("the gap is from %v to %v, and what wasn't captured was written at %v", g.From, g.To, at)
	}
	if epochOf(e.Position()) <= epochOf(before.Position()) {
		r.t.Errorf("positions %s, %s", before.Position(), e.Position())
	}
}

// TestCaptureMayChangeBackAndForthAndNothingIsToldTwice: what either way of capture left in the database, triggers that go on
// filling their outbox and a slot that goes on holding the WAL, isn't told again when it is read once more. What was written
// while nobody read is a gap; a transaction that ran meanwhile is told whole.
func TestCaptureMayChangeBackAndForthAndNothingIsToldTwice(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	running := r.session()
	runs := func(sql string) {
		t.Helper()
		if _, err := running.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.triggers().Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.exec(`insert into t values (1)`)
	stop := startOther(t, r.triggers(), r)
	r.await(1)
	stop()

	stopWAL := r.start()
	r.await(2)
	r.exec(`insert into t values (2); insert into t select generate_series(3, 4)`)
	r.await(5)
	_ = stopWAL()

	runs(`begin`)
	runs(`insert into t values (50)`)
	r.exec(`insert into t values (-1)`)
	first := r.clock()
	stop = startOther(t, r.triggers(), r)
	r.await(6)
	runs(`commit`)
	r.await(7)
	r.exec(`insert into t values (6)`)
	r.await(8)
	stop()

	runs(`begin`)
	runs(`insert into t values (70)`)
	r.exec(`insert into t values (-2)`)
	second := r.clock()
	stopWAL = r.start()
	r.await(9)
	runs(`commit`)
	r.await(10)
	r.exec(`insert into t values (8)`)
	r.await(11)
	_ = stopWAL()

	got := r.captured()
	expect(t, got,
		`public.t insert {"id":1} after {"id":1}`, `public.t gap capture_changed`,
		`public.t insert {"id":2} after {"id":2}`, `public.t insert {"id":3} after {"id":3}`, `public.t insert {"id":4} after {"id":4}`, `public.t gap capture_changed`,
		`public.t insert {"id":50} after {"id":50}`, `public.t insert {"id":6} after {"id":6}`, `public.t gap capture_changed`,
		`public.t insert {"id":70} after {"id":70}`, `public.t insert {"id":8} after {"id":8}`)
	if !t.Failed() {
		r.covers(got[4], got[5], first)
		r.covers(got[7], got[8], second)
	}
}

// TestACommitThatWaitsForAStandbyIsNotToldAgainByTriggers: the WAL has told of it, and the outbox shows it once it is seen.
func TestACommitThatWaitsForAStandbyIsNotToldAgainByTriggers(t *testing.T) {
	private := testrig.PrivatePostgres(t, servers.Options{})
	if err := private.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, private.DSN("shop"), `create table t (id int primary key)`)
	if err := r.triggers().Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := r.start()
	standby := testrig.AbsentStandby(t, r.dsn)
	r.exec(`set synchronous_commit = local`)
	waiting := standby.Wait(`insert into t values (1)`)
	r.await(1)
	_ = stop()
	stopTriggers := startOther(t, r.triggers(), r)
	r.await(2)
	standby.Come()
	if err := waiting.Ended(); err != nil {
		t.Fatal(err)
	}
	r.exec(`insert into t values (2)`)
	r.awaitLast(func(e event.Raw) bool { return string(e.Key) == `{"id":2}` })
	stopTriggers()
	expect(t, r.captured(), `public.t insert {"id":1} after {"id":1}`, `public.t gap capture_changed`, `public.t insert {"id":2} after {"id":2}`)
}
