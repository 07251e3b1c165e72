package postgres

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/postgres"
)

// awaitTold waits until the database was told of all that was committed.
func (r *rig) awaitTold() {
	r.t.Helper()
	p, err := parseProgress(r.progress())
	if err != nil || p == nil {
		r.t.Fatalf("no progress, %v", err)
	}
	testrig.Eventually(r.t, time.Minute, func() error {
		if told := r.number(`select tick from datawatch.progress`); told < p.Tick {
			return fmt.Errorf("tick %d is told, not %d", told, p.Tick)
		}
		return nil
	})
}

// moved is a rig on another address that goes on where this one is.
func (r *rig) moved(t *testing.T, dsn string) *rig {
	t.Helper()
	other := newRigOn(t, dsn)
	other.committed, other.events = maps.Clone(r.committed), r.captured()
	return other
}

// expectGap checks that behind what was told before come a gap, which covers the moment of what wasn't captured, and events, in
// a later epoch.
func (r *rig) expectGap(before []event.Raw, cause string, lost time.Time, behind ...string) {
	r.t.Helper()
	got := r.captured()[len(before):]
	expect(r.t, got, append([]string{`public.t gap ` + cause}, behind...)...)
	if g := gapOf(r.t, got[0]); g.From.After(lost) || g.To.Before(lost) {
		r.t.Errorf("the gap is from %v to %v, and what wasn't captured was written at %v", g.From, g.To, lost)
	}
	if last := before[len(before)-1]; epochOf(got[0]) <= epochOf(last) || got[1].Position() <= last.Position() {
		r.t.Errorf("positions %s, %s, %s", last.Position(), got[0].Position(), got[1].Position())
	}
}

// clock is the database's clock.
func (r *rig) clock() (at time.Time) {
	r.t.Helper()
	if err := r.db.QueryRow(r.t.Context(), `select clock_timestamp()`).Scan(&at); err != nil {
		r.t.Fatal(err)
	}
	return at
}

// unread are the rows of t, by their keys, that transactions wrote which the progress hasn't seen.
func (r *rig) unread() (ids []int) {
	r.t.Helper()
	p, err := parseProgress(r.progress())
	if err != nil {
		r.t.Fatal(err)
	}
	rows, err := r.db.Query(r.t.Context(), `select id from t where not pg_visible_in_snapshot(xmin::text::xid8, $1::text::pg_snapshot) order by id`, p.Snapshot.String())
	if err != nil {
		r.t.Fatal(err)
	}
	if ids, err = pgx.CollectRows(rows, pgx.RowTo[int]); err != nil {
		r.t.Fatal(err)
	}
	return ids
}

// TestAServerWithoutItsLastChangesIsANewEpochWithAGap: a server restored from an earlier copy of its files, and a standby that
// is promoted without the last changes, before the collector looks again; in the meantime the application has used as many
// transaction ids as were lost, and more. Behind the gap is told what such further ones wrote: it can't have been told before. A
// standby that has everything goes on where the other one was, if it was told so.
func TestAServerWithoutItsLastChangesIsANewEpochWithAGap(t *testing.T) {
	dir := testrig.PostgresDir(t)
	primary := testrig.PrivatePostgres(t, postgres.Options{Dir: dir})
	if err := primary.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, primary.DSN("shop"), `create table t (id int primary key)`)
	r.install()
	stop := r.start()
	r.exec(`insert into t values (1)`)
	r.await(1)
	r.awaitTold()
	_ = stop()
	if err := primary.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	earlier := testrig.CopyPostgres(t, dir, false)
	earlierStandby := testrig.CopyPostgres(t, dir, true)
	if err := primary.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.db = r.session()
	stop = r.start()
	r.exec(`insert into t values (2)`)
	r.await(2)
	r.awaitTold()
	r.exec(`insert into t values (3)`)
	r.await(3)
	seen := r.number(`select pg_snapshot_xmax(pg_current_snapshot())::text::bigint`)
	r.awaitTold()
	_ = stop()
	if err := primary.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	complete, untold := testrig.CopyPostgres(t, dir, true), testrig.CopyPostgres(t, dir, true)
	before := r.captured()

	start := func(t *testing.T, dir string, promote bool) *rig {
		server := testrig.PrivatePostgres(t, postgres.Options{Dir: dir})
		r := r.moved(t, server.DSN("shop"))
		if promote { // its first checkpoint, which may take minutes, has the new timeline in the control file
			checkpointer := int(r.number(`select pid from pg_stat_activity where backend_type = 'checkpointer'`))
			if err := syscall.Kill(checkpointer, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Kill(checkpointer, syscall.SIGCONT) })
			r.exec(`select pg_promote()`)
		}
		return r
	}
	for name, one := range map[string]struct {
		dir     string
		promote bool
		undo    string
	}{
		"restore": {earlier, false, ``}, "failover": {earlierStandby, true, ``},
		"failover before it was told": {untold, true, `update datawatch.progress set tick = 0`},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, one.dir, one.promote)
			r.exec(one.undo)
			lost := r.clock()
			for id := 100; r.number(`select pg_snapshot_xmax(pg_current_snapshot())::text::bigint`) <= seen+3; id++ {
				r.exec(fmt.Sprintf(`insert into t values (%d)`, id))
			}
			r.exec(`insert into t values (1000)`)
			unread := append(r.unread(), 1001)
			stop := r.start()
			r.await(len(before) + len(unread))
			r.exec(`insert into t values (1001)`)
			r.await(len(before) + 1 + len(unread))
			_ = stop()
			var want []string
			for _, id := range unread {
				want = append(want, fmt.Sprintf(`public.t insert {"id":%[1]d} after {"id":%[1]d}`, id))
			}
			r.expectGap(before, causeRestored, lost, want...)
			if len(unread) < 3 {
				t.Errorf("nothing is told but %v", unread)
			}
		})
	}
	t.Run("failover that lost nothing", func(t *testing.T) {
		r := start(t, complete, true)
		r.exec(`insert into t values (4)`)
		got := r.wait(len(before) + 1)
		expect(t, got[len(before):], `public.t insert {"id":4} after {"id":4}`)
		if epochOf(got[len(before)]) != epochOf(before[0]) {
			t.Errorf("another epoch: %s", got[len(before)].Position())
		}
	})
}

// TestADumpBroughtToAnotherServerIsANewEpochWithAGap: the dump has the schema datawatch with what production's outbox held.
// Nothing of that is told as the new server's changes; what is written there is, before the collector comes by a gap.
func TestADumpBroughtToAnotherServerIsANewEpochWithAGap(t *testing.T) {
	r := newRig(t, `create type mood as enum ('sad', 'happy')`, `create table t (id int primary key, m mood)`)
	r.install()
	stop := r.start()
	r.exec(`insert into t values (1, 'sad')`)
	r.await(1)
	r.awaitTold()
	_ = stop()
	before := r.captured()
	r.exec(`insert into t values (2, 'sad'), (3, 'sad'); update t set m = 'happy' where id = 2`)
	if n := r.number(`select count(*) from datawatch.packs`); n != 3 {
		t.Fatalf("production's outbox holds %d packs", n)
	}
	plain, custom := filepath.Join(t.TempDir(), "dump.sql"), filepath.Join(t.TempDir(), "dump")
	r.clientProgram("pg_dump", "--file", plain, "--dbname", r.dsn)
	r.clientProgram("pg_dump", "--format", "custom", "--file", custom, "--dbname", r.dsn)

	staging := testrig.PrivatePostgres(t, postgres.Options{})
	for name, restore := range map[string]func(dsn string){
		"psql": func(dsn string) {
			r.clientProgram("psql", "-v", "ON_ERROR_STOP=1", "--quiet", "--file", plain, "--dbname", dsn)
		},
		"pg_restore": func(dsn string) { r.clientProgram("pg_restore", "--exit-on-error", custom, "--dbname", dsn) },
	} {
		for _, state := range []string{"kept", "none"} {
			t.Run(name+", progress "+state, func(t *testing.T) {
				database := name + "_" + state
				if err := staging.CreateDatabase(t.Context(), database); err != nil {
					t.Fatal(err)
				}
				restore(staging.DSN(database))
				r, known := r.moved(t, staging.DSN(database)), before
				if n := r.number(`select count(*) from datawatch.packs`); n != 3 {
					t.Fatalf("the dump has %d packs of production", n)
				}
				if state == "none" {
					r.committed, r.events, known = source.Progress{}, nil, nil
				}
				lost := r.clock()
				r.exec(`insert into t values (4, 'sad')`)
				stop := r.start()
				r.await(len(known) + 1)
				r.exec(`insert into t values (5, 'happy')`)
				r.await(len(known) + 2)
				_ = stop()
				if known == nil {
					expect(t, r.captured(), `public.t gap reinstalled`, `public.t insert {"id":5} after {"id":5,"m":"happy"}`)
				} else {
					r.expectGap(known, causeReinstalled, lost, `public.t insert {"id":5} after {"id":5,"m":"happy"}`)
				}
				if status, err := r.source().Status(t.Context()); err != nil || !status.Complete {
					t.Errorf("status %+v, %v", status, err)
				}
			})
		}
	}
}

// TestADumpBroughtBackToItsOwnDatabaseIsANewEpochWithAGap: the server and the database are the same, and the ids of transactions go on. What waited
// in the dump's outbox was told since, and isn't told again.
func TestADumpBroughtBackToItsOwnDatabaseIsANewEpochWithAGap(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	stop := r.start()
	r.exec(`insert into t values (1)`)
	r.await(1)
	r.awaitTold()
	_ = stop()
	file := filepath.Join(t.TempDir(), "dump")
	r.exec(`insert into t values (2)`)
	r.clientProgram("pg_dump", "--format", "custom", "--file", file, "--dbname", r.dsn)
	stop = r.start()
	r.await(2)
	r.exec(`insert into t values (3)`)
	r.await(3)
	r.awaitTold()
	_ = stop()
	before := r.captured()
	r.clientProgram("pg_restore", "--clean", "--if-exists", "--exit-on-error", "--dbname", r.dsn, file)
	lost := r.clock()
	r.exec(`insert into t values (4)`)
	stop = r.start()
	r.await(5)
	r.exec(`insert into t values (5)`)
	r.await(6)
	_ = stop()
	r.expectGap(before, causeRestored, lost, `public.t insert {"id":4} after {"id":4}`, `public.t insert {"id":5} after {"id":5}`)
}

// TestADumpBroughtBackWhileItIsReadEndsWhoReads, and he goes on behind the gap: to the session that is open all looks as before, and the
// outbox has what was told already. What the gap says to do gives the table.
func TestADumpBroughtBackWhileItIsReadEndsWhoReads(t *testing.T) {
	for _, how := range [][]string{nil, {"--single-transaction"}} {
		t.Run(strings.Join(how, ""), func(t *testing.T) {
			r := newRig(t, `create table t (id int primary key, v int)`)
			r.install()
			ended := r.reading()
			r.exec(`insert into t values (1, 1), (2, 2)`)
			r.await(2)
			file := filepath.Join(t.TempDir(), "dump")
			r.clientProgram("pg_dump", "--format", "custom", "--file", file, "--dbname", r.dsn)
			r.exec(`insert into t values (910, 9)`)
			r.exec(`update t set v = 20 where id = 2`)
			r.exec(`delete from t where id = 1`)
			r.await(5)
			before, lost := r.captured(), r.clock()
			r.clientProgram("pg_restore", append(how, "--clean", "--if-exists", "--exit-on-error", "--dbname", r.dsn, file)...)
			r.exec(`insert into t values (3, 3)`)
			r.awaitEnd(ended)
			r.exec(`update t set v = 10 where id = 1`)
			r.wait(8)
			r.expectGap(before, causeRestored, lost, `public.t insert {"id":3} after {"id":3,"v":3}`, `public.t update {"id":1} before {"id":1,"v":1} after {"id":1,"v":10}`)
			id := r.askReplacing("")
			stop := r.start()
			r.awaitEnded(id)
			r.exec(`delete from t where id = 2`)
			r.await(13)
			_ = stop()
			r.holds(replay(t, r.captured()[8:]), "t")
		})
	}
}

// dumped keeps what a dump would have of the schema datawatch. Restore brings that back, in one transaction; tables get their triggers
// behind it.
func (r *rig) dumped() (restore func()) {
	r.t.Helper()
	sql := `drop schema datawatch cascade;`
	steps, err := newRig(r.t).source().Plan(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, step := range steps {
		sql += step.SQL + ";"
	}
	for _, table := range append(strings.Split(allTables(version), ", "), "datawatch.meta", "datawatch.shapes", "datawatch.slots", "datawatch.queue", "datawatch.progress") {
		kept := strings.Replace(table, "datawatch", "pg_temp", 1)
		r.exec(`create table ` + kept + ` as table ` + table)
		sql += `delete from ` + table + `; insert into ` + table + ` table ` + kept + `;`
	}
	return func() {
		r.t.Helper()
		r.exec(sql)
		r.install()
	}
}

// TestASchemaThatWasMadeAnewIsANewEpochHoweverAlikeItLooks: the database seems to have been told of all that was read. What is written there
// is told behind the gap, and what was left out before the dump isn't told again.
func TestASchemaThatWasMadeAnewIsANewEpochHoweverAlikeItLooks(t *testing.T) {
	for _, reads := range []bool{true, false} {
		t.Run(map[bool]string{true: "while it is read", false: "while nobody reads"}[reads], func(t *testing.T) {
			r := newRig(t, `create table t (id int primary key)`)
			r.install()
			r.exec(`insert into t values (1)`)
			r.wait(1)
			r.exec(`insert into t values (2)`)
			restore := r.dumped()
			r.exec(`insert into t values (3)`)
			goOn := func() {}
			if reads {
				goOn = r.readUntil(3)
			} else {
				r.wait(3)
			}
			before, lost := r.captured(), r.clock()
			restore()
			p, err := parseProgress(r.progress())
			if err != nil {
				t.Fatal(err)
			}
			r.exec(fmt.Sprintf(`update datawatch.progress set epoch = '%s', tick = %d, snapshot = '%s'`, p.Epoch, p.Tick, p.Snapshot))
			r.exec(`select setval('datawatch.skipped', 7)`)
			r.exec(`insert into t values (4)`)
			r.exec(`insert into t values (5)`)
			goOn()
			r.wait(7)
			r.expectGap(before, causeRestored, lost, `public.t gap table_new`, `public.t insert {"id":4} after {"id":4}`, `public.t insert {"id":5} after {"id":5}`)
		})
	}
}

// TestATickThatWasReadInPartOfASchemaMadeAnewIsInTheGap: what was left of it is missing there.
func TestATickThatWasReadInPartOfASchemaMadeAnewIsInTheGap(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.limits.pagePacks, r.limits.batchEvents = 2, 2
	r.install()
	r.exec(`insert into t values (0)`)
	r.wait(1)
	restore, lost := r.dumped(), r.clock()
	for id := range 9 {
		r.exec(fmt.Sprintf(`insert into t values (%d)`, id+1))
	}
	goOn := r.readUntil(3)
	restore()
	goOn()
	before := r.captured()
	r.exec(`insert into t values (10)`)
	r.wait(len(before) + 3)
	r.expectGap(before, causeRestored, lost, `public.t gap table_new`, `public.t insert {"id":10} after {"id":10}`)
	if len(before) > 9 {
		t.Errorf("the tick was read whole: %q", briefs(t, before))
	}
}

// readUntil runs the source until n events are there. It goes on when it is told to, which waits until it has ended by itself.
func (r *rig) readUntil(n int) (goOn func()) {
	r.t.Helper()
	held, on, ended := make(chan struct{}, 1), make(chan struct{}), make(chan error, 1)
	emit := func(ctx context.Context, b source.Batch) error {
		err := r.emit(ctx, b)
		if r.count() >= n {
			select {
			case held <- struct{}{}:
			default:
			}
			<-on
		}
		return err
	}
	go func() { ended <- r.source().Run(r.t.Context(), r.progress(), emit) }()
	r.await(n)
	<-held
	return func() {
		r.t.Helper()
		close(on)
		r.awaitEnd(ended)
	}
}

// TestWhatWasReadOfAnotherOutboxSaysNothingOfThisOne: else it would be emptied before it was read, and a checkpoint be reached before the gap.
func TestWhatWasReadOfAnotherOutboxSaysNothingOfThisOne(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`insert into t values (1)`)
	r.wait(1)
	p, err := parseProgress(r.progress())
	if err != nil {
		t.Fatal(err)
	}
	mark, err := r.source().Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer mark.Close(t.Context())
	db, here := r.session(), p.Meta
	for _, p.Meta = range []uint32{here + 1, here} {
		r.exec(`update datawatch.progress set tick = 0`)
		s := r.source()
		s.told <- told{meta: p.Meta, epoch: p.Epoch, tick: p.Tick, snapshot: p.Snapshot}
		if err := s.reclaim(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		if told := r.number(`select tick from datawatch.progress`) > 0; told != (p.Meta == here) {
			t.Errorf("of datawatch.meta %d, not %d, it was told: %v", p.Meta, here, told)
		}
		state, err := p.source()
		if err != nil {
			t.Fatal(err)
		}
		if reached, err := mark.Reached(t.Context(), state); reached != (p.Meta == here) || err != nil {
			t.Errorf("of datawatch.meta %d, not %d, a checkpoint is reached: %v, %v", p.Meta, here, reached, err)
		}
	}
}

// reading runs the source until it ends by itself.
func (r *rig) reading() (ended <-chan error) {
	end := make(chan error, 1)
	go func() { end <- r.source().Run(r.t.Context(), r.progress(), r.emit) }()
	return end
}

func (r *rig) awaitEnd(ended <-chan error) {
	r.t.Helper()
	select {
	case err := <-ended:
		if err == nil {
			r.t.Error("the run ended with nothing")
		}
		r.t.Logf("the run ended with %v", err)
	case <-time.After(30 * time.Second):
		r.t.Fatal("he reads on")
	}
}

// clientProgram runs one of PostgreSQL's programs and gives what it printed. Where the machine has none that fits the server, the
// test is skipped.
func (r *rig) clientProgram(name string, args ...string) string {
	r.t.Helper()
	program, err := exec.LookPath(name)
	if err != nil {
		r.t.Skipf("no %s here", name)
	}
	cmd := exec.CommandContext(r.t.Context(), program, args...)
	var printed, complaints strings.Builder
	cmd.Stdout, cmd.Stderr = &printed, &complaints
	err = cmd.Run()
	if strings.Contains(complaints.String(), "server version mismatch") {
		r.t.Skipf("%s and the server don't fit together: %s", name, complaints.String())
	}
	if err != nil {
		r.t.Fatalf("%s: %v: %s%s", name, err, printed.String(), complaints.String())
	}
	return printed.String()
}
