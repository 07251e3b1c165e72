package postgres

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// keepRunning runs the source again whenever it ends, until the returned function is called.
func (r *rig) keepRunning() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			err := r.source().Run(ctx, r.progress(), r.emit)
			r.t.Logf("run ended with %v", err)
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	r.t.Cleanup(stop)
	return stop
}

// remakeDatabase drops the rig's database, whoever uses it, and makes an empty one of its name.
func (r *rig) remakeDatabase() {
	r.t.Helper()
	at, err := pgx.ParseConfig(r.dsn)
	if err != nil {
		r.t.Fatal(err)
	}
	name := pgx.Identifier{at.Database}.Sanitize()
	at.Database = "postgres"
	admin, err := pgx.ConnectConfig(r.t.Context(), at)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.Background()) }()
	for _, sql := range []string{"drop database " + name + " with (force)", "create database " + name} {
		if _, err := admin.Exec(r.t.Context(), sql); err != nil {
			r.t.Fatal(err)
		}
	}
	r.db = r.session()
}

// restoreOver runs pg_restore, which goes on where things are there already.
func (r *rig) restoreOver(file string, args ...string) {
	r.t.Helper()
	said, err := exec.CommandContext(r.t.Context(), "pg_restore", append(args, "--dbname", r.dsn, file)...).CombinedOutput()
	if err == nil || !bytes.Contains(said, []byte("errors ignored on restore")) {
		r.t.Fatalf("pg_restore: %v: %s", err, said)
	}
}

// awaitLine waits for an event.
func (r *rig) awaitLine(line string) {
	r.t.Helper()
	testrig.Eventually(r.t, 30*time.Second, func() error {
		if got := briefs(r.t, r.captured()); !slices.Contains(got, line) {
			return fmt.Errorf("no %s: %q", line, got)
		}
		return nil
	})
}

// besideGaps are the events that are none.
func besideGaps(events []event.Raw) []event.Raw {
	return slices.DeleteFunc(slices.Clone(events), func(e event.Raw) bool { return e.Type == event.GapType })
}

// TestADatabaseThatIsMadeAnewEndsTheStreamsOfTheOneBefore: while it is empty the collector installs there. What is brought back then, be it so slowly that
// it has tables before their functions are understood, is in a gap, and what that says to do gives the table.
func TestADatabaseThatIsMadeAnewEndsTheStreamsOfTheOneBefore(t *testing.T) {
	for _, slowly := range []bool{false, true} {
		t.Run(map[bool]string{false: "at once", true: "slowly"}[slowly], func(t *testing.T) {
			t.Parallel() // it waits most of its time
			r := newRig(t, `create table t (id int primary key, v int)`, `create table gone (id int primary key)`)
			r.install()
			stop := r.keepRunning()
			r.exec(`insert into t values (1, 1), (2, 2)`)
			r.exec(`insert into gone values (1)`)
			r.await(3)
			file := filepath.Join(t.TempDir(), "dump")
			r.clientProgram("pg_dump", "--format", "custom", "--exclude-table", "gone", "--file", file, "--dbname", r.dsn)
			r.exec(`insert into t values (910, 9)`)
			r.exec(`update t set v = 20 where id = 2`)
			r.exec(`delete from t where id = 1`)
			r.await(6)
			before, lost := r.captured(), r.clock()
			r.remakeDatabase()
			r.await(10)
			got := r.captured()
			expect(t, got[6:], `public.gone gap reinstalled`, `public.gone truncate - drop`, `public.t gap reinstalled`, `public.t truncate - drop`)
			for _, i := range []int{6, 8} {
				if g := gapOf(t, got[i]); g.From.After(lost) || g.To.Before(lost) || epochOf(got[i]) <= epochOf(before[0]) {
					t.Errorf("at %v all was lost, and the gap is %+v", lost, g)
				}
			}
			for stream, rows := range replay(t, besideGaps(got)) {
				if len(rows) > 0 {
					t.Errorf("of %s %v live on", stream, rows)
				}
			}
			r.claimed()
			restored := r.clock()
			if slowly {
				r.restoreOver(file, "--section", "pre-data")
				r.awaitInstalled("t")
				r.restoreOver(file, "--section", "data")
				r.restoreOver(file, "--section", "post-data")
			} else {
				r.restoreOver(file)
			}
			r.exec(`insert into t values (3, 3)`)
			r.awaitLine(`public.t insert {"id":3} after {"id":3,"v":3}`)
			testrig.Eventually(t, 30*time.Second, func() error {
				status, err := r.source().Status(t.Context())
				if err == nil && !status.Complete {
					err = fmt.Errorf("status %+v", status)
				}
				return err
			})
			r.exec(`update t set v = 10 where id = 1`)
			r.awaitLine(`public.t update {"id":1} before {"id":1,"v":1} after {"id":1,"v":10}`)
			if !slices.ContainsFunc(r.captured()[10:], func(e event.Raw) bool {
				return e.Type == event.GapType && e.Stream.Entity() == "public.t" && !gapOf(t, e).To.Before(restored)
			}) {
				t.Errorf("what was restored at %v isn't in a gap: %q", restored, briefs(t, r.captured()[10:]))
			}
			stop()
			n, id := r.count(), r.askReplacing("")
			stop = r.keepRunning()
			r.awaitEnded(id)
			r.exec(`delete from t where id = 2`)
			r.awaitLine(`public.t delete {"id":2} before {"id":2,"v":2}`)
			stop()
			r.holds(replay(t, besideGaps(r.captured()[n:])), "t")
		})
	}
}

// TestAnEpochIsToldInStreamsWhoseTablesAreGone, once, whenever the run that begins it is killed; a stream that has ended isn't told of the next.
func TestAnEpochIsToldInStreamsWhoseTablesAreGone(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table kept (id int primary key)`, `create table left_out (id int primary key, v int)`)
	r.opts.Mask = append(r.opts.Mask, maskOf("shop-db/public.left_out", "drop", "v"))
	r.install()
	r.exec(`insert into t values (1)`)
	r.wait(1)
	file := filepath.Join(t.TempDir(), "dump")
	r.clientProgram("pg_dump", "--format", "custom", "--file", file, "--dbname", r.dsn)
	r.exec(`create table "Late.1" (id int primary key); create table dropped (id int primary key); create table one (id int primary key)`)
	r.install()
	r.exec(`insert into "Late.1" values (1), (2); insert into dropped values (1); drop table dropped; insert into one values (1); alter table one rename to other; insert into left_out values (1, 1)`)
	got := r.wait(9)
	expect(t, got[1:], `public.Late%2E1 insert {"id":1} after {"id":1}`, `public.Late%2E1 insert {"id":2} after {"id":2}`, `public.dropped insert {"id":1} after {"id":1}`, `public.dropped truncate - drop`,
		`public.one insert {"id":1} after {"id":1}`, `public.one truncate - rename`, `public.other gap table_new`, `public.left_out insert {"id":1} after {"id":1}`)
	r.config.Exclude = []string{"public.left_out"}
	for epoch := range 2 {
		n, lost := r.count(), r.clock()
		r.remakeDatabase()
		r.clientProgram("pg_restore", "--exit-on-error", "--dbname", r.dsn, file)
		for _, committed := range []bool{false, true} {
			r.fail = func(int) (before, after bool) { return !committed, committed }
			if err := r.source().Run(t.Context(), r.progress(), r.emit); !errors.Is(err, errBroker) {
				t.Fatalf("the run ended with %v", err)
			}
		}
		r.fail = nil
		stop := r.start()
		r.claimed()
		last := fmt.Sprintf(`public.t insert {"id":%[1]d} after {"id":%[1]d}`, epoch+2)
		r.exec(fmt.Sprintf(`insert into t values (%d)`, epoch+2))
		r.awaitLine(last)
		_ = stop()
		got := r.captured()[n:]
		want := []string{`public.kept gap reinstalled`, `public.t gap reinstalled`}
		if epoch == 0 {
			for _, gone := range []string{"public.Late%2E1", "public.left_out", "public.other"} {
				want = append(want, gone+" gap reinstalled", gone+" truncate - drop")
			}
		}
		expect(t, got, append(want, last)...)
		for _, e := range got[:len(want)] {
			if epochOf(e) != epochOf(got[0]) {
				t.Errorf("%s is of another epoch than %s", e.Position(), got[0].Position())
			}
			if e.Type == event.GapType {
				if g := gapOf(t, e); g.From.After(lost) || g.To.Before(lost) {
					t.Errorf("the gap is from %v to %v, and at %v all was lost", g.From, g.To, lost)
				}
			} else if c := rowChange(t, e); c.Table != map[string]string{"public.Late%2E1": "Late.1", "public.left_out": "left_out", "public.other": "other"}[e.Stream.Entity()] || c.Schema != "public" || c.Database == "" {
				t.Errorf("%s", e.Value)
			}
		}
	}
}

// TestProgressKnowsWhichStreamsHaveBegun, and where it is of an earlier program, begins with those of the tables that are there.
func TestProgressKnowsWhichStreamsHaveBegun(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table a (id int primary key)`, `create table other (id int primary key)`, `create table p (id int primary key) partition by range (id)`)
	begun := func(want ...string) {
		t.Helper()
		var e streamsEntry
		if err := json.Unmarshal(r.progress()[entryStreams], &e); err != nil || e.Version != 1 || !slices.Equal(e.Entities, want) {
			t.Errorf("have begun: %s, %v, and not %q", r.progress()[entryStreams], err, want)
		}
	}
	r.install()
	r.exec(`insert into t values (1)`)
	r.exec(`insert into a values (1)`)
	r.wait(2)
	begun("public.a", "public.t")
	r.exec(`truncate t`)
	r.exec(`alter table a rename to b`)
	r.exec(`alter table p attach partition b for values from (0) to (10)`)
	expect(t, r.wait(7)[2:], `public.t truncate -`, `public.a truncate - rename`, `public.b gap table_new`, `public.b truncate - attach`, `public.p read {"id":1} after {"id":1}`)
	begun("public.p", "public.t")
	for _, known := range []bool{true, false} {
		p, err := parseProgress(r.progress())
		if err != nil {
			t.Fatal(err)
		}
		if !known {
			p.Meta = 0
		}
		delete(r.committed, entryStreams)
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		r.committed[entry] = text
		stop := r.start()
		testrig.Eventually(t, 20*time.Second, func() error {
			if r.progress()[entryStreams] == nil {
				return errors.New("it isn't committed")
			}
			return nil
		})
		_ = stop()
		begun("public.other", "public.p", "public.t")
	}
}

// TestAnotherWayOfCaptureIsToldInStreamsWhoseTablesAreGone: those that were captured from the WAL, be they so many that they are packed.
func TestAnotherWayOfCaptureIsToldInStreamsWhoseTablesAreGone(t *testing.T) {
	const tables = `{"version":1,"tables":{"16384":{"schema":"public","table":"t"},"16385":{"schema":"public","table":"gone","root":true},"16386":{"schema":"public","table":"gone","root":true}}}`
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write([]byte(tables)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	packed, err := json.Marshal(map[string]any{"version": 1, "packed": zipped.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"plain": []byte(tables), "packed": packed} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, `create table t (id int primary key)`)
			r.install()
			r.committed = source.Progress{
				entry: json.RawMessage(`{"version":1,"capture":"wal","epoch":"20260101T000000Z","at":"2026-01-01T00:00:00Z"}`), entryTables: text,
				entryStreams: json.RawMessage(`{"version":1,"entities":["public.of_before"]}`),
			}
			expect(t, r.wait(3), `public.t gap capture_changed`, `public.gone gap capture_changed`, `public.gone truncate - drop`)
			if got, err := BegunStreams("shop-db", r.progress()); err != nil || len(got) != 1 || !got["shop-db/public.t"] {
				t.Errorf("have begun: %v, %v", got, err)
			}
		})
	}
}
