package postgres

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestATableThatIsRestoredFromItsDumpIsAGap: the dump brings the triggers too, so that the table is captured, and none of what was restored.
func TestATableThatIsRestoredFromItsDumpIsAGap(t *testing.T) {
	t.Parallel()
	for name, together := range map[string][]string{"one by one": nil, "in one transaction": {"--single-transaction"}} {
		for followed, running := range map[bool]bool{true: true, false: false} {
			t.Run(name, func(t *testing.T) {
				r := newRig(t, `create table t (id int primary key, v text)`, `create table other (id int primary key)`)
				r.unfollowed = !followed
				r.install()
				r.exec(`insert into t values (1, 'a'), (2, 'a')`)
				stop := r.start()
				r.await(2)
				file := filepath.Join(t.TempDir(), "dump")
				r.clientProgram("pg_dump", "--format", "custom", "--table", "public.t", "--file", file, "--dbname", r.dsn)
				r.exec(`update t set v = 'b' where id = 1`)
				r.await(3)
				if !running {
					_ = stop()
				}
				before := r.clock()
				r.clientProgram("pg_restore", append(together, "--clean", "--if-exists", "--exit-on-error", "--dbname", r.dsn, file)...)
				r.exec(`insert into t values (4, 'd')`)
				if !running {
					stop = r.start()
				}
				r.await(5)
				r.exec(`insert into t values (5, 'e')`)
				r.exec(`insert into other values (1)`)
				r.await(7)
				_ = stop()
				got := r.captured()[3:]
				want := []string{`public.t insert {"id":4} after {"id":4,"v":"d"}`, `public.t gap table_new`, `public.t insert {"id":5} after {"id":5,"v":"e"}`, `public.other insert {"id":1} after {"id":1}`}
				expect(t, got, want...)
				if g := gapOf(t, got[1]); g.From.After(before) || g.To.Before(before) {
					t.Errorf("restored after %v: %+v", before, g)
				}
				if steps, err := r.source().Plan(t.Context()); err != nil || len(steps) > 0 {
					t.Errorf("afterwards a plan of %v, %v", steps, err)
				}
			})
		}
	}
}

// TestATableThatIsRestoredByAnotherNameIsNotTheOneOfItsDump: its triggers call the function of that one. What it is written until it has its own is
// no change of the other, and a gap of its own; one that isn't selected loses them.
func TestATableThatIsRestoredByAnotherNameIsNotTheOneOfItsDump(t *testing.T) {
	r := newRig(t, `create schema one`, `create table one.t (id int primary key, v text)`, `create table one.p (id int primary key) partition by range (id)`,
		`create table one.p_1 partition of one.p for values from (0) to (10)`, `create function one.again() returns trigger language plpgsql as $$ begin return new; end $$`,
		`create trigger again after insert on one.p for each row execute function one.again()`)
	r.config.Tables = []string{"one.*", "two.*", "public.done"}
	r.install()
	r.exec(`insert into one.t values (1, 'a')`)
	r.exec(`insert into one.p values (1)`)
	dump := r.clientProgram("pg_dump", "--schema", "one", "--dbname", r.dsn)
	dump = strings.NewReplacer("\\restrict", "-- ", "\\unrestrict", "-- ").Replace(dump)
	var body strings.Builder
	for line := range strings.Lines(dump) {
		if !strings.HasPrefix(line, "COPY ") && !strings.HasPrefix(line, "1\t") && line != "1\n" && line != "\\.\n" {
			body.WriteString(line)
		}
	}
	for _, schema := range []string{"two", "three"} {
		r.exec("begin;" + strings.NewReplacer("SCHEMA one", "SCHEMA "+schema, "one.", schema+".").Replace(body.String()) + "; set search_path = public; commit")
		r.exec(`insert into ` + schema + `.t values (2, 'copy'); insert into ` + schema + `.p values (2); alter table ` + schema + `.t add column w int`)
	}
	r.exec(`insert into one.t values (3, 'c')`)
	r.install()
	r.exec(`insert into one.t values (4, 'd'); insert into one.p values (4)`)
	for _, schema := range []string{"two", "three"} {
		r.exec(`insert into ` + schema + `.t values (5, 'copy', 1); insert into ` + schema + `.p values (5); update ` + schema + `.p set id = 6 where id = 5; truncate ` + schema + `.t`)
	}
	of := map[string][]string{}
	for _, line := range briefs(t, r.drained()) {
		stream, what, _ := strings.Cut(line, " ")
		of[stream] = append(of[stream], what)
	}
	for stream, want := range map[string][]string{
		"one.t": {`insert {"id":1} after {"id":1,"v":"a"}`, `insert {"id":3} after {"id":3,"v":"c"}`, `insert {"id":4} after {"id":4,"v":"d"}`},
		"one.p": {`insert {"id":1} after {"id":1}`, `insert {"id":4} after {"id":4}`},
		"two.t": {`gap table_new`, `insert {"id":5} after {"id":5,"v":"copy","w":1}`, `truncate -`},
		"two.p": {`gap table_new`, `insert {"id":5} after {"id":5}`, `delete {"id":5} before {"id":5} after {"id":6} moved_to`, `insert {"id":6} before {"id":5} after {"id":6} moved_from`,
			`read {"id":2} after {"id":2}`, `read {"id":6} after {"id":6}`}, // a dump has its partitions attached
	} {
		if !slices.Equal(of[stream], want) {
			t.Errorf("of %s\n\t%s\nwant\n\t%s", stream, strings.Join(of[stream], "\n\t"), strings.Join(want, "\n\t"))
		}
	}
	if len(of) != 4 {
		t.Errorf("streams %v", of)
	}
	if n := r.number(`select count(*) from pg_trigger t join pg_class c on c.oid = t.tgrelid where c.relnamespace = 'three'::regnamespace and t.tgname like '\_datawatch%'`); n > 0 {
		t.Errorf("a table that isn't selected has %d triggers", n)
	}
	if steps, err := r.source().Plan(t.Context()); err != nil || len(steps) > 0 {
		t.Errorf("afterwards a plan of %v, %v", steps, err)
	}
}

// TestAFunctionWhoseShapeIsNotThereIsTidiedAway: a dump has functions before it has rows, and of a table without triggers. It keeps no other table from
// being captured.
func TestAFunctionWhoseShapeIsNotThereIsTidiedAway(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.unfollowed = true
	r.install()
	r.exec(`delete from datawatch.shapes; drop table t; create table other (id int primary key)`)
	r.install()
	if n := r.number(`select count(*) from pg_proc where pronamespace = 'datawatch'::regnamespace and proname like 'capture\_%' and prorettype = 'trigger'::regtype`); n != 1 {
		t.Errorf("%d functions are left, for one table", n)
	}
	r.exec(`insert into other values (1)`)
	expect(t, r.wait(1), `public.other insert {"id":1} after {"id":1}`)
}

// TestPacksOfAnotherServerAreNotTold: the dump that brings a table over an installation brings what waited in its server's outbox.
func TestPacksOfAnotherServerAreNotTold(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	file := filepath.Join(t.TempDir(), "dump")
	r.clientProgram("pg_dump", "--format", "custom", "--table", "public.t", "--file", file, "--dbname", r.dsn)
	r.exec(`begin; savepoint one; insert into t values (1); release one; commit`)
	r.exec(`insert into t select generate_series(2, 5)`)
	r.exec(`insert into datawatch.single_0 select seq, part, (txid::text::bigint + 1000000)::text::xid8, op, json, shape, at, counted, application, login, client, tag, was, became from datawatch.single_0`)
	r.exec(`insert into datawatch.outbox select (jsonb_populate_record(o, jsonb_build_object('txid', (txid::text::bigint + 5000000000)::text))).* from datawatch.outbox o`)
	const ahead = `select count(*) from datawatch.packs where txid > pg_snapshot_xmax(pg_current_snapshot())`
	if n := r.number(ahead); n != 2 {
		t.Fatalf("%d packs are another server's", n)
	}
	r.clientProgram("pg_restore", "--clean", "--if-exists", "--exit-on-error", "--dbname", r.dsn, file)
	r.install()
	if n := r.number(ahead); n > 0 {
		t.Errorf("%d packs of another server are left", n)
	}
	var got []string
	for _, e := range r.wait(6) {
		got = append(got, string(e.Key))
	}
	slices.Sort(got)
	if want := []string{``, `{"id":1}`, `{"id":2}`, `{"id":3}`, `{"id":4}`, `{"id":5}`}; !slices.Equal(got, want) {
		t.Errorf("told of %q", got)
	}
}
