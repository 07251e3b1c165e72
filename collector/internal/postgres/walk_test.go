package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/postgres"
)

// midway has sql run when so many rows of a table were read by a snapshot, before the next ones are.
func (r *rig) midway(id string, rows int64, sql string) {
	done := false
	r.fail = func(int) (bool, bool) {
		if job := backfillJob(r.committed, id); !done && job != nil && job.Current() != nil && job.Current().Rows >= rows {
			done = true
			r.exec(sql)
		}
		return false, false
	}
}

// distinct are the keys of the reads of a stream.
func (r *rig) distinct(entity string) []string {
	_, keys := r.reads("shop-db/" + event.Stream(entity))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// TestAKeyWhoseOrderIsAlteredIsWalkedAnew: behind the last row in one order there are others than in another.
func TestAKeyWhoseOrderIsAlteredIsWalkedAnew(t *testing.T) {
	r := newRig(t, `create table k (id text collate "C" primary key)`,
		`insert into k select chr(c + g % 26) || g from generate_series(0, 99) g, unnest(array[65, 97]) c`)
	r.install()
	id := r.ask("")
	r.limits.chunkRows = 10
	r.midway(id, 60, `alter table k alter column id type text collate "en-x-icu"`)
	stop := r.start()
	job := r.awaitEnded(id)
	_ = stop()
	if keys := r.distinct("public.k"); len(keys) != 200 {
		t.Errorf("%d of 200 rows were read: %+v", len(keys), job.Parts[0])
	}
}

// TestAConstraintThatIsNotValidMakesNoKey: PostgreSQL 18 knows NOT NULL that rows of before needn't keep, and they are read as well.
func TestAConstraintThatIsNotValidMakesNoKey(t *testing.T) {
	r := newRigOn(t, testrig.PostgresVersion(t, "18").Database(t), `create table k (id int unique, v text)`,
		`insert into k select g, 'v' from generate_series(1, 50) g`, `insert into k select null, 'n' || g from generate_series(1, 20) g`,
		`alter table k add constraint given not null id not valid`)
	r.install()
	r.limits.chunkRows = 10
	snapshot := func(note string, want int) {
		t.Helper()
		before, _ := r.reads("shop-db/public.k")
		id := r.ask("")
		stop := r.start()
		job := r.awaitEnded(id)
		_ = stop()
		if rows, keys := r.reads("shop-db/public.k"); len(rows)-len(before) != want || job.Parts[0].Note != note || keys[len(rows)-1] == "" != (note != "") {
			t.Errorf("%d rows of %d were read, the last one with the key %q: %+v", len(rows)-len(before), want, keys[len(rows)-1], job.Parts[0])
		}
	}
	snapshot(noteKeyless, 70)
	r.exec(`delete from k where id is null; alter table k validate constraint given`)
	snapshot("", 50)
}

// TestASnapshotOfADatabaseWithoutEncoding: keys may have bytes that are no text, and no row is missing behind them. Of a row
// with such bytes no event can be made.
func TestASnapshotOfADatabaseWithoutEncoding(t *testing.T) {
	private := testrig.PrivatePostgres(t, postgres.Options{})
	admin := newRigOn(t, private.DSN("postgres"))
	admin.exec(`create database ascii encoding 'SQL_ASCII' template template0 lc_collate 'C' lc_ctype 'C'`)
	r := newRigOn(t, private.DSN("ascii"), `create table k (id text primary key)`,
		`insert into k select 'k' || g from generate_series(10, 29) g; insert into k select E'\304' || g from generate_series(10, 29) g; insert into k select 'é' || g from generate_series(10, 29) g`)
	r.install()
	id := r.ask("")
	r.limits.chunkRows = 10
	stop := r.start()
	job := r.awaitEnded(id)
	_ = stop()
	rows, gaps := len(r.distinct("public.k")), 0
	for _, line := range briefs(t, r.captured()) {
		if line == "public.k gap unreadable" {
			gaps++
		}
	}
	if job.Parts[0].Rows != 60 || rows != 40 || gaps != 20 {
		t.Errorf("%d rows of 60 were read: %d of 40 were told, and %d gaps of 20", job.Parts[0].Rows, rows, gaps)
	}
	if rows := r.walked("public.k"); len(rows) != 40 {
		t.Errorf("%d rows of 40 are compared with clean", len(rows))
	}
}

// walked are the rows of a table that are compared with clean.
func (r *rig) walked(entity string) (rows []event.Raw) {
	r.t.Helper()
	table, err := r.source().OpenTable(r.t.Context(), "shop-db/"+event.Stream(entity))
	if err != nil {
		r.t.Fatal(err)
	}
	defer table.Close(r.t.Context())
	if err := table.Walk(r.t.Context(), func(more []event.Raw) error { rows = append(rows, more...); return nil }); err != nil {
		r.t.Fatal(err)
	}
	return rows
}

// TestWideRowsAreReadAsTheyFit: however wide rows are, the server reads about what a chunk may have, and writes no file for it.
func TestWideRowsAreReadAsTheyFit(t *testing.T) {
	r := newRig(t, `create table keyed (id int primary key, v text)`, `create table keyless (id int, v text)`,
		`create table tree (id int primary key, v text) partition by range (id)`,
		`create table tree_1 partition of tree for values from (0) to (300)`, `create table tree_2 partition of tree for values from (300) to (1000)`)
	for _, table := range []string{"keyed", "keyless", "tree_1", "tree_2"} {
		r.exec(`alter table ` + table + ` alter v set storage external`)
	}
	r.install()
	r.exec(`insert into keyed select g, repeat('x', 20000) from generate_series(1, 500) g; insert into keyless select * from keyed; insert into tree select * from keyed`)
	r.exec(emptyOutbox)
	r.exec(`alter database ` + pgx.Identifier{r.databaseName()}.Sanitize() + ` set temp_file_limit = 0`)
	id := r.ask("")
	stop := r.start()
	job := r.awaitEnded(id)
	_ = stop()
	for _, p := range job.Parts {
		if p.Rows != 500 || p.Problem != "" {
			t.Errorf("%+v", p)
		}
	}
	if rows := r.walked("public.keyed"); len(rows) != 500 {
		t.Errorf("%d rows of 500 are compared with clean", len(rows))
	}
}

// TestCaptureGoesOnWhileASnapshotCant: what keeps a table from being read is no matter of capture's.
func TestCaptureGoesOnWhileASnapshotCant(t *testing.T) {
	for name, lock := range map[string]string{
		"table": `lock table k in access exclusive mode`,
		"index": `reindex index k_pkey`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, `create table k (id int primary key)`, `insert into k select generate_series(1, 10)`, `create table other (id int primary key)`)
			r.install()
			locked, err := r.session().Begin(t.Context())
			if err == nil {
				_, err = locked.Exec(t.Context(), lock)
			}
			if err != nil {
				t.Fatal(err)
			}
			id := r.ask("shop-db/public.k")
			stop := r.start()
			r.awaitJob(id)
			r.exec(`insert into other values (1)`)
			r.await(1)
			if err := locked.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			if job := r.awaitEnded(id); job.Parts[0].Rows != 10 || job.Parts[0].Problem != "" {
				t.Errorf("%+v", job.Parts[0])
			}
			_ = stop()
		})
	}
	t.Run("files", func(t *testing.T) {
		r := newRig(t, `create table k (id int)`, `insert into k select generate_series(1, 20000)`, `create table other (id int primary key)`)
		r.install()
		database := `alter database ` + pgx.Identifier{r.databaseName()}.Sanitize()
		r.exec(database + ` set work_mem = '256kB'; ` + database + ` set temp_file_limit = 0`)
		id := r.ask("shop-db/public.k")
		r.limits.chunkRows = 20000
		var told whys
		r.opts.Reporter = &told
		stop := r.start()
		r.awaitJob(id)
		testrig.Eventually(t, time.Minute, func() error {
			if last := told.last(); !strings.Contains(last, "temporary file size exceeds") {
				return errors.New(last)
			}
			return nil
		})
		r.exec(`insert into other values (1)`)
		r.await(1)
		_ = stop()
		r.exec(database + ` reset temp_file_limit`)
		stop = r.start()
		if job := r.awaitEnded(id); job.Parts[0].Rows != 20000 || job.Parts[0].Problem != "" {
			t.Errorf("%+v", job.Parts[0])
		}
		_ = stop()
	})
}

// awaitJob waits until a snapshot was planned.
func (r *rig) awaitJob(id string) {
	r.t.Helper()
	testrig.Eventually(r.t, 20*time.Second, func() error {
		if job := r.account().Job(id); job == nil || job.Began.IsZero() {
			return errors.New("the snapshot has not begun")
		}
		return nil
	})
}

// whys keeps why a source was in its last state.
type whys struct {
	silent
	mu   sync.Mutex
	text string
}

func (s *whys) State(_ source.State, why reason.Text) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = fmt.Sprint(why)
}

func (s *whys) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text
}

// TestRowsThatASnapshotMayNotSeeAreSaid: a policy hides them from whoever reads, and they aren't left out in silence.
func TestRowsThatASnapshotMayNotSeeAreSaid(t *testing.T) {
	r := newRig(t, `create table s (id int primary key, owner text); insert into s values (1, 'a'), (2, 'b'); alter table s enable row level security; create policy own on s using (owner = 'a')`,
		`drop role if exists dw_test_reader; create role dw_test_reader login password 'x'; grant select on s to dw_test_reader`)
	t.Cleanup(func() {
		db := r.session0()
		_, _ = db.Exec(context.Background(), `drop owned by dw_test_reader cascade; drop role dw_test_reader`)
		_ = db.Close(context.Background())
	})
	r.config.InstallDSN, r.config.DSN = r.config.DSN, r.as("dw_test_reader", "x")
	r.install()
	for _, sees := range []int{0, 2} {
		id := r.ask("")
		stop := r.start()
		problems := strings.Join(r.awaitEnded(id).Problems(), " ")
		_ = stop()
		if said := strings.Contains(problems, "row-level security"); said != (sees == 0) || r.count() != sees {
			t.Errorf("%d rows were read of %d, and it is said: %s", r.count(), sees, problems)
		}
		r.exec(`alter role dw_test_reader bypassrls`)
	}
}

// TestWhatMayPassIsTriedAgain: for about an hour, and what won't pass is left out at once.
func TestWhatMayPassIsTriedAgain(t *testing.T) {
	failed := func(code string) error {
		return fmt.Errorf("read t: %w", &pgconn.PgError{Code: code, Message: "failed"})
	}
	s := New("shop-db", Config{}, Options{})
	for _, code := range []string{"42501", "54000", "22003", "P0001"} {
		if why, wait := s.obstacle(failed(code)); wait != 0 || why.says == "" {
			t.Errorf("%s: %v, %v", code, why, wait)
		}
	}
	if why, wait := s.obstacle(io.ErrUnexpectedEOF); wait != 0 || why.says != "" {
		t.Errorf("the session's end: %v, %v", why, wait)
	}
	var all time.Duration
	for range maxHindered {
		why, wait := s.obstacle(failed("53100"))
		if wait < busyPause || wait > hinderedPause || why.says == "" {
			t.Fatalf("after %v: %v, %v", all, why, wait)
		}
		all += wait
	}
	if why, wait := s.obstacle(failed("53100")); wait != 0 || why.says == "" || all < 50*time.Minute || all > 70*time.Minute {
		t.Errorf("after %v: %v, %v", all, why, wait)
	}
}

// TestARowIsFoundByItsKey: whatever it is made of, as clean has it.
func TestARowIsFoundByItsKey(t *testing.T) {
	r := newRig(t)
	tables := map[string]string{
		"moments":  `create table %s (id timestamptz primary key); insert into %[1]s values ('infinity'), ('0044-03-15 12:00:00+00 BC'), ('12026-01-01 00:00:00.5+00')`,
		"numbers":  `create table %s (id numeric primary key); insert into %[1]s values ('NaN'), (1.10), (1e300)`,
		"bytes":    `create table %s (id bytea primary key); insert into %[1]s values ('\x00ff'), ('')`,
		"binaries": `create table %s (id bytea[] primary key); insert into %[1]s values ('{}'), ('{"\\x00ff",null}'), ('{{"\\x01"},{"\\x02"}}')`,
		"nulls":    `create table %s (id jsonb, n int, primary key (id, n)); insert into %[1]s values ('null', 1), ('{"a": null}', 1), ('[]', 1), ('"x"', 1), ('1.50', 1)`,
		"bounds":   `create table %s (id int[], n int, primary key (id, n)); insert into %[1]s values ('{1,2}', 1), ('[5:6]={3,4}', 1), ('[0:1][2:3]={{1,2},{3,4}}', 1), ('{null}', 2)`,
		"texts":    `create table %s (id text[] primary key); insert into %[1]s values ('[2:3]={"a=b","{\"c"}')`,
	}
	for name, sql := range tables {
		r.exec(fmt.Sprintf(sql, name))
	}
	r.install()
	for name := range tables {
		table, err := r.source().OpenTable(t.Context(), event.Stream("shop-db/public."+name))
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close(t.Context())
		err = table.Walk(t.Context(), func(rows []event.Raw) error {
			for _, row := range rows {
				if found, err := table.Row(t.Context(), row.Key); err != nil || found == nil || string(found.Value) != string(row.Value) {
					t.Errorf("%s: by %s, %+v was found: %v", name, row.Key, found, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestAKeyOfOperatorsOfSeveralSchemasIsWalkedByItsIndex: a chunk doesn't go through what was read before.
func TestAKeyOfOperatorsOfSeveralSchemasIsWalkedByItsIndex(t *testing.T) {
	r := newRig(t)
	if !r.mayExec(`create extension citext`) {
		t.Skip("no citext here")
	}
	r.exec(`create table mixed (tenant citext, id int, primary key (tenant, id));
		insert into mixed select 'tenant' || g / 10000, g from generate_series(0, 19999) g`)
	r.exec(`vacuum analyze mixed`)
	r.limits.chunkRows = 1000
	before := r.number(`select idx_tup_read from pg_stat_user_indexes where indexrelname = 'mixed_pkey'`)
	if rows := r.walked("public.mixed"); len(rows) != 20000 {
		t.Errorf("%d rows of 20000 were read", len(rows))
	}
	testrig.Eventually(t, time.Minute, func() error { // the server counts a moment later
		read := r.number(`select idx_tup_read from pg_stat_user_indexes where indexrelname = 'mixed_pkey'`) - before
		if read < 20000 {
			return fmt.Errorf("%d entries of the index were read", read)
		}
		if read > 60000 {
			t.Errorf("%d entries of the index were read for 20000 rows", read)
		}
		return nil
	})
}

// TestAKeyThatIsHiddenIsNotToldAsAPlace: where a row is that no record could hold.
func TestAKeyThatIsHiddenIsNotToldAsAPlace(t *testing.T) {
	r := newRig(t, `create table people (ssn text primary key, v text)`, `insert into people values ('hush-1', repeat('x', 300000)), ('hush-2', 'y')`)
	r.opts.MaxRecordBytes = 100_000
	r.opts.Mask = append(r.opts.Mask, maskOf("shop-db/public.people", "hash", "ssn"))
	r.install()
	id := r.ask("")
	stop := r.start()
	r.awaitEnded(id)
	_ = stop()
	for i, e := range r.captured() {
		if gap := e.Type == event.GapType; gap != (i == 0) || gap && (strings.Contains(string(e.Value), "hush") || !strings.Contains(string(e.Value), causeTooLarge)) {
			t.Errorf("event %d: %s", i, e.Value)
		}
	}
	if n := r.count(); n != 2 {
		t.Errorf("%d events", n)
	}
}

// TestADroppedColumnLeavesTheOthersAsTheyAre: as text of JSON and of numbers they are what they are without it, captured or read.
func TestADroppedColumnLeavesTheOthersAsTheyAre(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, secret text, j json, f float8)`, `create table p (id int primary key, secret text, j json, f float8) partition by range (id)`,
		`create table p_1 partition of p for values from (0) to (10)`)
	r.opts.Mask = append(r.opts.Mask, maskOf("shop-db/public.*", "drop", "secret"))
	r.install()
	const row = `(1, 'hush', '{"b": 1.0,  "a": 2, "a": 3, "z": "\u0000"}', 1e300)`
	r.exec(`insert into t values ` + row)
	r.exec(`insert into p values ` + row)
	id := r.ask("shop-db/public.t")
	stop := r.start()
	r.awaitEnded(id)
	r.exec(`truncate p_1`) // as deletes of its rows
	r.await(4)
	_ = stop()
	const want = `{"id":1,"j":{"b": 1.0,  "a": 2, "a": 3, "z": "\u0000"},"f":1e+300}`
	expect(t, r.captured(), `public.t insert {"id":1} after `+want, `public.p insert {"id":1} after `+want, `public.t read {"id":1} after `+want, `public.p delete {"id":1} before `+want)
}

// TestAKeyThatNoRowCanHaveIsOfNone: clean has keys from before a type was altered, whose rows the type has by other values now, or not at all.
func TestAKeyThatNoRowCanHaveIsOfNone(t *testing.T) {
	r := newRig(t, `create type e as enum ('a', 'b')`, `create domain d as int check (value < 100)`, `create type f as enum ('a')`, `create type c as (f f)`)
	for name, k := range map[string]struct{ column, value, altered, was, is string }{
		"enum":    {`e`, `'b'`, `alter type e rename value 'b' to 'z'`, `"b"`, `"z"`},
		"array":   {`e[]`, `array['a']::e[]`, `alter type e rename value 'a' to 'y'`, `["a"]`, `["y"]`},
		"varchar": {`varchar(5)`, `'abcde'`, `alter table t_varchar alter k type varchar(3) using left(k, 3)`, `"abcde"`, `"abc"`},
		"number":  {`bigint`, `5000000000`, `alter table t_number alter k type int using 5`, `5000000000`, `5`},
		"numeric": {`numeric`, `1000`, `alter table t_numeric alter k type numeric(3) using 10`, `1000`, `10`},
		"domain":  {`d`, `99`, `delete from t_domain; alter domain d drop constraint d_check; alter domain d add check (value < 50); insert into t_domain values (5)`, `99`, `5`},
		"fields":  {`c`, `row('a')::c`, `alter type f rename value 'a' to 'x'`, `{"f":"a"}`, `{"f":"x"}`},
	} {
		r.exec(`create table t_` + name + ` (k ` + k.column + ` primary key); insert into t_` + name + ` values (` + k.value + `)`)
		table, err := r.source().OpenTable(t.Context(), event.Stream("shop-db/public.t_"+name))
		if err != nil {
			t.Fatal(err)
		}
		has := func(value string) bool {
			row, err := table.Row(t.Context(), json.RawMessage(`{"k":`+value+`}`))
			if err != nil {
				t.Errorf("%s %s: %v", name, value, err)
			}
			return row != nil
		}
		if !has(k.was) {
			t.Errorf("%s: no row %s", name, k.was)
		}
		r.exec(k.altered)
		if has(k.was) || !has(k.is) {
			t.Errorf("%s: %s is to be %s", name, k.was, k.is)
		}
		table.Close(t.Context())
	}
}
