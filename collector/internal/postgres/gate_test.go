package postgres

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/testrig"
)

// written are rows of a table t (id int primary key) that were written, and when at the latest, by the database's clock.
type written map[int]time.Time

// rows writes one row by a statement of its own, and two by another.
func (w written) rows(r *rig, db *pgx.Conn, id int) {
	r.t.Helper()
	sql := fmt.Sprintf(`insert into t values (%d); insert into t select generate_series(%d, %d)`, id, id+1, id+2)
	if _, err := db.PgConn().Exec(r.t.Context(), sql).ReadAll(); err != nil {
		r.t.Fatal(err)
	}
	at := r.clock()
	w[id], w[id+1], w[id+2] = at, at, at
}

// told checks that each row was told once or is in a gap, and gives which were told.
func (w written) told(r *rig) map[int]bool {
	r.t.Helper()
	told := map[int]bool{}
	gaps := []string{}
	covered := func(time.Time) bool { return false }
	for _, e := range r.captured() {
		if line := brief(r.t, e); strings.Contains(line, " gap ") {
			g, before := gapOf(r.t, e), covered
			covered = func(at time.Time) bool { return before(at) || !at.Before(g.From) && !at.After(g.To) }
			gaps = append(gaps, fmt.Sprintf("%s from %v to %v", line, g.From, g.To))
			continue
		}
		var id int
		if _, err := fmt.Sscanf(string(e.Key), `{"id":%d}`, &id); err != nil {
			r.t.Fatal(err)
		}
		if told[id] {
			r.t.Errorf("row %d was told twice", id)
		}
		told[id] = true
	}
	for id, at := range w {
		if !told[id] && !covered(at) {
			r.t.Errorf("row %d, written until %v, is lost in silence; the gaps are %q", id, at, gaps)
		}
	}
	return told
}

func (r *rig) run(db *pgx.Conn, sql string) {
	r.t.Helper()
	if _, err := db.PgConn().Exec(r.t.Context(), sql).ReadAll(); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
}

// writesSingles has statements of i go the short way, as most do: one of 256 doesn't.
func (r *rig) writesSingles(statements string) {
	r.t.Helper()
	const singles = `select (select count(*) from datawatch.single_0) + (select count(*) from datawatch.single_1) + (select count(*) from datawatch.single_2)`
	before := r.number(singles)
	r.exec(`do $$ begin for i in 1..20 loop ` + statements + `; end loop; end $$`)
	if n := r.number(singles) - before; n < 10 {
		r.t.Errorf("%d statements of 20 or more went the short way", n)
	}
}

// awaitGate waits until the gate is at a slot, or, where that is "", says that capture is off.
func (r *rig) awaitGate(want string) {
	r.t.Helper()
	testrig.Eventually(r.t, 2*time.Minute, func() error {
		var gate string
		err := r.db.QueryRow(r.t.Context(), `select coalesce(pg_sequence_last_value('datawatch.gate')::text, '')`).Scan(&gate)
		if err == nil && gate != want {
			err = fmt.Errorf("the gate is at %q", gate)
		}
		return err
	})
}

// TestSwitchingOffThatIsUndoneLosesNothing: the gate is a sequence, and stays where datawatch.off() has put it. Meanwhile all
// goes the longer way; the collector sets it right when it next says that it lives.
func TestSwitchingOffThatIsUndoneLosesNothing(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	w, admin, earlier := written{}, r.session(), r.session()
	r.run(earlier, `begin isolation level repeatable read; select count(*) from t`)
	r.run(admin, `begin; select datawatch.off()`)
	w.rows(r, r.db, 10)
	r.run(admin, `rollback`)
	w.rows(r, r.db, 20)
	w.rows(r, earlier, 30)
	r.run(earlier, `commit`)
	r.run(admin, `begin; savepoint a; select datawatch.off(); rollback to a`)
	w.rows(r, admin, 40)
	r.run(admin, `commit`)
	if n := r.number(`select count(*) from datawatch.single_0`); n != 0 {
		t.Errorf("%d rows went the short way", n)
	}
	stop := r.start()
	r.await(len(w))
	r.awaitGate("0")
	w.rows(r, r.db, 50)
	r.await(len(w))
	_ = stop()
	if told := w.told(r); len(told) != len(w) || r.count() != len(w) {
		t.Errorf("%d rows were told by %d events", len(told), r.count())
	}
	r.writesSingles(`insert into t values (100 + i)`)
}

// TestWhatIsWrittenWhileCaptureIsSwitchedOnIsToldOrInTheGap: the gap ends when datawatch.on() is called. What others write until that
// is committed is captured, and what transactions write whose snapshot is older than it.
func TestWhatIsWrittenWhileCaptureIsSwitchedOnIsToldOrInTheGap(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	w, admin, earlier := written{}, r.session(), r.session()
	w.rows(r, r.db, 10)
	r.exec(`select datawatch.off()`)
	w.rows(r, r.db, 20)
	r.run(earlier, `begin isolation level repeatable read; select count(*) from t`)
	r.run(admin, `begin; select datawatch.on()`)
	w.rows(r, r.db, 30)
	r.run(admin, `commit`)
	w.rows(r, earlier, 40)
	r.run(earlier, `commit`)
	w.rows(r, r.db, 50)
	r.exec(`create table last (id int primary key)`)
	stop := r.start()
	r.awaitInstalled("last")
	r.exec(`insert into last values (-1)`)
	testrig.Eventually(t, time.Minute, func() error {
		for _, e := range r.captured() {
			if string(e.Key) == `{"id":-1}` {
				return nil
			}
		}
		return fmt.Errorf("%d events", r.count())
	})
	_ = stop()
	told := w.told(r)
	for id := range w {
		if off := id >= 20 && id < 30; told[id] == off {
			t.Errorf("row %d was told: %v", id, told[id])
		}
	}
}

// TestSwitchingOnThatIsUndoneLosesNothing: until the collector says that it lives, what is written is captured, and then it is off.
func TestSwitchingOnThatIsUndoneLosesNothing(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	w, admin := written{}, r.session()
	r.exec(`select datawatch.off()`)
	w.rows(r, r.db, 10)
	r.run(admin, `begin; select datawatch.on()`)
	w.rows(r, r.db, 20)
	r.run(admin, `rollback`)
	w.rows(r, r.db, 30)
	stop := r.start()
	r.awaitGate("")
	w.rows(r, r.db, 40)
	r.exec(`select datawatch.on()`)
	w.rows(r, r.db, 50)
	r.awaitGate("0")
	testrig.Eventually(t, time.Minute, func() error {
		for _, e := range r.captured() {
			if string(e.Key) == `{"id":52}` {
				return nil
			}
		}
		return fmt.Errorf("%d events", r.count())
	})
	_ = stop()
	told := w.told(r)
	for _, id := range []int{10, 11, 12, 40, 41, 42} {
		if told[id] {
			t.Errorf("row %d was told, and capture was off", id)
		}
	}
	for _, id := range []int{50, 51, 52} {
		if !told[id] {
			t.Errorf("row %d wasn't told", id)
		}
	}
}

// TestMaintenanceGoesOnWhileSomebodySwitchesCapture: a transaction that has called datawatch.off() may be left open.
func TestMaintenanceGoesOnWhileSomebodySwitchesCapture(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	admin := r.session()
	r.run(admin, `begin; select datawatch.off()`)
	r.start()
	r.exec(`insert into t values (1)`)
	r.await(1)
	r.exec(`create table later (id int primary key)`)
	r.awaitInstalled("later")
	r.run(admin, `rollback`)
	r.awaitGate("0")
}

// TestAnUpgradeLeavesCaptureOff: before, the gate was the same where capture is off and where each statement looks at the outbox.
func TestAnUpgradeLeavesCaptureOff(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`select datawatch.off(); select setval('datawatch.gate', 3); update datawatch.meta set code = 'of before'`)
	r.install()
	r.awaitGate("")
	r.exec(`insert into t values (1); insert into t select generate_series(2, 3)`)
	if n := r.number(`select count(*) from datawatch.packs where op = 'i'`); n != 0 {
		t.Errorf("%d packs were written though capture is off", n)
	}
}
