package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// ask has the next run of the source take a snapshot.
func (r *rig) ask(stream event.Stream) (id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := int64(len(r.requested) + 1)
	id = strconv.FormatInt(n, 10)
	r.requested = append(r.requested, source.SnapshotRequest{ID: id, Stream: stream, At: time.Now(), Next: n})
	return id
}

// askReplacing has it end each stream before.
func (r *rig) askReplacing(stream event.Stream) (id string) {
	id = r.ask(stream)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requested[len(r.requested)-1].Replace = true
	return id
}

func (r *rig) account() *backfill.Account {
	r.t.Helper()
	a, err := backfill.Parse(r.progress())
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

// open are the requests that weren't taken, as whoever reads the control topic finds them.
func (r *rig) open() []source.SnapshotRequest {
	a := r.account()
	return slices.DeleteFunc(slices.Clone(r.requested), func(q source.SnapshotRequest) bool { return q.Next <= a.Control })
}

// awaitEnded waits until a snapshot is over.
func (r *rig) awaitEnded(id string) *backfill.Job {
	r.t.Helper()
	var job *backfill.Job
	testrig.Eventually(r.t, 20*time.Second, func() error {
		if job = r.account().Job(id); job == nil {
			return fmt.Errorf("snapshot %s isn't known", id)
		} else if job.Ended.IsZero() {
			return fmt.Errorf("snapshot %s: %s", id, job)
		}
		return nil
	})
	return job
}

// reads are the reads of a stream: rows as they were told, in order.
func (r *rig) reads(stream event.Stream) (rows []string, keys []string) {
	for _, e := range r.captured() {
		if e.Type == event.GapType || e.Stream != stream {
			continue
		}
		if c := rowChange(r.t, e); c.Op == event.Read {
			rows, keys = append(rows, string(c.After)), append(keys, string(e.Key))
		}
	}
	return rows, keys
}

// TestSnapshotReadsEachRowOnce: whatever a table's key is made of, chunks of three rows read each row once, and print it as
// the triggers do.
func TestSnapshotReadsEachRowOnce(t *testing.T) {
	for _, version := range []string{"", "13"} { // which has no range scan over places
		t.Run(version, func(t *testing.T) { readEachRowOnce(t, testrig.PostgresVersion(t, version).Database(t)) })
	}
}

func readEachRowOnce(t *testing.T, dsn string) {
	tables := map[string]string{
		"integers":        `create table %s (id int primary key, v text); insert into %[1]s select g, 'v' || g from generate_series(-5, 5) g`,
		"texts":           `create table %s (id text primary key); insert into %[1]s values (''), ('a'), ('A'), ('á'), (E'it''s'), (E'back\\slash'), (E'line\nfeed'), ('"q"'), ('%%s'), ('Ω'), ('z')`,
		"composites":      `create table %s (tenant text, at timestamptz, n smallint, primary key (tenant, at, n)); insert into %[1]s select 't' || g %% 2, timestamptz '2026-01-01' + (g %% 3) * interval '1 microsecond', g from generate_series(1, 12) g; insert into %[1]s values ('t0', 'infinity', 1), ('t0', '-infinity', 1), ('t1', '0044-03-15 BC', 2)`,
		"numerics":        `create table %s (id numeric primary key); insert into %[1]s values ('NaN'), (0.1), (0.10000000000000000000000001), (-99999999999999999999999999), (1e30), (0), (7)`,
		"floats":          `create table %s (id float8 primary key); insert into %[1]s values ('NaN'), ('Infinity'), ('-Infinity'), ('-0'), (0.1), (0.1::float8 + 0.2::float8), (1e300), (5e-324)`,
		"bytes":           `create table %s (id bytea primary key); insert into %[1]s select decode(repeat(to_hex(g), 3), 'hex') from generate_series(16, 25, 2) g where true union values (''::bytea), ('\x00'), ('\x5c27')`,
		"uuids":           `create table %s (id uuid primary key); insert into %[1]s select gen_random_uuid() from generate_series(1, 10)`,
		"enums":           `create type %s_mood as enum ('sad', 'ok', 'happy', 'a b'); create table %[1]s (id %[1]s_mood primary key); insert into %[1]s values ('happy'), ('sad'), ('ok'), ('a b')`,
		"arrays":          `create table %s (id int[] primary key); insert into %[1]s select array[g, g * 2] from generate_series(1, 7) g`,
		"chars":           `create table %s (id char(4) primary key, c "char"); insert into %[1]s select chr(96 + g), chr(96 + g)::"char" from generate_series(1, 7) g`,
		"domains":         `create domain %s_positive as int check (value > 0); create table %[1]s (id %[1]s_positive primary key); insert into %[1]s select generate_series(1, 7)`,
		"ranges":          `create table %s (id int4range primary key); insert into %[1]s select int4range(g, g + 2) from generate_series(1, 7) g`,
		"documents":       `create table %s (id jsonb primary key); insert into %[1]s select jsonb_build_object('n', g) from generate_series(1, 7) g`,
		"intervals":       `create table %s (id interval primary key); insert into %[1]s select g * interval '1 month 3 days' from generate_series(-3, 3) g`,
		"descending":      `create table %s (a int not null, b int not null); create unique index on %[1]s (a desc, b desc); insert into %[1]s select g %% 3, g from generate_series(1, 11) g`,
		"mixed":           `create table %s (a int not null, b int not null); create unique index on %[1]s (a desc, b); insert into %[1]s select g %% 3, g from generate_series(1, 11) g`,
		"patterns":        `create table %s (id text not null); create unique index on %[1]s (id text_pattern_ops); insert into %[1]s select 'k' || g from generate_series(1, 11) g`,
		"collated":        `create table %s (id text collate "C" primary key); insert into %[1]s values ('a'), ('B'), ('c'), ('D'), ('e'), ('F'), ('_')`,
		"keyless":         `create table %s (v text) with (fillfactor = 10); insert into %[1]s select 'same' from generate_series(1, 8); insert into %[1]s values (null), ('other'); insert into %[1]s select repeat('x', 900) from generate_series(1, 80)`,
		"empty":           `create table %s (id int primary key)`,
		"altered":         `create table %s (gone int, id int primary key, v text, twice int generated always as (id * 2) stored); alter table %[1]s drop column gone; insert into %[1]s select g, 'v' from generate_series(1, 7) g`,
		`"Weird ""Table"`: `create table %s ("Key ""of"" it" text primary key, n int, old text, "rows" int, datawatch_row int); insert into %[1]s select 'k' || g, g, 'o', g, g from generate_series(1, 7) g`,
		"tree":            `create table %s (id int primary key, v text) partition by range (id); create table %[1]s_1 partition of %[1]s for values from (minvalue) to (5); create table %[1]s_2 partition of %[1]s for values from (5) to (maxvalue); insert into %[1]s select g, 'v' from generate_series(1, 11) g`,
		"loose":           `create table %s (id int, v text) partition by list (id); create table %[1]s_1 partition of %[1]s for values in (1, 2); create table %[1]s_2 partition of %[1]s for values in (3); insert into %[1]s select 1 + g %% 3, 'v' || g from generate_series(1, 11) g`,
		"parents":         `create table %s (id int primary key); create table children (id int primary key) inherits (%[1]s); insert into %[1]s select generate_series(1, 4); insert into children select generate_series(11, 14)`,
	}
	r := newRigOn(t, dsn)
	for name, sql := range tables {
		r.exec(strings.ReplaceAll(fmt.Sprintf(sql, name), `"Weird ""Table"_`, "weird_"))
	}
	citext := r.mayExec(`create extension citext; create table ignored (id citext primary key, tag int); insert into ignored select chr(65 + (g % 2) * 32 + g) || 'x', g from generate_series(0, 12) g;
		create table mingled (a int, b citext, c int, primary key (a, b, c)); insert into mingled select g % 2, chr(97 + g / 2 % 3), g from generate_series(1, 25) g`)
	r.config.Snapshot = snapshotInitial
	r.limits.chunkRows = 3
	stop := r.start()
	job := r.awaitEnded(backfill.InitialID)
	_ = stop()
	if problems := job.Problems(); len(problems) > 0 {
		t.Error(problems)
	}
	names := slices.Collect(maps.Keys(tables))
	names = append(names, "children")
	if citext {
		names = append(names, "ignored", "mingled")
	}
	for _, name := range names {
		plain := strings.ReplaceAll(strings.Trim(name, `"`), `""`, `"`)
		want := r.printed(name)
		got, _ := r.reads(event.StreamOf("shop-db", event.TableEntity("public", plain)))
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("%s: %d rows were read of %d:\n%s\n--- instead of\n%s", name, len(got), len(want), strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	read, _ := job.Rows()
	if n := len(r.captured()); int64(n) != read {
		t.Errorf("%d events of %d rows", n, read)
	}
	for _, p := range job.Parts {
		keyless := p.Note != ""
		if want := slices.Contains([]string{"keyless", "loose"}, strings.TrimPrefix(p.Stream.Entity(), "public.")); keyless != want {
			t.Errorf("%s is without a key: %v", p.Stream, keyless)
		}
	}
	if err := r.source().Run(canceled(t), r.progress(), r.emit); err == nil {
		t.Error("Run returned nil")
	}
	if again := r.account(); len(again.Jobs) != 0 || len(again.Ended) != 1 {
		t.Errorf("the initial snapshot was asked for again: %+v", again)
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func (r *rig) mayExec(sql string) bool {
	_, err := r.db.PgConn().Exec(r.t.Context(), sql).ReadAll()
	return err == nil
}

// printed are a table's rows as the triggers print them.
func (r *rig) printed(table string) (rows []string) {
	r.t.Helper()
	only := "only "
	if table == "tree" || table == "loose" {
		only = ""
	}
	tx, err := r.db.Begin(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(r.t.Context(), "set local timezone = 'UTC'"); err != nil {
		r.t.Fatal(err)
	}
	found, err := tx.Query(r.t.Context(), "select to_json(t.*)::text from "+only+table+" t")
	if err != nil {
		r.t.Fatal(err)
	}
	if rows, err = pgx.CollectRows(found, pgx.RowTo[string]); err != nil {
		r.t.Fatal(err)
	}
	return rows
}

// TestReadRowLooksAsACapturedOne: of every type, what a snapshot reads is, byte for byte, what the trigger wrote.
func TestReadRowLooksAsACapturedOne(t *testing.T) {
	r := newRig(t, `create table types (id int primary key, ts timestamptz, d date, i interval, b bytea, f4 float4, f8 float8, n numeric(38,18),
		m money, x xml, j json, jb jsonb, a timestamptz[], r tstzrange, o oid, c "char")`)
	r.exec(`alter database ` + pgx.Identifier{r.databaseName()}.Sanitize() + ` set timezone = 'Asia/Ho_Chi_Minh'`)
	r.install()
	r.exec(`insert into types values (1, '2026-01-02 03:04:05.678901+07', '-infinity', '1 year 2 mons -3 days 04:05:06.7', '\xdeadbeef', 0.1, 0.1::float8 + 0.2::float8,
		12345678901234567890.123456789012345678, 1234.5, '<a>b</a>', '{ "a" :  1.0 }', '{"a": 1.0}', array['2026-01-01'::timestamptz], '[2026-01-01,2026-02-01)', 42, 'c')`)
	id := r.ask("shop-db/public.types")
	stop := r.start()
	r.awaitEnded(id)
	_ = stop()
	var captured, read string
	for _, e := range r.captured() {
		switch c := rowChange(t, e); c.Op {
		case event.Insert:
			captured = string(c.After)
		case event.Read:
			read = string(c.After)
			if c.Actor != nil || c.Transaction != "" {
				t.Errorf("a read was done by %+v in %s", c.Actor, c.Transaction)
			}
		}
	}
	if captured == "" || read != captured {
		t.Errorf("read\n%s\ncaptured\n%s", read, captured)
	}
}

func (r *rig) databaseName() (name string) {
	if err := r.db.QueryRow(r.t.Context(), "select current_database()").Scan(&name); err != nil {
		r.t.Fatal(err)
	}
	return name
}

// TestSnapshotResumes: killed before and after whichever batch, a snapshot goes on behind the last chunk that was committed.
func TestSnapshotResumes(t *testing.T) {
	r := newRig(t, `create table big (id int primary key, v text)`, `insert into big select g, repeat('x', 100) from generate_series(1, 200) g`)
	r.install()
	id := r.ask("")
	r.limits.chunkRows = 20
	r.fail = func(batch int) (before, after bool) { return batch%4 == 0, batch%4 == 2 }
	ended := func() bool { job := r.account().Job(id); return job != nil && !job.Ended.IsZero() }
	for runs := 0; !ended(); runs++ {
		if runs > 50 {
			t.Fatal("it never ends")
		}
		ctx, cancel := context.WithCancel(t.Context())
		watched := make(chan struct{})
		go func() { // nothing fails any more once it has ended
			defer close(watched)
			for ctx.Err() == nil && !ended() {
				time.Sleep(10 * time.Millisecond)
			}
			cancel()
		}()
		if err := r.source().Run(ctx, r.progress(), r.emit); !errors.Is(err, errBroker) && !ended() {
			t.Fatalf("run ended with %v", err)
		}
		cancel()
		<-watched
	}
	_, keys := r.reads("shop-db/public.big")
	slices.Sort(keys)
	if n := len(keys); n != 200 || len(slices.Compact(keys)) != n {
		t.Errorf("%d reads of %d keys", n, len(slices.Compact(keys)))
	}
	if part := r.account().Job(id).Parts[0]; part.Rows != 200 || !part.Done {
		t.Errorf("%+v", part)
	}
}

// TestSnapshotOutlivesChangesOfTheSchema: in the middle of it, a column comes, the key changes its type, a table is
// dropped, another may not be read. What can be read is, and what can't is said.
func TestSnapshotOutlivesChangesOfTheSchema(t *testing.T) {
	r := newRig(t,
		`create table a_dropped (id int primary key)`, `insert into a_dropped select generate_series(1, 500)`,
		`create table b_altered (id int primary key, v text)`, `insert into b_altered select g, 'v' from generate_series(1, 100) g`,
		`create table c_hidden (id int primary key)`, `insert into c_hidden values (1)`,
		`create table d_plain (id int primary key)`, `insert into d_plain values (1)`)
	r.install()
	reader := fmt.Sprintf("reader_%d", time.Now().UnixNano())
	r.exec(`create role ` + reader + ` login password 'secret'; grant select on a_dropped, b_altered, d_plain to ` + reader)
	t.Cleanup(func() {
		db := r.session0()
		defer func() { _ = db.Close(context.Background()) }()
		_, _ = db.Exec(context.Background(), "drop owned by "+reader)
		_, _ = db.Exec(context.Background(), "drop role "+reader)
	})
	r.config.InstallDSN, r.config.DSN = r.config.DSN, r.as(reader, "secret")
	r.install()
	id := r.ask("")
	r.limits.chunkRows = 10
	var dropped, altered bool
	r.fail = func(int) (bool, bool) {
		if job := backfillJob(r.committed, id); job != nil && job.Current() != nil {
			switch at := job.Current(); {
			case !dropped && at.Stream == "shop-db/public.a_dropped" && at.Rows >= 50:
				dropped = true
				r.exec(`drop table a_dropped`)
			case !altered && at.Stream == "shop-db/public.b_altered" && at.Rows >= 50:
				altered = true
				r.exec(`alter table b_altered add column fresh int default 7, alter column id type bigint`)
			}
		}
		return false, false
	}
	stop := r.start()
	job := r.awaitEnded(id)
	_ = stop()
	if !dropped || !altered {
		t.Fatalf("dropped %v, altered %v", dropped, altered)
	}
	problems := strings.Join(job.Problems(), "\n")
	if len(job.Problems()) != 2 || !strings.Contains(problems, "a_dropped: the table is gone") || !strings.Contains(problems, "c_hidden: permission denied") {
		t.Errorf("problems: %s", problems)
	}
	rows, _ := r.reads("shop-db/public.b_altered")
	last := map[string]bool{}
	for _, row := range rows {
		if strings.Contains(row, `"fresh":7`) {
			last[row] = true
		}
	}
	if len(last) != 100 {
		t.Errorf("%d rows were read as they are now", len(last))
	}
	if rows, _ := r.reads("shop-db/public.d_plain"); len(rows) != 1 {
		t.Errorf("of the last table, %d rows were read", len(rows))
	}
}

func backfillJob(p source.Progress, id string) *backfill.Job {
	a, err := backfill.Parse(p)
	if err != nil {
		panic(err)
	}
	return a.Job(id)
}

// TestLargeRowsOfASnapshotAreNotHeld: a row that no record could hold isn't fetched, and is told as a gap; chunks are
// bounded by bytes.
func TestLargeRowsOfASnapshotAreNotHeld(t *testing.T) {
	r := newRig(t, `create table big (id int primary key, v text)`,
		`insert into big select g, repeat('x', case when g = 7 then 300000 else 20000 end) from generate_series(1, 20) g`)
	r.opts.MaxRecordBytes = 100_000
	r.config.SnapshotRate = 0
	r.limits.chunkBytes = 64 << 10
	r.install()
	id := r.ask("")
	stop := r.start()
	r.awaitEnded(id)
	_ = stop()
	if rows, _ := r.reads("shop-db/public.big"); len(rows) != 19 {
		t.Errorf("%d rows were read", len(rows))
	}
	var gaps int
	for _, e := range r.captured() {
		if e.Type == event.GapType {
			gaps++
			var g event.Gap
			if err := json.Unmarshal(e.Value, &g); err != nil || g.Cause != causeTooLarge || !strings.Contains(g.Remedy, "the row at 7") {
				t.Errorf("%s", e.Value)
			}
		}
	}
	if gaps != 1 {
		t.Errorf("%d gaps", gaps)
	}
	if r.batches < 5 {
		t.Errorf("%d bytes came in %d batches", 19*20_000, r.batches)
	}
}

// TestSnapshotKeepsItsRate: it reads no more than it may.
func TestSnapshotKeepsItsRate(t *testing.T) {
	r := newRig(t, `create table big (id int primary key, v text)`, `insert into big select g, repeat('x', 1000) from generate_series(1, 300) g`)
	r.install()
	r.config.SnapshotRate = 128 << 10
	id := r.ask("")
	stop := r.start()
	job := r.awaitEnded(id)
	_ = stop()
	if took := job.Ended.Sub(job.Began); took < 1900*time.Millisecond { // of 300 kB; the first chunk is free
		t.Errorf("%d bytes were read in %v", job.Parts[0].Bytes, took)
	}
}

// TestMaskedColumnsAreNotRead: what is dropped never leaves the database.
func TestMaskedColumnsAreNotRead(t *testing.T) {
	r := newRig(t, `create table users (id int primary key, password text)`, `insert into users values (1, 'hush')`)
	r.opts.Mask = append(r.opts.Mask, maskOf("shop-db/public.users", "drop", "password"))
	r.install()
	id := r.ask("")
	stop := r.start()
	r.awaitEnded(id)
	_ = stop()
	for _, e := range r.captured() {
		if strings.Contains(string(e.Value), "hush") || strings.Contains(string(e.Value), "password") {
			t.Errorf("%s", e.Value)
		}
	}
	if rows, _ := r.reads("shop-db/public.users"); len(rows) != 1 {
		t.Errorf("%d rows", len(rows))
	}
}

// TestATreeThatLosesItsKeyIsReadByItsPartitions: in the middle of a snapshot that walks it by the key of its root.
func TestATreeThatLosesItsKeyIsReadByItsPartitions(t *testing.T) {
	r := newRig(t, `create table big (id int, v text, constraint big_key primary key (id)) partition by range (id)`,
		`create table big_1 partition of big for values from (0) to (1000)`, `create table big_2 partition of big for values from (1000) to (3000)`,
		`insert into big select g, repeat('x', 1000) from generate_series(1, 2000) g`)
	r.install()
	r.limits.chunkRows = 100
	id := r.ask("")
	var lost bool
	r.fail = func(int) (bool, bool) {
		if job := backfillJob(r.committed, id); !lost && job != nil && job.Current() != nil && job.Current().Rows >= 200 {
			lost = true
			r.exec(`alter table big drop constraint big_key`)
		}
		return false, false
	}
	stop := r.start()
	job := r.awaitEnded(id)
	_ = stop()
	read := map[string]bool{}
	rows, _ := r.reads("shop-db/public.big")
	for _, row := range rows {
		read[row] = true
	}
	if !lost || len(read) != 2000 || len(job.Parts) != 2 || job.Parts[0].Note != noteKeyless {
		t.Errorf("lost its key: %v; of 2000 rows %d were read: %s", lost, len(read), job)
	}
}

// TestHiddenKeysAreInNoCursor: what a snapshot has come to is kept beside the stream, where everybody may read it who may read that.
func TestHiddenKeysAreInNoCursor(t *testing.T) {
	r := newRig(t, `create table people (ssn text primary key, v text)`,
		`create table numbered (ssn text primary key, n int not null unique)`, // another index will do
		`create table tree (ssn text primary key) partition by hash (ssn)`,
		`create table tree_1 partition of tree for values with (modulus 2, remainder 0)`, `create table tree_2 partition of tree for values with (modulus 2, remainder 1)`)
	streams := []string{"numbered", "people", "tree"}
	for _, name := range streams {
		r.exec(`insert into ` + name + ` select 'hush-' || g` + map[string]string{"people": ", 'x'", "numbered": ", g"}[name] + ` from generate_series(1, 100) g`)
	}
	r.opts.Mask = append(r.opts.Mask, maskOf("shop-db/public.*", "hash", "ssn"))
	r.install()
	r.limits.chunkRows = 10
	id := r.ask("")
	r.fail = func(int) (bool, bool) {
		for of, text := range r.committed {
			if strings.Contains(string(text), "hush") {
				t.Errorf("progress of %s: %s", of, text)
			}
		}
		return false, false
	}
	stop := r.start()
	job := r.awaitEnded(id)
	_ = stop()
	for _, name := range streams {
		rows, _ := r.reads(event.Stream("shop-db/public." + name))
		if slices.Sort(rows); len(slices.Compact(rows)) != 100 {
			t.Errorf("of %s %d rows were read: %s", name, len(rows), job)
		}
	}
	for _, p := range job.Parts {
		if p.Note != "" {
			t.Errorf("%s: %s", p.Stream, p.Note)
		}
	}
}

// TestASnapshotThatReplacesEndsTheStreamFirst: rows go whose deletes nobody saw. A tree that is read by its partitions is one stream.
func TestASnapshotThatReplacesEndsTheStreamFirst(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table empty (id int primary key)`,
		`create table p (id int) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`, `create table p_2 partition of p for values from (10) to (20)`)
	r.install()
	for _, sql := range []string{`insert into t values (1), (2)`, `insert into empty values (1)`, `insert into p values (1), (11)`} {
		r.exec(sql)
	}
	r.wait(5)
	r.exec(`set session_replication_role = replica; delete from t where id = 1; delete from empty; reset session_replication_role`)
	id := r.askReplacing("")
	stop := r.start()
	r.awaitEnded(id)
	_ = stop()
	expect(t, r.captured()[5:], `public.empty truncate - snapshot`, `public.p truncate - snapshot`, `public.p read - after {"id":1}`, `public.p read - after {"id":11}`,
		`public.t truncate - snapshot`, `public.t read {"id":2} after {"id":2}`)
}

// TestAPartitionTreeWithoutPartitionsIsReplacedByNothing: what was told of partitions that are gone goes, though there is nothing to read.
func TestAPartitionTreeWithoutPartitionsIsReplacedByNothing(t *testing.T) {
	r := newRig(t, `create table p (id int) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`)
	r.install()
	r.exec(`insert into p values (1)`)
	r.exec(`alter table p detach partition p_1`)
	r.drained()
	id := r.askReplacing("shop-db/public.p")
	stop := r.start()
	if problems := r.awaitEnded(id).Problems(); len(problems) > 0 {
		t.Error(problems)
	}
	_ = stop()
	var got []string
	for _, line := range briefs(t, r.captured()) {
		if strings.HasPrefix(line, "public.p ") {
			got = append(got, line)
		}
	}
	if len(got) == 0 || got[len(got)-1] != "public.p truncate - snapshot" {
		t.Errorf("of public.p %q", got)
	}
}
