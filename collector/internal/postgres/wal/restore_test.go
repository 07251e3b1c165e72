package wal

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	servers "datawatch/pkg/testrig/postgres"
)

// TestAServerWithoutItsLastChangesIsANewEpochWithAGap: one that was restored from an earlier copy of its files, and a standby,
// with the slot, that is promoted without the last changes; also where the copy was written to until its WAL is longer than what
// was read, and where nothing was read of what it lacks but that others wrote. A standby that has everything goes on where the
// other one was.
func TestAServerWithoutItsLastChangesIsANewEpochWithAGap(t *testing.T) {
	dir := testrig.PostgresDir(t)
	primary := testrig.PrivatePostgres(t, servers.Options{Dir: dir})
	if err := primary.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, primary.DSN("shop"), `create table t (id int primary key)`, `create table other (v text)`)
	r.config.Exclude = []string{"public.other"}
	r.exec(`insert into t values (0)`)
	r.install()
	r.exec(`insert into t values (1)`)
	r.wait(1)
	if err := primary.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	earlier, earlierStandby, written := testrig.CopyPostgres(t, dir, false), testrig.CopyPostgres(t, dir, true), testrig.CopyPostgres(t, dir, false)
	if err := primary.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.db = r.session()
	r.exec(`insert into t select generate_series(2, 1001)`)
	r.wait(1001)
	if err := primary.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	complete, idle := testrig.CopyPostgres(t, dir, true), testrig.CopyPostgres(t, dir, false)
	before, known := r.captured(), maps.Clone(r.committed)
	if err := primary.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.db = r.session()
	stop := r.start()
	r.exec(`insert into other select repeat('x', 1000) from generate_series(1, 300)`)
	end := r.end()
	testrig.Eventually(t, time.Minute, func() error {
		if p, err := parseProgress(r.progress()); err != nil || p.read.LSN < end {
			return fmt.Errorf("progress is before %s, %w", end, err)
		}
		return nil
	})
	_ = stop()
	if err := primary.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, one := range map[string]struct {
		dir       string
		committed source.Progress
		promoted  bool
		written   bool
		gap       bool
	}{
		"restore":                        {earlier, known, false, false, true},
		"restore that was written to":    {written, known, false, true, true},
		"restore that lost nothing read": {idle, r.committed, false, true, true},
		"failover":                       {earlierStandby, known, true, false, true},
		"failover that lost nothing":     {complete, known, true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := testrig.PrivatePostgres(t, servers.Options{Dir: one.dir})
			r2 := newRigOn(t, server.DSN("shop"))
			r2.config.Exclude, r2.committed = r.config.Exclude, maps.Clone(one.committed)
			if one.promoted {
				r2.exec(`select pg_promote()`)
			}
			var want []string
			for id := 3000; one.written && r2.end() < r2.read()+1000; id++ {
				r2.exec(fmt.Sprintf(`insert into t values (%d); insert into other select repeat('x', 1000) from generate_series(1, 10)`, id))
				want = append(want, fmt.Sprintf(`public.t insert {"id":%[1]d} after {"id":%[1]d}`, id))
			}
			stop := r2.start()
			if one.gap {
				r2.awaitLast(func(e event.Raw) bool { return e.Type == event.GapType })
			}
			r2.exec(`insert into t values (2000)`)
			r2.awaitLast(func(e event.Raw) bool { return string(e.Key) == `{"id":2000}` })
			_ = stop()
			// The slot may have begun with what the copy had not noted as read: that is told again, in the new epoch.
			got := slices.DeleteFunc(r2.captured(), func(e event.Raw) bool { return string(e.Key) == `{"id":1}` })
			want = append(want, `public.t insert {"id":2000} after {"id":2000}`)
			if one.gap {
				want = append([]string{`public.t gap ` + causeRestored}, want...)
			}
			expect(t, got, want...)
			if later := epochOf(got[0].Position()) > epochOf(before[0].Position()); later != one.gap {
				t.Errorf("positions %s, %s", before[0].Position(), got[0].Position())
			}
		})
	}
}

// end is the end of the server's WAL.
func (r *rig) end() pglogrepl.LSN {
	r.t.Helper()
	var text string
	if err := r.db.QueryRow(r.t.Context(), `select pg_current_wal_flush_lsn()::text`).Scan(&text); err != nil {
		r.t.Fatal(err)
	}
	end, err := pglogrepl.ParseLSN(text)
	if err != nil {
		r.t.Fatal(err)
	}
	return end
}

// read is the last place that was read.
func (r *rig) read() pglogrepl.LSN {
	r.t.Helper()
	p, err := parseProgress(r.progress())
	if err != nil {
		r.t.Fatal(err)
	}
	return p.read.last()
}

// TestWhatIsSentAgainProvesWhichHistoryItIs: the last transaction that was read comes again where the slot is behind it, one that was
// read in part comes first, and nothing else does before what was read.
func TestWhatIsSentAgainProvesWhichHistoryItIs(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 15, 0, 123456000, time.UTC)
	read := progress{LSN: 200, Last: doneTx{LSN: 100, XID: 7, At: at}}
	open := read
	open.Open = &openTx{LSN: 250, XID: 9}
	type change pglogrepl.LSN // the commit of its transaction
	begins := func(lsn pglogrepl.LSN, xid uint32, at time.Time) *pglogrepl.BeginMessage {
		return &pglogrepl.BeginMessage{FinalLSN: lsn, Xid: xid, CommitTime: at}
	}
	for name, one := range map[string]struct {
		p    progress
		slot pglogrepl.LSN
		sent []any // beginnings of transactions, changes of them, and places that were reached
		want string
	}{
		"the slot is where reading is":        {read, 200, nil, "none"},
		"nothing was noted":                   {progress{LSN: 200}, 50, nil, "none"},
		"the last one, and the next":          {read, 50, []any{pglogrepl.LSN(60), begins(100, 7, at), begins(300, 8, at)}, "done"},
		"the last one, and nothing":           {read, 50, []any{begins(100, 7, at), pglogrepl.LSN(150), pglogrepl.LSN(200)}, "done"},
		"not yet":                             {read, 50, []any{begins(100, 7, at), pglogrepl.LSN(150)}, "due"},
		"another id":                          {read, 50, []any{begins(100, 8, at)}, "undone"},
		"another time":                        {read, 50, []any{begins(100, 7, at.Add(time.Microsecond))}, "undone"},
		"another place":                       {read, 50, []any{begins(101, 7, at)}, "undone"},
		"only a later one":                    {read, 50, []any{begins(300, 8, at)}, "undone"},
		"only a later place":                  {read, 50, []any{pglogrepl.LSN(101)}, "undone"},
		"one behind the last one":             {read, 50, []any{begins(100, 7, at), begins(150, 8, at), change(150)}, "undone"},
		"an empty one behind the last one":    {read, 50, []any{begins(100, 7, at), change(100), begins(150, 8, at), pglogrepl.LSN(200)}, "done"},
		"a slot behind the last one":          {read, 120, []any{pglogrepl.LSN(120), begins(300, 8, at)}, "done"},
		"a slot behind the last one, and one": {read, 120, []any{begins(150, 8, at), change(150)}, "undone"},
		"none since the epoch began":          {progress{LSN: 200, Last: doneTx{LSN: 100}}, 100, []any{begins(200, 8, at)}, "done"},
		"one since the epoch began":           {progress{LSN: 200, Last: doneTx{LSN: 100}}, 100, []any{begins(100, 8, at), change(100)}, "undone"},
		"the open one":                        {open, 200, []any{pglogrepl.LSN(230), begins(250, 9, at)}, "done"},
		"another open one":                    {open, 200, []any{begins(250, 8, at)}, "undone"},
		"none for the open one":               {open, 200, []any{pglogrepl.LSN(251)}, "undone"},
	} {
		got, p := "due", newProof(&one.p, one.slot)
		if p == nil {
			got = "none"
		}
		for _, m := range one.sent {
			var done bool
			var err error
			switch m := m.(type) {
			case pglogrepl.LSN:
				done, err = p.reaches(m)
			case change:
				err = p.changes(pglogrepl.LSN(m))
			case *pglogrepl.BeginMessage:
				done, err = p.begins(m)
			}
			switch {
			case err != nil:
				got = "undone"
			case done:
				got = "done"
			}
		}
		if got != one.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
