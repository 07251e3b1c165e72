package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
)

// catalog is what there is in the database, in lines.
func catalog(t *testing.T, db *pgx.Conn) []string {
	t.Helper()
	rows, err := db.Query(t.Context(), `
		select 'class ' || oid || ' ' || relname || coalesce(array_to_string(relacl, ','), '') from pg_class where oid >= 16384 and relkind <> 't'
		union all select 'proc ' || oid || ' ' || proname from pg_proc where oid >= 16384
		union all select 'trigger ' || oid || ' ' || tgname from pg_trigger
		union all select 'event ' || evtname from pg_event_trigger
		union all select 'namespace ' || nspname from pg_namespace where nspname not like 'pg\_%'
		union all select 'type ' || typname from pg_type where oid >= 16384 and typname not like 'pg_toast%'
		union all select 'depend ' || refobjid || ' ' || objid from pg_shdepend where dbid = (select oid from pg_database where datname = current_database())
		order by 1`)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

const shopDDL = `create schema "odd.one"; create table "odd.one"."T" (id int primary key);
	create table "odd.one"."Weird ""Table" (n int, old int, rows text, "a\'b" int, primary key (old, n)); create table "odd.one"."tree; --" (id int, parent int, primary key (id)) partition by range (id);
	create table "odd.one"."l'eaf" partition of "odd.one"."tree; --" for values from (0) to (10); alter table "odd.one"."tree; --" add foreign key (parent) references "odd.one"."tree; --" on delete cascade;
	create table orders (id int primary key, v text); create table p (id int primary key) partition by range (id);
	create table p1 partition of p for values from (0) to (10)`

func TestRemoveLeavesNothing(t *testing.T) {
	r := newRig(t, shopDDL)
	r.config.Tables = []string{"*.*"}
	before := catalog(t, r.db)
	r.install()
	r.exec(`insert into orders values (1, 'x')`)
	if after := catalog(t, r.db); slices.Equal(before, after) {
		t.Fatal("nothing was installed")
	}
	if err := r.source().Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := catalog(t, r.db); !slices.Equal(before, after) {
		t.Errorf("left or lost:\n%s", strings.Join(difference(before, after), "\n"))
	}
	if err := r.source().Remove(t.Context()); err != nil {
		t.Errorf("removing what isn't there: %v", err)
	}
}

func difference(a, b []string) []string {
	var lines []string
	for _, l := range a {
		if !slices.Contains(b, l) {
			lines = append(lines, "- "+l)
		}
	}
	for _, l := range b {
		if !slices.Contains(a, l) {
			lines = append(lines, "+ "+l)
		}
	}
	return lines
}

func TestInstallingTwiceChangesNothing(t *testing.T) {
	r := newRig(t, shopDDL)
	r.install()
	before := catalog(t, r.db)
	steps, err := r.source().Plan(t.Context())
	if err != nil || len(steps) != 0 {
		t.Fatalf("a second plan has %d statements, %v", len(steps), err)
	}
	r.install()
	if after := catalog(t, r.db); !slices.Equal(before, after) {
		t.Errorf("changed:\n%s", strings.Join(difference(before, after), "\n"))
	}
}

// TestAPlanRunByHandIsComplete: each statement by itself, and it takes no other locks on tables of the application's than it tells.
func TestAPlanRunByHandIsComplete(t *testing.T) {
	r := newRig(t, shopDDL, `create table parent (id int primary key); create table child (id int primary key, parent int references parent on delete cascade)`,
		`create table t (id int primary key, v text)`, ownRowTrigger)
	r.config.Exclude = []string{"odd.one.tree*"}
	r.config.Tables = []string{"*.*"}
	for what, alter := range []string{
		``, // nothing is installed yet
		`create table late (id int primary key); insert into late values (1); alter table parent add v int; drop trigger _datawatch_insert on orders; drop table p cascade`,
		`drop trigger again on t; alter table child drop constraint child_parent_fkey`, // what announces their statements isn't needed any more
	} {
		r.exec(alter)
		steps, err := r.source().Plan(t.Context())
		if err != nil || len(steps) == 0 {
			t.Fatalf("%d: a plan of %d steps, %v", what, len(steps), err)
		}
		r.runsAsTold(steps)
		status, err := r.source().Status(t.Context())
		if err != nil || !status.Complete || len(status.Tables) < 6 {
			t.Errorf("%d: status %+v, %v", what, status, err)
		}
	}
	r.config.Exclude = []string{"*.*"}
	steps, err := r.source().Plan(t.Context())
	if err != nil || len(steps) < 6 {
		t.Errorf("a plan of %v, %v", steps, err)
	}
	r.runsAsTold(steps)
}

// runsAsTold runs steps, a transaction each group, and looks at the locks that each of them takes.
func (r *rig) runsAsTold(steps []Statement) {
	r.t.Helper()
	look := r.session()
	modes := map[string]string{"SHARE ROW EXCLUSIVE": "ShareRowExclusiveLock", "ACCESS EXCLUSIVE": "AccessExclusiveLock"}
	for _, group := range Groups(steps) {
		before := map[string]bool{}
		r.exec(`begin`)
		for _, step := range group {
			if step.Lock == "" {
				r.t.Errorf("no lock is told of %s", step.SQL)
			}
			r.exec(step.SQL)
			rows, err := look.Query(r.t.Context(), `select distinct format('%I.%I', n.nspname, c.relname), l.mode from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
				where l.pid = $1 and l.database = (select oid from pg_database where datname = current_database()) and n.nspname not in ('datawatch', 'pg_catalog', 'pg_toast')
				and l.mode <> 'AccessShareLock'`, r.db.PgConn().PID())
			if err != nil {
				r.t.Fatal(err)
			}
			var table, mode string
			if _, err := pgx.ForEachRow(rows, []any{&table, &mode}, func() error {
				told, on, _ := strings.Cut(step.Lock, " on ")
				if name := strings.ReplaceAll(strings.SplitN(on, ", for an instant", 2)[0], `"`, ""); !before[table+mode] && (modes[told] != mode || name != strings.ReplaceAll(table, `"`, "")) {
					r.t.Errorf("%.80q takes %s on %s, and tells %q", step.SQL, mode, table, step.Lock)
				}
				before[table+mode] = true
				return nil
			}); err != nil {
				r.t.Fatal(err)
			}
		}
		r.exec(`commit`)
	}
}

// TestAPlanRunByADBAIsEnoughForTheReader: nobody else than the DBA may install, and his plan gives the reader its rights.
func TestAPlanRunByADBAIsEnoughForTheReader(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.exec(`drop role if exists dw_plan_reader; create role dw_plan_reader login password 'x'`)
	t.Cleanup(func() {
		r.db = r.session0()
		_, _ = r.db.Exec(context.Background(), `drop owned by dw_plan_reader; drop role dw_plan_reader`)
	})
	r.config.ManageTriggers, r.config.DSN = false, r.as("dw_plan_reader", "x")
	steps, err := r.source().Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		r.exec(step.SQL)
	}
	if status, err := r.source().Status(t.Context()); err != nil || !status.Complete {
		t.Errorf("status %+v, %v", status, err)
	}
	if again, err := r.source().Plan(t.Context()); err != nil || len(again) > 0 {
		t.Errorf("a second plan of %+v, %v", again, err)
	}
	stop := r.start()
	r.exec(`insert into t values (1, 'x')`)
	r.await(1)
	r.awaitTold()
	_ = stop()
	expect(t, r.captured(), `public.t insert {"id":1} after {"id":1,"v":"x"}`)
}

func TestOthersDoNotQueueBehindAnInstallation(t *testing.T) {
	r := newRig(t, shopDDL)
	r.install()
	r.exec(`create table busy (id int primary key); create table another (id int primary key);`)
	holder := r.session()
	tx, err := holder.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `insert into busy values (1)`); err != nil {
		t.Fatal(err)
	}
	installed := make(chan error, 1)
	go func() { installed <- r.source().Install(context.WithoutCancel(t.Context())) }()
	slowest := time.Duration(0)
	for i := range 100 {
		started := time.Now()
		if _, err := r.db.Exec(t.Context(), `insert into busy values ($1)`, 10+i); err != nil {
			t.Fatal(err)
		}
		r.exec(`select count(*) from busy`)
		slowest = max(slowest, time.Since(started))
		time.Sleep(5 * time.Millisecond)
	}
	for table, want := range map[string]int64{"another": 4, "busy": 0} { // a table a transaction: the others don't wait for it
		if n := r.number(`select count(*) from pg_trigger where tgrelid = '` + table + `'::regclass and tgname like '\_datawatch%'`); n != want {
			t.Errorf("%s has %d triggers while busy is held", table, n)
		}
	}
	if slowest > 10*time.Second { // without the installation's lock_timeout they would wait until the other has ended
		t.Errorf("a write waited %v behind the installation", slowest)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-installed; err != nil {
		t.Errorf("installation after the table was free: %v", err)
	}
}

// TestOthersDoNotQueueBehindARemoval: neither writers nor readers, while a long transaction holds a table.
func TestOthersDoNotQueueBehindARemoval(t *testing.T) {
	r := newRig(t, `create table another (id int primary key)`, `create table busy (id int primary key)`, `create table idle (id int primary key)`)
	r.install()
	holder := r.session()
	tx, err := holder.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `insert into busy values (1)`); err != nil {
		t.Fatal(err)
	}
	removed := make(chan error, 1)
	go func() { removed <- r.source().Remove(context.WithoutCancel(t.Context())) }()
	for i := range 40 {
		started := time.Now()
		r.exec(fmt.Sprintf(`insert into busy values (%d); select count(*) from busy`, 10+i))
		if took := time.Since(started); took > 10*time.Second { // without a lock_timeout they would wait until the other has ended
			t.Fatalf("others waited %v behind the removal", took)
		}
		time.Sleep(5 * time.Millisecond) // a pace
	}
	for table, want := range map[string]int64{"busy": 4, "another": 0} { // a table a transaction
		if n := r.number(`select count(*) from pg_trigger where tgrelid = '` + table + `'::regclass and tgname like '\_datawatch%'`); n != want {
			t.Errorf("%s has %d triggers while busy is held", table, n)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = <-removed
	if err != nil && strings.Contains(err.Error(), "run this again") { // the table was held too long
		err = r.source().Remove(t.Context())
	}
	if err != nil {
		t.Errorf("removal after the table was free: %v", err)
	}
	if n := r.number(`select count(*) from pg_trigger where tgname like '\_datawatch%'`) + r.number(`select count(*) from pg_namespace where nspname = 'datawatch'`); n > 0 {
		t.Errorf("%d things are left", n)
	}
}

func TestNewTablesAreFollowedAndDeselectedOnesLeft(t *testing.T) {
	r := newRig(t, `create table a (id int primary key)`, `create table tmp_b (id int primary key)`)
	r.install()
	r.exec(`create table c (id int primary key)`)
	r.config.Exclude = []string{"public.tmp_*"}
	stop := r.start()
	r.exec(`insert into a values (1)`)
	r.await(1)
	r.exec(`insert into c values (1); insert into tmp_b values (1); insert into a values (2)`)
	r.await(3)
	_ = stop()
	expect(t, r.captured(), `public.a insert {"id":1} after {"id":1}`, `public.c insert {"id":1} after {"id":1}`, `public.a insert {"id":2} after {"id":2}`)
}

func TestWithoutManageTriggersNothingIsInstalled(t *testing.T) {
	r := newRig(t, shopDDL)
	r.config.ManageTriggers = false
	before := catalog(t, r.db)
	err := r.source().Run(t.Context(), nil, r.emit)
	if err == nil || !strings.Contains(err.Error(), "triggers install") || errors.Is(err, context.Canceled) {
		t.Errorf("run says %v", err)
	}
	if after := catalog(t, r.db); !slices.Equal(before, after) {
		t.Error("something was installed")
	}
	findings := r.source().Check(t.Context())
	if last := findings[1]; last.Err == nil || last.Remedy == "" {
		t.Errorf("check says %+v", findings)
	}
}

// TestAPublicationOfAllTablesIsTold: a subscriber that lacks datawatch's stops at the first row of them.
func TestAPublicationOfAllTablesIsTold(t *testing.T) {
	r := newRig(t, `create table t (id int primary key); create publication named for table t`)
	told := func() (details []string) {
		for _, f := range r.source().Check(t.Context()) {
			if strings.HasSuffix(f.What, " publications") {
				details = append(details, f.Detail)
			}
		}
		return details
	}
	if got := told(); len(got) != 0 {
		t.Errorf("check tells %q", got)
	}
	r.exec(`create publication everything for all tables`)
	if got := told(); len(got) != 1 || !strings.Contains(got[0], "everything") || strings.Contains(got[0], "named") {
		t.Errorf("check tells %q", got)
	}
}

func TestAReaderWithoutRightsOnTheTablesReads(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.exec(`drop role if exists dw_test_reader; create role dw_test_reader login password 'x'`)
	t.Cleanup(func() {
		r.db = r.session0()
		_, _ = r.db.Exec(context.Background(), `drop owned by dw_test_reader; drop role dw_test_reader`)
	})
	r.config.InstallDSN = r.config.DSN
	r.config.DSN = r.as("dw_test_reader", "x")
	r.exec(`insert into t values (0, 'before')`)
	stop := r.start()
	r.awaitInstalled("t")
	r.exec(`insert into t values (1, 'x')`)
	r.await(1)
	_ = stop()
	expect(t, r.captured(), `public.t insert {"id":1} after {"id":1,"v":"x"}`)
	steps, err := r.source().Plan(t.Context())
	if err != nil || len(steps) != 0 {
		t.Errorf("a second plan has %v, %v", steps, err)
	}
}

func TestADroppedTableIsForgotten(t *testing.T) {
	r := newRig(t, `create table a (id int primary key)`, `create table b (id int primary key)`)
	r.install()
	r.exec(`insert into a values (1); insert into b values (2); drop table a`)
	r.install()
	var functions int
	if err := r.db.QueryRow(t.Context(), `select count(*) from pg_proc where proname like 'capture\_a\_%'`).Scan(&functions); err != nil || functions != 0 {
		t.Errorf("%d functions are left, %v", functions, err)
	}
	expect(t, r.wait(3), `public.a insert {"id":1} after {"id":1}`, `public.b insert {"id":2} after {"id":2}`, `public.a truncate - drop`)
}

func TestAStoppedSourceLeavesNothingRunning(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`insert into t values (1)`)
	before := goleak.IgnoreCurrent()
	r.wait(1)
	testrig.NothingRuns(t, before)
	testrig.Eventually(t, 10*time.Second, func() error {
		var n int
		err := r.db.QueryRow(t.Context(), `select count(*) from pg_stat_activity where application_name = $1 and datname = current_database()`, applicationName).Scan(&n)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d sessions", n)
		}
		return err
	})
}

func TestARenamedTableAndAPartitionThatComesOrGoesAreTold(t *testing.T) {
	for _, follow := range []bool{true, false} {
		r := newRig(t, `create table a (id int primary key)`, `create table p (id int primary key) partition by range (id)`,
			`create table p0 partition of p for values from (0) to (10)`, `create table p1 partition of p for values from (10) to (20)`, `create table apart (id int primary key)`)
		r.install()
		if !follow {
			r.exec(`drop event trigger datawatch_follow`)
		}
		r.exec(`insert into a values (1); insert into p values (1), (11); insert into apart values (21)`)
		for _, ddl := range []string{`alter table a rename to b`, `alter table p attach partition apart for values from (20) to (30)`, `alter table p detach partition p0`, `drop table p1`} {
			r.exec(ddl)
			r.install()
		}
		r.exec(`insert into b values (2); insert into p values (22); insert into p0 values (2)`)
		expect(t, r.drained(),
			`public.a insert {"id":1} after {"id":1}`,
			`public.p insert {"id":1} after {"id":1}`,
			`public.p insert {"id":11} after {"id":11}`,
			`public.apart insert {"id":21} after {"id":21}`,
			`public.a truncate - rename`,
			`public.b gap table_new`,
			`public.apart truncate - attach`,
			`public.p gap partition_gone`,
			`public.p0 gap table_new`,
			`public.p gap partition_gone`,
			`public.b insert {"id":2} after {"id":2}`,
			`public.p insert {"id":22} after {"id":22}`,
			`public.p0 insert {"id":2} after {"id":2}`,
			`public.p read {"id":21} after {"id":21}`,
			`public.p read {"id":22} after {"id":22}`)
	}
}

// TestAPartitionIsMadeByWhoeverOwnsTheTree: PostgreSQL copies row triggers to a new partition with the rights of whoever makes it.
func TestAPartitionIsMadeByWhoeverOwnsTheTree(t *testing.T) {
	r := newRig(t, `drop role if exists dw_test_owner; create role dw_test_owner`, `create schema shop authorization dw_test_owner`)
	t.Cleanup(func() {
		db := r.session0()
		_, _ = db.Exec(context.Background(), `drop owned by dw_test_owner cascade; drop role dw_test_owner`)
		_ = db.Close(context.Background())
	})
	r.config.Tables = []string{"shop.*"}
	r.exec(`set role dw_test_owner; create table shop.p (id int primary key, parent int references shop.p on delete cascade) partition by range (id);
		create table shop.p0 partition of shop.p for values from (0) to (10); reset role`)
	r.install()
	r.exec(`set role dw_test_owner; create table shop.p1 partition of shop.p for values from (10) to (20); create table shop.p2 (id int primary key, parent int);
		alter table shop.p attach partition shop.p2 for values from (20) to (30); insert into shop.p values (1, null), (11, 1), (21, 11); delete from shop.p where id = 1; reset role`)
	expect(t, r.wait(6)[:6],
		`shop.p insert {"id":1} after {"id":1,"parent":null}`, `shop.p insert {"id":11} after {"id":11,"parent":1}`, `shop.p insert {"id":21} after {"id":21,"parent":11}`,
		`shop.p delete {"id":1} before {"id":1,"parent":null}`, `shop.p delete {"id":11} before {"id":11,"parent":1}`, `shop.p delete {"id":21} before {"id":21,"parent":11}`)
	r.exec(`create role dw_test_other; grant usage on schema shop to dw_test_other; create table shop.mine (id int primary key); alter table shop.mine owner to dw_test_other`)
	t.Cleanup(func() {
		db := r.session0()
		_, _ = db.Exec(context.Background(), `drop owned by dw_test_other cascade; drop role dw_test_other`)
		_ = db.Close(context.Background())
	})
	var function string
	if err := r.db.QueryRow(t.Context(), `select tgfoid::regproc::text from pg_trigger where tgrelid = 'shop.p0'::regclass and tgname = '_datawatch_insert'`).Scan(&function); err != nil {
		t.Fatal(err)
	}
	r.exec(`set role dw_test_other`)
	if _, err := r.db.Exec(t.Context(), `create trigger forge after insert on shop.mine for each statement execute function `+function+`()`); err == nil || !strings.Contains(err.Error(), "permission denied for schema datawatch") {
		t.Errorf("another's function was taken: %v", err)
	}
	r.exec(`reset role`)
}

// TestATriggerThatTheOwnerTookIsAGap, and one that he renamed doesn't have rows told twice.
func TestATriggerThatTheOwnerTookIsAGap(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table root (id int primary key) partition by list (id)`, `create table leaf partition of root for values in (1)`)
	r.install()
	r.exec(`insert into t values (1); drop trigger _datawatch_delete on t; delete from t; insert into t values (2)`)
	r.exec(`drop trigger _datawatch_insert on root; alter trigger _datawatch_truncated on root rename to _datawatch_insert`)
	if err := r.source().Install(t.Context()); err == nil || !strings.Contains(err.Error(), `"_datawatch_insert" for relation "root" already exists`) {
		t.Errorf("installed with %v", err)
	}
	r.exec(`drop trigger _datawatch_insert on root`)
	r.install()
	r.exec(`alter trigger _datawatch_insert on t rename to mine`)
	r.install()
	r.exec(`insert into t values (3); insert into root values (1); truncate root`)
	got := briefs(t, r.wait(8))
	slices.Sort(got)
	want := []string{
		`public.root gap table_new`, `public.root insert {"id":1} after {"id":1}`, `public.root truncate -`,
		`public.t gap table_new`, `public.t gap table_new`, `public.t insert {"id":1} after {"id":1}`, `public.t insert {"id":2} after {"id":2}`, `public.t insert {"id":3} after {"id":3}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if n := r.number(`select count(*) from pg_proc where pronamespace = 'datawatch'::regnamespace and proname = 'truncated' and prosrc like '%shape%'`); n > 0 {
		t.Error("the function that all trees share was taken for a table's own")
	}
}

// TestWhatIsNotOursStays: a schema by our name that isn't ours isn't removed.
func TestWhatIsNotOursStays(t *testing.T) {
	r := newRig(t, `create schema datawatch; create table datawatch.contracts (id int)`)
	if err := r.source().Remove(t.Context()); err == nil || !strings.Contains(err.Error(), "isn't datawatch's") {
		t.Errorf("removed: %v", err)
	}
	if n := r.number(`select count(*) from pg_class where relname = 'contracts'`); n != 1 {
		t.Error("its table is gone")
	}
}

// TestAnAdvisoryLockOfOthersHoldsNothingUp: anybody may take any.
func TestAnAdvisoryLockOfOthersHoldsNothingUp(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.exec(`select pg_advisory_lock(hashtext('datawatch'))`)
	r.install()
	r.exec(`create table fresh (id int primary key)`)
	r.install()
	r.exec(`insert into fresh values (1)`)
	expect(t, r.wait(1), `public.fresh insert {"id":1} after {"id":1}`)
}

// TestRightsThatSomebodyTookAreGivenAgain to the reader.
func TestRightsThatSomebodyTookAreGivenAgain(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `drop role if exists dw_test_reader; create role dw_test_reader login password 'x'`)
	t.Cleanup(func() {
		db := r.session0()
		_, _ = db.Exec(context.Background(), `drop owned by dw_test_reader cascade; drop role dw_test_reader`)
		_ = db.Close(context.Background())
	})
	r.config.InstallDSN, r.config.DSN = r.config.DSN, r.as("dw_test_reader", "x")
	r.install()
	for _, right := range []string{"usage on schema datawatch", "select on datawatch.packs", "select on datawatch.shapes", "update on datawatch.progress", "truncate on datawatch.single_2"} {
		r.exec("revoke " + right + " from dw_test_reader")
		steps, err := r.source().Plan(t.Context())
		if err != nil || len(steps) != 1 || !strings.Contains(steps[0].SQL, "grant usage on schema datawatch to") {
			t.Errorf("%s: the plan is %v, %v", right, steps, err)
		}
		r.install()
	}
	r.exec(`insert into t values (1)`)
	expect(t, r.wait(1), `public.t insert {"id":1} after {"id":1}`)
}

// TestWhatSomebodyElseInstalledIsNotRefused: a DBA runs the plan beside a collector that does the same.
func TestWhatSomebodyElseInstalledIsNotRefused(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`create table u (id int primary key)`)
	steps, err := r.source().Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.install()
	for _, group := range Groups(steps) {
		if err := Apply(t.Context(), r.session(), 1, beforeSteps, group); err == nil || !isTaken(err) {
			t.Errorf("%s is installed twice with %v", group[0].Table, err)
		}
	}
}

// TestAHalfInstallationIsTold, with what mends it: somebody has dropped what is datawatch's, or a dump couldn't bring it.
func TestAHalfInstallationIsTold(t *testing.T) {
	for _, drop := range []string{"datawatch.outbox_0", "datawatch.queue", "datawatch.single_2", "datawatch.outbox"} {
		t.Run(drop, func(t *testing.T) {
			r := newRig(t, shopDDL)
			before := catalog(t, r.db)
			r.install()
			r.exec(`drop table ` + drop + ` cascade`)
			status, err := r.source().Status(t.Context())
			if err != nil || status.Complete || !slices.Contains(status.Missing, drop) || status.Half() == nil {
				t.Fatalf("status %+v, %v", status, err)
			}
			_, planned := r.source().Plan(t.Context())
			_, estimated := r.source().Estimate(t.Context())
			for what, err := range map[string]error{
				"plan": planned, "install": r.source().Install(t.Context()), "run": r.source().Run(t.Context(), nil, r.emit), "check": r.finding("triggers").Err,
			} {
				if why, do := reason.Of(cmp.Or(err, errBroker)); !strings.Contains(why.String(), "is missing: ") || !strings.Contains(why.String(), drop) || !strings.Contains(do.String(), "`collector triggers remove`, then") {
					t.Errorf("%s says %v (%v)", what, err, do)
				}
			}
			if estimated != nil {
				t.Errorf("the estimate fails: %v", estimated)
			}
			if err := r.source().Remove(t.Context()); err != nil {
				t.Fatal(err)
			}
			if after := catalog(t, r.db); !slices.Equal(before, after) {
				t.Errorf("left or lost:\n%s", strings.Join(difference(before, after), "\n"))
			}
			r.install()
			if status, err := r.source().Status(t.Context()); err != nil || !status.Complete {
				t.Errorf("in the end status is %+v, %v", status, err)
			}
		})
	}
}

// TestAnInstallationWithoutItsDataIsTold, with what mends it: a dump of the schema alone brought it. The application's writes don't mind.
func TestAnInstallationWithoutItsDataIsTold(t *testing.T) {
	for _, without := range []string{"--schema-only", "--exclude-table-data=datawatch.*"} {
		t.Run(without, func(t *testing.T) {
			from := newRig(t, `create table t (id int primary key)`)
			from.install()
			file := filepath.Join(t.TempDir(), "dump")
			from.clientProgram("pg_dump", without, "--file", file, "--dbname", from.dsn)
			r := newRig(t)
			r.clientProgram("psql", "-v", "ON_ERROR_STOP=1", "--quiet", "--file", file, "--dbname", r.dsn)
			for _, sql := range []string{`insert into t values (1)`, `update t set id = 2`, `alter table t add v text`, `insert into t select g from generate_series(3, 9) g`, `truncate t`} {
				r.exec(sql)
			}
			status, err := r.source().Status(t.Context())
			if err != nil || status.Complete || !status.Empty {
				t.Fatalf("status %+v, %v", status, err)
			}
			_, planned := r.source().Plan(t.Context())
			_, estimated := r.source().Estimate(t.Context())
			for what, err := range map[string]error{
				"status": status.Half(), "plan": planned, "install": r.source().Install(t.Context()), "run": r.source().Run(t.Context(), nil, r.emit), "check": r.finding("triggers").Err,
			} {
				if why, do := reason.Of(cmp.Or(err, errBroker)); why.Code != reason.EmptyInstalled || do.Code != reason.DoHalfInstalled {
					t.Errorf("%s says %v (%v)", what, err, do)
				}
			}
			if estimated != nil {
				t.Errorf("the estimate fails: %v", estimated)
			}
			if err := r.source().Remove(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.exec(`insert into t values (1)`)
			r.install()
			r.exec(`insert into t values (2)`)
			expect(t, r.wait(1), `public.t insert {"id":2} after {"id":2,"v":null}`)
		})
	}
}
