package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

func gapOf(t *testing.T, e event.Raw) event.Gap {
	t.Helper()
	var g event.Gap
	if err := json.Unmarshal(e.Value, &g); err != nil || e.Type != event.GapType {
		t.Fatalf("%s is no gap: %v", e.Value, err)
	}
	return g
}

func TestWhatANewTableHeldBeforeItsTriggersIsAGap(t *testing.T) {
	r := newRig(t, `create table old (id int primary key)`, `insert into old values (1)`)
	r.install()
	stop := r.start()
	r.exec(`insert into old values (2)`)
	r.await(1)
	n := 0
	testrig.Promptly(t, reconcileEvery/2, func() time.Duration {
		created := time.Now()
		n++
		r.exec(fmt.Sprintf(`create table soon_%d (id int primary key)`, n))
		r.awaitInstalled(fmt.Sprint("soon_", n))
		return time.Since(created)
	})
	created := time.Now()
	r.exec(`create table fresh (id int primary key); insert into fresh values (1); create table empty (id int primary key)`)
	r.awaitInstalled("fresh")
	r.awaitInstalled("empty")
	r.exec(`insert into fresh values (2); insert into empty values (1)`)
	r.await(4)
	_ = stop()
	got := r.captured()
	expect(t, got,
		`public.old insert {"id":2} after {"id":2}`,
		`public.fresh gap table_new`,
		`public.fresh insert {"id":2} after {"id":2}`,
		`public.empty insert {"id":1} after {"id":1}`)
	g := gapOf(t, got[1])
	if g.From.After(created) || g.From.Before(created.Add(-reconcileEvery)) || g.To.Before(created) || g.Lost != nil || g.Remedy == "" {
		t.Errorf("the table was made at %v: gap %+v", created, g)
	}
}

func TestANewPartitionsRowsAreAGapOfTheRoot(t *testing.T) {
	r := newRig(t, `create table p (id int primary key) partition by range (id)`, `create table p0 partition of p for values from (0) to (10)`)
	r.install()
	r.exec(`create table p1 partition of p for values from (10) to (20); insert into p1 values (11)`)
	r.exec(`create table p2 partition of p for values from (20) to (30)`)
	r.install()
	r.exec(`insert into p1 values (12); insert into p2 values (21)`)
	expect(t, r.wait(3),
		`public.p gap table_new`,
		`public.p insert {"id":12} after {"id":12}`,
		`public.p insert {"id":21} after {"id":21}`)
}

func TestWhatANewTableHeldWhileTheCollectorWasAwayIsAGap(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`insert into t values (1)`)
	r.wait(1)
	away := time.Now()
	r.exec(`create table s (id int primary key); insert into s values (1)`)
	got := r.wait(2)
	expect(t, got[1:], `public.s gap table_new`)
	if g := gapOf(t, got[1]); g.From.After(away) || g.To.Before(away) {
		t.Errorf("away at %v: gap %+v", away, g)
	}
}

// TestATableThatIsMadeAnewIsAnother: the stream of the one that was dropped ends, though the other has its name when the collector looks.
func TestATableThatIsMadeAnewIsAnother(t *testing.T) {
	const anew = `drop table t; create table t (id int primary key)`
	ended := []string{`public.t insert {"id":1} after {"id":1}`, `public.t truncate - drop`}
	last := `public.t insert {"id":3} after {"id":3}`
	for name, c := range map[string]struct {
		sql  string
		want []string
	}{
		"empty":                 {anew, append(slices.Clone(ended), last)},
		"in a transaction":      {`begin; ` + anew + `; commit`, append(slices.Clone(ended), last)},
		"with rows":             {anew + `; insert into t values (2)`, append(slices.Clone(ended), `public.t gap table_new`, last)},
		"a row before":          {`insert into t values (2); ` + anew, []string{ended[0], `public.t insert {"id":2} after {"id":2}`, ended[1], last}},
		"as a view and a table": {`drop table t; create table s (id int primary key); create view t as select * from s`, append(slices.Clone(ended), `public.s insert {"id":3} after {"id":3}`)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, `create table t (id int primary key)`)
			r.install()
			r.exec(`insert into t values (1)`)
			r.wait(1)
			for statement := range strings.SplitSeq(c.sql, "; ") {
				r.exec(statement)
			}
			r.install()
			r.exec(`insert into t values (3)`)
			expect(t, r.wait(len(c.want)), c.want...)
		})
	}
}

// TestATableThatOnlyLostItsTriggersGoesOn.
func TestATableThatOnlyLostItsTriggersGoesOn(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`insert into t values (1)`)
	r.exec(`do $$ declare g name; begin for g in select tgname from pg_trigger where tgrelid = 't'::regclass and not tgisinternal loop execute format('drop trigger %I on t', g); end loop; end $$`)
	r.exec(`alter table t add column v text`)
	r.exec(`vacuum full t`)
	r.install()
	r.exec(`insert into t values (2, 'a')`)
	expect(t, r.wait(3), `public.t insert {"id":1} after {"id":1}`, `public.t gap table_new`, `public.t insert {"id":2} after {"id":2,"v":"a"}`)
}

// TestATableThatCannotBeCapturedIsTold: once, with the reason, and when it can be, with how long it wasn't.
func TestATableThatCannotBeCapturedIsTold(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table billing (id int primary key)`)
	for _, role := range []string{"dw_test_installer", "dw_test_reader"} {
		r.exec(`drop role if exists ` + role + `; create role ` + role + ` login password 'x'`)
	}
	t.Cleanup(func() {
		db := r.session0()
		for _, role := range []string{"dw_test_installer", "dw_test_reader"} {
			_, _ = db.Exec(context.Background(), `drop owned by `+role+` cascade; drop role `+role)
		}
		_ = db.Close(context.Background())
	})
	r.exec(`do $$ begin execute format('grant create on database %I to dw_test_installer', current_database()); end $$; grant trigger on t to dw_test_installer; insert into billing values (1)`)
	r.config.InstallDSN, r.config.DSN = r.as("dw_test_installer", "x"), r.as("dw_test_reader", "x")
	_ = r.start()
	r.await(1)
	r.exec(`insert into t values (1)`)
	r.await(2)
	r.exec(`grant trigger on billing to dw_test_installer`)
	r.awaitInstalled("billing")
	r.exec(`insert into billing values (2)`)
	r.await(4)
	expect(t, r.captured(), `public.billing gap not_captured`, `public.t insert {"id":1} after {"id":1}`, `public.billing gap table_new`, `public.billing insert {"id":2} after {"id":2}`)
	if g := gapOf(t, r.captured()[0]); !strings.Contains(g.Remedy, "permission denied for table billing") {
		t.Error(g.Remedy)
	}
}

// TestATableWithoutAnInstallerIsTold: while nobody can connect as the role that installs, a new table is told as not captured, and why; once
// somebody can, since when it wasn't.
func TestATableWithoutAnInstallerIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, `create table t (id int primary key)`)
	r.role("dw_barred_installer")
	r.role("dw_barred_reader")
	r.exec(`do $$ begin execute format('grant create on database %I to dw_barred_installer', current_database()); end $$; alter default privileges grant trigger on tables to dw_barred_installer; grant trigger on t to dw_barred_installer`)
	r.config.InstallDSN, r.config.DSN = r.as("dw_barred_installer", "x"), r.as("dw_barred_reader", "x")
	_ = r.start()
	r.awaitInstalled("t")
	r.exec(`alter role dw_barred_installer nologin`)
	r.exec(`insert into t values (1)`)
	r.await(1)
	made := time.Now()
	r.exec(`create table fresh (id int primary key); insert into fresh values (1)`)
	r.await(2)
	g := gapOf(t, r.captured()[1])
	if !strings.Contains(g.Remedy, "install_dsn") || !strings.Contains(g.Remedy, "not permitted to log in") || strings.Contains(g.Remedy, ":x@") {
		t.Error(g.Remedy)
	}
	r.exec(`alter role dw_barred_installer login`)
	r.awaitInstalled("fresh")
	r.exec(`insert into fresh values (2)`)
	r.await(4)
	expect(t, r.captured(), `public.t insert {"id":1} after {"id":1}`, `public.fresh gap not_captured`, `public.fresh gap table_new`, `public.fresh insert {"id":2} after {"id":2}`)
	for _, e := range r.captured()[1:3] {
		if g := gapOf(t, e); g.From.After(made) {
			t.Errorf("the table was made at %v: gap %+v", made, g)
		}
	}
}

// TestATableThatNobodyInstalledIsTold: where a database administrator is to run the plan.
func TestATableThatNobodyInstalledIsTold(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.config.ManageTriggers = false
	_ = r.start()
	r.exec(`create table fresh (id int primary key)`)
	r.await(1)
	expect(t, r.captured(), `public.fresh gap not_captured`)
}

// TestATreeWithAForeignTableIsNotCaptured: PostgreSQL would refuse the application's writes through it.
func TestATreeWithAForeignTableIsNotCaptured(t *testing.T) {
	r := newRig(t, `create foreign data wrapper away; create server away foreign data wrapper away`,
		`create table p (id int) partition by range (id); create table p0 partition of p for values from (0) to (10);
		create table parent (id int); create table child () inherits (parent); create table q (id int) partition by range (id); create table q0 partition of q for values from (0) to (10);
		create foreign table q1 partition of q for values from (10) to (20) server away; create foreign table kin () inherits (parent) server away`)
	_ = r.start()
	r.awaitInstalled("p")
	r.awaitInstalled("child")
	for _, table := range []string{"parent", "q", "q0"} {
		if n := r.number(`select count(*) from pg_trigger where tgname like '\_datawatch%' and tgrelid = '` + table + `'::regclass`); n != 0 {
			t.Errorf("%s has %d triggers", table, n)
		}
	}
	r.exec(`insert into p values (1)`)
	r.await(1)
	r.exec(`create foreign table p1 partition of p for values from (10) to (20) server away`)
	if n := r.number(`select count(*) from pg_trigger where tgname = '_datawatch_insert' and tgrelid = 'p'::regclass`); n != 0 {
		t.Error("p is captured")
	}
	testrig.Eventually(t, time.Minute, func() error {
		missing := map[string]bool{"public.p gap not_captured": true, "public.q gap not_captured": true, "public.parent gap not_captured": true}
		for _, e := range r.captured() {
			if line := brief(t, e); missing[line] && strings.Contains(gapOf(t, e).Remedy, "foreign table") {
				delete(missing, line)
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("not told: %v", missing)
		}
		return nil
	})
	r.exec(`drop foreign table p1`)
	r.awaitInstalled("p")
	n := r.count()
	r.exec(`insert into p values (2)`)
	r.await(n + 1)
}

// TestWhatIsInstalledIsLookedAtAnewWhereACatalogChanged, and else seldom: it takes a query for each table.
func TestWhatIsInstalledIsLookedAtAnewWhereACatalogChanged(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`, `create type mood as enum ('sad')`)
	r.install()
	s := r.source()
	looks := func() bool {
		before := s.refused.Load() // each installation makes another
		s.reconcile(t.Context(), r.db)
		return s.refused.Load() != before
	}
	settle := func(what string) {
		t.Helper()
		if !looks() {
			t.Errorf("%s isn't seen", what)
		}
		for n := 0; looks(); n++ {
			if n == 3 {
				t.Fatalf("after %s everything is looked at again and again", what)
			}
		}
	}
	settle("the first time")
	r.exec(`insert into t select g, 'v' from generate_series(1, 1000) g; analyze; create temp table aside (id serial, m mood); drop table aside`)
	r.exec(`vacuum t`)
	if looks() {
		t.Error("what changes no table, but for temporary ones, counts")
	}
	for _, ddl := range []string{
		`alter type mood add value 'happy'`, `drop trigger _datawatch_delete on t`, `alter table t replica identity full`, `create table u (id int)`,
		`set event_triggers = off; alter table t add w mood; reset event_triggers`, `create index on t (v)`, `alter table t disable trigger _datawatch_insert`,
	} {
		if strings.Contains(ddl, "event_triggers") && r.number(`select current_setting('server_version_num')::int`) < 170000 {
			ddl = `set session_replication_role = replica; alter table t add w mood; reset session_replication_role`
		}
		r.exec(ddl)
		settle(ddl)
	}
	s.settled.at = s.settled.at.Add(-anywayEvery)
	settle("the time that has passed")
}

// TestATableThatTakesADroppedOnesNameBeginsBehindIt, though it was captured before by a name of its own.
func TestATableThatTakesADroppedOnesNameBeginsBehindIt(t *testing.T) {
	for _, followed := range []bool{true, false} {
		t.Run(map[bool]string{true: "with an event trigger", false: "without"}[followed], func(t *testing.T) {
			r := newRig(t, `create table a (id int primary key)`, `create table a_new (id int primary key)`)
			r.unfollowed = !followed
			r.install()
			r.exec(`insert into a values (1), (2)`)
			r.exec(`insert into a_new values (1)`)
			r.exec(`begin; drop table a; alter table a_new rename to a; commit`)
			r.install()
			r.exec(`insert into a values (3)`)
			var of []string
			for _, line := range briefs(t, r.drained()) {
				if strings.HasPrefix(line, "public.a ") {
					of = append(of, line)
				}
			}
			want := []string{`public.a truncate - drop`, `public.a gap table_new`, `public.a insert {"id":3} after {"id":3}`}
			if len(of) < len(want) || !slices.Equal(of[len(of)-len(want):], want) {
				t.Errorf("%q", of)
			}
		})
	}
}
