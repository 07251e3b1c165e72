package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datawatch/collector/internal/source"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/postgres"
)

// TestTheFunctionCantBeTurnedAgainstItsOwner: capture runs with its owner's rights in the session of whoever writes. What
// that session has put in the way of names (functions, operators, types, temporary tables), and what names it has given to
// tables and columns, isn't run.
func TestTheFunctionCantBeTurnedAgainstItsOwner(t *testing.T) {
	r := newRig(t, `create table stolen (by text)`, `create schema evil`,
		`create function evil.steal() returns text language plpgsql as $$ begin insert into public.stolen values (current_user); return 'stolen'; end $$`,
		`create function evil.to_json(anyelement) returns json language sql as $$ select to_json(evil.steal()) $$;
		create function evil.clock_timestamp() returns timestamptz language sql as $$ select evil.steal(); select pg_catalog.now() $$;
		create function evil.nextval(regclass) returns bigint language sql as $$ select evil.steal(); select 1::bigint $$;
		create function evil.equal(bigint, bigint) returns bool language sql as $$ select evil.steal(); select true $$;
		create operator evil.= (function = evil.equal, leftarg = bigint, rightarg = bigint)`,
		`create table "x'); insert into public.stolen values ('quoted'); --" (id int primary key, "a'); select evil.steal(); --" text, "$body$; select evil.steal(); $body$" text, "\" text)`,
		"create table \"l\rdeclare y text := evil.steal(); --\" (id int primary key)")
	r.config.Exclude = []string{"public.stolen"}
	r.exec(`drop role if exists dw_test_attacker; create role dw_test_attacker; grant usage on schema evil to dw_test_attacker;
		grant all on "l` + "\r" + `declare y text := evil.steal(); --" to dw_test_attacker; grant all on "x'); insert into public.stolen values ('quoted'); --" to dw_test_attacker; grant insert on stolen to dw_test_attacker`)
	r.install()
	r.exec(`set role dw_test_attacker; set search_path = evil, pg_catalog, public;
		create temp table outbox (seq bigint, before json, after json); create temp table queue (current int); create temp table seq (last_value bigint);
		insert into "x'); insert into public.stolen values ('quoted'); --" values (1, 'a', 'b', 'c'), (2, 'a', 'b', 'c');
		update "x'); insert into public.stolen values ('quoted'); --" set "\" = 'd' where id in (1, 2);
		insert into "l` + "\r" + `declare y text := evil.steal(); --" values (1); reset role; reset search_path`)
	got := r.wait(5)
	r.exec(`drop owned by dw_test_attacker; drop role dw_test_attacker`)
	var stolen int
	if err := r.db.QueryRow(t.Context(), `select count(*) from stolen`).Scan(&stolen); err != nil || stolen > 0 {
		t.Errorf("the attacker's functions were run %d times, %v", stolen, err)
	}
	if c := rowChange(t, got[3]); string(c.After) == "" || c.Op != "update" || len(got) != 5 {
		t.Errorf("captured %q", briefs(t, got))
	}
}

// TestNothingIsNotifiedInTheWritePath: NOTIFY takes a lock at commit for all databases of the server. A transaction that did
// it can't be prepared.
func TestNothingIsNotifiedInTheWritePath(t *testing.T) {
	private := testrig.PrivatePostgres(t, postgres.Options{Settings: map[string]string{"fsync": "off", "max_prepared_transactions": "2"}})
	r := newRigOn(t, private.DSN("postgres"), `create table t (id int primary key)`)
	r.install()
	r.exec(`begin; insert into t values (1); update t set id = 2; delete from t; truncate t; insert into t values (3); prepare transaction 'it'`)
	r.exec(`commit prepared 'it'`)
	r.wait(6)
}

// TestTheReaderHoldsNoSnapshotWhileItWaits: vacuum goes on in the watched database, however long the broker is away, also in the midst of a
// snapshot; and nobody else's sessions are the reader's than those that say so.
func TestTheReaderHoldsNoSnapshotWhileItWaits(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table big (id int primary key, v text); insert into big select g, repeat('x', 1000) from generate_series(1, 300) g`)
	r.install()
	r.exec(`insert into t values (1)`)
	r.ask("shop-db/public.big")
	r.limits.chunkRows = 10
	for _, before := range []int{0, 100} { // events that the broker takes before it is away
		ctx, cancel := context.WithCancel(t.Context())
		away := make(chan struct{}, 1)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = r.source().Run(ctx, r.progress(), func(ctx context.Context, b source.Batch) error {
				if r.count() < before {
					return r.emit(ctx, b)
				}
				select {
				case away <- struct{}{}:
				default:
				}
				<-ctx.Done()
				return ctx.Err()
			})
		}()
		<-away
		testrig.Eventually(t, 60*time.Second, func() error {
			var sessions, others, held int
			err := r.db.QueryRow(t.Context(), `select count(*) filter (where application_name = $1), count(*) filter (where application_name <> $1 and pid <> pg_backend_pid()),
				count(*) filter (where pid <> pg_backend_pid() and (backend_xmin is not null or backend_xid is not null))
				from pg_stat_activity where datname = current_database() and backend_type = 'client backend'`, applicationName).Scan(&sessions, &others, &held)
			if err == nil && (sessions == 0 || others > 0 || held > 0) {
				err = fmt.Errorf("%d of the %d sessions hold vacuum back, and %d don't say whose they are", held, sessions, others)
			}
			return err
		})
		cancel()
		<-ended
	}
}

// TestGuardsUseFewTransactionIds: each guard is a subtransaction, and a transaction with more than 64 of them slows every
// session of the server.
func TestGuardsUseFewTransactionIds(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	next := func() (id int64) {
		t.Helper()
		if err := r.db.QueryRow(t.Context(), `select pg_snapshot_xmax(pg_current_snapshot())::text::bigint`).Scan(&id); err != nil {
			t.Fatal(err)
		}
		return id
	}
	before := next()
	r.exec(`do $$ begin for i in 1 .. 300 loop execute 'insert into t values (' || i || ')'; end loop; end $$`)
	if used := next() - before; used > 60 {
		t.Errorf("a transaction of 300 statements used %d transaction ids", used)
	}
	r.wait(300)
}

// TestAnIdleDatabaseIsSeldomAsked: where nothing comes, polls become rare.
func TestAnIdleDatabaseIsSeldomAsked(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`insert into t values (1)`)
	stop := r.start()
	r.await(1)
	count := func() (polls int64, at time.Time) {
		t.Helper()
		err := r.db.QueryRow(t.Context(), `select xact_commit, clock_timestamp() from pg_stat_database where datname = current_database()`).Scan(&polls, &at)
		if err != nil {
			t.Fatal(err)
		}
		return polls, at
	}
	before, from := count()
	testrig.Eventually(t, 60*time.Second, func() error {
		n, at := count()
		took := at.Sub(from).Seconds()
		if rate := float64(n-before) / took; took < 4 || rate > 0.5/shortestPause.Seconds() {
			return fmt.Errorf("%.0f transactions a second in %.1f s", rate, took)
		}
		return nil
	})
	_ = stop()
}

// TestATriggerByOurNameIsNotTakenForOurs: anybody may name a trigger on a table of his as ours are named. What it calls isn't
// made anew by the event trigger, which would make it the superuser's, nor dropped where the table isn't captured.
func TestATriggerByOurNameIsNotTakenForOurs(t *testing.T) {
	r := newRig(t, `drop role if exists dw_test_attacker`, `create role dw_test_attacker`, `create schema evil authorization dw_test_attacker`,
		`create function public.shared() returns trigger language plpgsql as $$ begin return null; end $$`)
	t.Cleanup(func() {
		db := r.session0()
		_, _ = db.Exec(context.Background(), `drop owned by dw_test_attacker cascade; drop role dw_test_attacker`)
		_ = db.Close(context.Background())
	})
	r.config.Tables = []string{"evil.mine"}
	r.install()
	r.exec(`set role dw_test_attacker`)
	r.exec(`create table evil.mine (id int primary key); create table evil.other (id int primary key);
		create function evil."f 1"() returns trigger language plpgsql security definer as $$ -- shape constant bigint := 1;
		begin return null; end $$;
		create trigger _datawatch_insert after insert on evil.mine for each statement execute function evil."f 1"();
		create trigger _datawatch_insert after insert on evil.other for each statement execute function public.shared();
		alter table evil.mine add v int`)
	r.exec(`reset role`)
	if n := r.number(`select count(*) from pg_proc where pronamespace = 'evil'::regnamespace and proowner <> 'dw_test_attacker'::regrole`); n > 0 {
		t.Errorf("%d functions of the attacker's are the superuser's", n)
	}
	steps, err := r.source().Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if strings.Contains(s.SQL, "shared") || strings.Contains(s.SQL, "f 1") {
			t.Errorf("planned: %s", s.SQL)
		}
	}
	if err := r.source().Install(t.Context()); err == nil || !strings.Contains(err.Error(), `"_datawatch_insert" for relation "mine" already exists`) {
		t.Errorf("installed with %v", err)
	}
	if status, err := r.source().Status(t.Context()); err != nil || status.Complete {
		t.Errorf("status %+v, %v", status, err)
	}
}

// TestNobodyWorksInASchemaOfOthers: who made the schema before could have triggers on its tables, and change
// functions that are his, which then run with the rights of whoever installs, looks, or alters a table.
func TestNobodyWorksInASchemaOfOthers(t *testing.T) {
	r := newRig(t, `drop role if exists dw_test_attacker`, `create role dw_test_attacker`, `create table t (id int primary key)`, `create schema datawatch authorization dw_test_attacker`)
	t.Cleanup(func() {
		db := r.session0()
		_, _ = db.Exec(context.Background(), `drop owned by dw_test_attacker cascade; drop role dw_test_attacker`)
		_ = db.Close(context.Background())
	})
	r.exec(`set role dw_test_attacker; create view datawatch.meta as select 4 as version, ''::text as code; reset role`)
	installer := r.source()
	r.exec(`drop role if exists dw_test_installer; create role dw_test_installer login password 'x'`)
	r.config.InstallDSN = r.as("dw_test_installer", "x")
	for _, s := range []*Source{installer, r.source()} {
		for name, run := range map[string]func(context.Context) error{
			"install": s.Install, "remove": s.Remove,
			"plan": func(ctx context.Context) error {
				_, err := s.Plan(ctx)
				return err
			},
			"status": func(ctx context.Context) error {
				_, err := s.Status(ctx)
				return err
			},
		} {
			if err := run(t.Context()); err == nil || !strings.Contains(err.Error(), "belongs to dw_test_attacker") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if n := r.number(`select count(*) from pg_event_trigger`) + r.number(`select count(*) from pg_proc where pronamespace = 'datawatch'::regnamespace`); n > 0 {
		t.Errorf("%d functions and event triggers were made", n)
	}
}

// TestASettingOfTheSessionsOwnSetsNothing: the list of statements at work names settings, which are set with the rights of the
// schema's owner. Where a session made it up, that is a gap, and its write goes through.
func TestASettingOfTheSessionsOwnSetsNothing(t *testing.T) {
	r := newRig(t, `drop role if exists dw_test_attacker`, `create role dw_test_attacker`, `create table t (id int primary key)`, `grant all on t to dw_test_attacker`)
	t.Cleanup(func() {
		db := r.session0()
		_, _ = db.Exec(context.Background(), `drop owned by dw_test_attacker cascade; drop role dw_test_attacker`)
		_ = db.Close(context.Background())
	})
	r.install()
	table := r.number(`select 't'::regclass::oid::bigint`)
	for i, forged := range []string{`1,0,%dI,session_replication_role,replica,,`, `1,0,%dI,datawatch.rows_1,x,,`, `7,0,1I,primary_conninfo,0,,`, `%d`, ` `} {
		if strings.Contains(forged, "%d") {
			forged = fmt.Sprintf(forged, table)
		}
		r.exec(fmt.Sprintf(`begin; set local role dw_test_attacker; set local datawatch.open = '%s'; insert into t values (%d)`, forged, i))
		var role string
		if err := r.db.QueryRow(t.Context(), `show session_replication_role`).Scan(&role); err != nil || role != "origin" {
			t.Errorf("with %q session_replication_role became %s, %v", forged, role, err)
		}
		r.exec(`commit`)
	}
	if n := r.number(`select count(*) from t`); n != 5 {
		t.Errorf("%d of 5 writes went through", n)
	}
	for _, e := range r.wait(5) {
		if b := brief(t, e); b != "public.t gap capture_failed" {
			t.Errorf("captured %s", b)
		}
	}
}

// TestATablesNameSpeaksForNoOtherTable: the function says of which shape its table is, behind the table's name.
func TestATablesNameSpeaksForNoOtherTable(t *testing.T) {
	r := newRig(t, `create table victim (id int primary key)`)
	r.install()
	name := fmt.Sprintf(`"x shape constant bigint := %d;"`, r.number(`select id from datawatch.shapes`))
	r.exec(`create table ` + name + ` (id int primary key)`)
	r.install()
	r.exec(`insert into victim values (1)`)
	r.exec(`insert into ` + name + ` values (1)`)
	r.exec(`alter table ` + name + ` add v int`)
	r.install()
	r.exec(`drop table ` + name)
	r.install()
	r.exec(`insert into victim values (2)`)
	got := briefs(t, r.wait(4))
	if want := []string{`public.victim insert {"id":1} after {"id":1}`, `public.victim insert {"id":2} after {"id":2}`}; !slices.Equal(want, slices.DeleteFunc(got, func(line string) bool {
		return !strings.HasPrefix(line, "public.victim ")
	})) {
		t.Errorf("%q", got)
	}
}

// TestASerializationFailureIsTheApplications: the transaction can't be saved, so nothing is missing, and nothing is counted.
func TestASerializationFailureIsTheApplications(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`create function fail() returns trigger language plpgsql as $$ begin raise serialization_failure; end $$;
		create trigger fail before insert on datawatch.single_0 for each row execute function fail(); create trigger fail before insert on datawatch.outbox_0 for each row execute function fail()`)
	for _, sql := range []string{`insert into t values (1)`, `insert into t values (1), (2)`} {
		_, err := r.db.Exec(t.Context(), sql)
		var server *pgconn.PgError
		if !errors.As(err, &server) || server.Code != "40001" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if r.number(`select count(*) from datawatch.unnoted where is_called`) != 0 {
		t.Error("failures are counted")
	}
}

// TestTheApplicationsLastvalIsItsOwn: capture draws from no sequence in the application's session, nor where it fails or is left out.
func TestTheApplicationsLastvalIsItsOwn(t *testing.T) {
	r := newRig(t, `create table t (id serial primary key, v text)`, `create table own (id serial primary key, v text)`, strings.NewReplacer(" t ", " own ", "t set", "own set").Replace(ownRowTrigger))
	r.install()
	want := int64(0)
	insert := func(table string) {
		t.Helper()
		want++
		r.exec(`insert into ` + table + ` (v) values ('a')`)
		if n := r.number(`select lastval()`); n != want {
			t.Errorf("%s: lastval() is %d, not %d", table, n, want)
		}
	}
	for range 3 {
		insert("t")
	}
	r.exec(`update datawatch.queue set room = 0`)
	insert("t")
	r.exec(`update datawatch.queue set room = 1 << 30; alter table datawatch.outbox rename to away; alter table datawatch.single_0 rename to gone`)
	insert("t")
	r.exec(`alter table datawatch.away rename to outbox; alter table datawatch.gone rename to single_0`)
	want = 0
	insert("own")
	r.exec(`insert into own (v) select 'b' from generate_series(1, 2); update own set v = 'c'; truncate t`)
	if n := r.number(`select lastval()`); n != 3 {
		t.Errorf("lastval() is %d", n)
	}
}

// TestNoCursorIsLeft: one for each statement would be kept until the transaction ends.
func TestNoCursorIsLeft(t *testing.T) {
	r := newRig(t, `create type evil as enum ('a')`, `create table sent (id int primary key)`, `create table printed (id int primary key, p point)`, `create table casts (id int primary key, e evil)`)
	r.install()
	r.exec(`begin`)
	for _, table := range []string{"sent", "printed", "casts"} {
		r.exec(fmt.Sprintf(`insert into %s select generate_series(1, 3); update %[1]s set id = id + 10; delete from %[1]s where id < 13`, table))
	}
	if n := r.number(`select count(*) from pg_cursors where name like '<%'`); n != 0 {
		t.Errorf("%d cursors are left", n)
	}
	r.exec(`commit`)
	r.wait(3 * (3 + 6 + 2))
}

// TestWhatATransactionOfBeforeDoesIsToldOrAGap: one that keeps its snapshot sees nothing of an installation that came after it.
func TestWhatATransactionOfBeforeDoesIsToldOrAGap(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	before := r.session()
	r.run(before, `begin isolation level repeatable read; select 1`)
	r.install()
	r.run(before, `insert into t values (1, 'a'); insert into t select generate_series(2, 4); update t set v = 'b'; update t set v = 'c' where id > 4; commit`)
	var singles, gaps int
	for _, e := range r.drained() {
		switch line := brief(t, e); line {
		case `public.t insert {"id":1} after {"id":1,"v":"a"}`:
			singles++
		case `public.t gap capture_failed`:
			gaps++
		default:
			t.Error(line)
		}
	}
	if gaps < 2 || singles+gaps != 3 { // a single row may go the way of many
		t.Errorf("%d events, %d gaps", singles, gaps)
	}
}

// TestALongTagTakesLittleRoom: it is written with each statement, of which few look at the outbox's size.
func TestALongTagTakesLittleRoom(t *testing.T) {
	for name, r := range map[string]*rig{"fresh": newRig(t, upgradedTable), "upgraded": newOlderRig(t, version4SQL)} {
		t.Run(name, func(t *testing.T) {
			r.install()
			r.exec(`set datawatch.tag = '` + strings.Repeat("x", 100_000) + `'`)
			r.exec(`insert into t (id) values (1); insert into t (id) select generate_series(2, 3)`)
			if n := r.number(`select max(length(tag)) from datawatch.packs`); n != 1000 {
				t.Errorf("a tag of %d characters is in the outbox", n)
			}
			r.wait(3)
		})
	}
}

// TestATransactionThatKeepsItsSnapshotIsCaptured, though it doesn't see that a collector came after it began.
func TestATransactionThatKeepsItsSnapshotIsCaptured(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`update datawatch.queue set expires = clock_timestamp() + interval '200 milliseconds'`)
	app := r.session()
	r.run(app, `begin isolation level repeatable read; select count(*) from t`)
	r.exec(`update datawatch.queue set expires = clock_timestamp() + interval '1 hour'; select pg_sleep(0.3)`)
	r.run(app, `insert into t select generate_series(1, 2); commit`)
	expect(t, r.wait(2), `public.t insert {"id":1} after {"id":1}`, `public.t insert {"id":2} after {"id":2}`)
}

// TestASessionThatHangsIsGivenUp: nothing else would tell that capture stands still.
func TestASessionThatHangsIsGivenUp(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.limits.answer = time.Second
	r.install()
	ended := make(chan error, 1)
	go func() { ended <- r.source().Run(t.Context(), r.progress(), r.emit) }()
	r.exec(`insert into t values (1)`)
	r.await(1)
	for _, pid := range r.pids(`select pid from pg_stat_activity where datname = current_database() and application_name = 'datawatch-collector'`) {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	}
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "had no answer for 1s") {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it goes on waiting")
	}
	r.exec(`insert into t values (2)`)
	r.wait(2)
}

func (r *rig) pids(sql string) []int {
	r.t.Helper()
	rows, err := r.db.Query(r.t.Context(), sql)
	if err != nil {
		r.t.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		r.t.Fatal(err)
	}
	return pids
}
