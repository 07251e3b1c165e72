package postgres

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// TestRowsThatComeSidewaysAreCaptured: COPY, a WITH that writes, a function, foreign keys, inheritance.
func TestRowsThatComeSidewaysAreCaptured(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`, `create table log (id int primary key, v text)`,
		`create table child (id int primary key, t int references t on delete cascade on update cascade)`,
		`create table heir (more int, primary key (id)) inherits (t)`,
		`create function write(int) returns void language sql as $$ insert into log values ($1, 'by a function') $$`)
	r.install()
	if _, err := r.db.CopyFrom(t.Context(), pgx.Identifier{"t"}, []string{"id", "v"}, pgx.CopyFromRows([][]any{{1, "a"}, {2, "b"}})); err != nil {
		t.Fatal(err)
	}
	r.exec(`insert into child values (10, 1), (20, 2)`)
	r.exec(`with gone as (delete from t where id = 1 returning id, v) insert into log select id, v from gone`)
	r.exec(`update t set id = 3 where id = 2; select write(7)`)
	r.exec(`insert into heir values (5, 'h', 1); update t set v = 'by the parent' where id = 5; delete from only t`)
	want := map[string]int{
		`public.t insert {"id":1} after {"id":1,"v":"a"}`:                                     1,
		`public.t insert {"id":2} after {"id":2,"v":"b"}`:                                     1,
		`public.child insert {"id":10} after {"id":10,"t":1}`:                                 1,
		`public.child insert {"id":20} after {"id":20,"t":2}`:                                 1,
		`public.t delete {"id":1} before {"id":1,"v":"a"}`:                                    1,
		`public.child delete {"id":10} before {"id":10,"t":1}`:                                1,
		`public.log insert {"id":1} after {"id":1,"v":"a"}`:                                   1,
		`public.t delete {"id":2} before {"id":2,"v":"b"} after {"id":3,"v":"b"} moved_to`:    1,
		`public.t insert {"id":3} before {"id":2,"v":"b"} after {"id":3,"v":"b"} moved_from`:  1,
		`public.child update {"id":20} before {"id":20,"t":2} after {"id":20,"t":3}`:          1,
		`public.log insert {"id":7} after {"id":7,"v":"by a function"}`:                       1,
		`public.heir insert {"id":5} after {"id":5,"v":"h","more":1}`:                         1,
		`public.t update {"id":5} before {"id":5,"v":"h"} after {"id":5,"v":"by the parent"}`: 1, // what is changed through the parent is the parent's
		`public.t delete {"id":3} before {"id":3,"v":"b"}`:                                    1,
		`public.child delete {"id":20} before {"id":20,"t":3}`:                                1,
	}
	got := map[string]int{}
	for _, line := range briefs(t, r.drained()) {
		got[line]++
	}
	if !maps.Equal(got, want) {
		t.Errorf("captured %v", got)
	}
}

// TestTruncatesAndWhatWritesByOtherNamesAreCaptured: TRUNCATE of what refers to a table and inherits from it, a procedure that commits and
// rolls back, a view, a rule, a cursor, a prepared statement.
func TestTruncatesAndWhatWritesByOtherNamesAreCaptured(t *testing.T) {
	r := newRig(t, `create table a (id int primary key)`, `create table b (id int primary key, a int references a)`, `create table c (id int primary key, b int references b)`,
		`create table heir (primary key (id)) inherits (a)`, `create table lone (id int generated always as identity primary key)`,
		`create table p (id int primary key, a int references a) partition by range (id); create table p0 partition of p for values from (0) to (10)`,
		`create table t (id int primary key, v text)`, `create view w as select id, v from t where id > 0`, `create table ruled (id int); create rule away as on insert to ruled do instead insert into t values (new.id, 'ruled')`,
		`create procedure steps() language plpgsql as $$ begin insert into t values (1, 'a'); commit; insert into t values (2, 'b'); rollback; insert into t values (3, 'c'); end $$`)
	r.install()
	r.exec(`truncate a, lone restart identity cascade`)
	r.exec(`insert into lone default values`)
	r.exec(`call steps()`)
	r.exec(`insert into w values (4, 'view'); update w set v = 'seen' where id = 4; insert into ruled values (5)`)
	r.exec(`begin; declare here cursor for select * from t where id = 5 for update; fetch here; update t set v = 'at' where current of here; delete from t where current of here; commit`)
	r.exec(`prepare put(int, text) as insert into t values ($1, $2); execute put(6, 'prepared')`)
	got := r.drained()
	truncated := briefs(t, got[:6])
	slices.Sort(truncated)
	if want := []string{`public.a truncate -`, `public.b truncate -`, `public.c truncate -`, `public.heir truncate -`, `public.lone truncate -`, `public.p truncate -`}; !slices.Equal(truncated, want) {
		t.Errorf("%q were truncated", truncated)
	}
	expect(t, got[6:],
		`public.lone insert {"id":1} after {"id":1}`,
		`public.t insert {"id":1} after {"id":1,"v":"a"}`,
		`public.t insert {"id":3} after {"id":3,"v":"c"}`,
		`public.t insert {"id":4} after {"id":4,"v":"view"}`,
		`public.t update {"id":4} before {"id":4,"v":"view"} after {"id":4,"v":"seen"}`,
		`public.t insert {"id":5} after {"id":5,"v":"ruled"}`,
		`public.t update {"id":5} before {"id":5,"v":"ruled"} after {"id":5,"v":"at"}`,
		`public.t delete {"id":5} before {"id":5,"v":"at"}`,
		`public.t insert {"id":6} after {"id":6,"v":"prepared"}`)
	checkIndexes(t, got)
	if one, other := rowChange(t, got[7]).Transaction, rowChange(t, got[8]).Transaction; one == other {
		t.Errorf("what a procedure commits apart is of one transaction, %s", one)
	}
}

// TestRowLevelSecurityHidesNothingFromCapture: what the writer may not read back is captured all the same, and the writer
// sees no more than before.
func TestRowLevelSecurityHidesNothingFromCapture(t *testing.T) {
	r := newRig(t, `create table secrets (id int primary key, owner text)`)
	r.exec(`drop role if exists dw_test_tenant; create role dw_test_tenant; grant all on secrets to dw_test_tenant;
		alter table secrets enable row level security; alter table secrets force row level security;
		create policy writes on secrets for insert to dw_test_tenant with check (true);
		create policy own on secrets for all to dw_test_tenant using (owner = 'tenant')`)
	r.install()
	r.exec(`set role dw_test_tenant; insert into secrets values (1, 'other'), (2, 'tenant'); update secrets set id = id + 10; reset role`)
	r.exec(`drop owned by dw_test_tenant; drop role dw_test_tenant`)
	expect(t, r.wait(4),
		`public.secrets insert {"id":1} after {"id":1,"owner":"other"}`,
		`public.secrets insert {"id":2} after {"id":2,"owner":"tenant"}`,
		`public.secrets delete {"id":2} before {"id":2,"owner":"tenant"} after {"id":12,"owner":"tenant"} moved_to`,
		`public.secrets insert {"id":12} before {"id":2,"owner":"tenant"} after {"id":12,"owner":"tenant"} moved_from`)
}

// TestTheOutboxIsCompressed: as well as the server can, at the least as every server can; rows in binary form as JSON.
func TestTheOutboxIsCompressed(t *testing.T) {
	for _, version := range []string{"", "13", "18"} { // 13 has nothing but its own
		t.Run("PostgreSQL"+version, func(t *testing.T) { outboxIsCompressed(t, testrig.PostgresVersion(t, version).Database(t)) })
	}
}

func outboxIsCompressed(t *testing.T, dsn string) {
	r := newRigOn(t, dsn, `create table t (id int primary key, v text)`, `create table j (id int primary key, v text, f float8)`)
	r.install()
	for _, table := range []string{"t", "j"} {
		r.exec(`insert into ` + table + ` select g, repeat('compressible ', 20) from generate_series(1, 2000) g`)
	}
	var lz4 bool
	var version int
	err := r.db.QueryRow(t.Context(), `select exists (select from pg_settings where name = 'default_toast_compression' and 'lz4' = any (enumvals)), current_setting('server_version_num')::int`).Scan(&lz4, &version)
	if err != nil || !lz4 {
		t.Logf("PostgreSQL %d is built without lz4 (%v)", version, err)
	}
	for column, size := range map[string]string{"news": "bytes", "after": "octet_length(after::text)"} {
		var stored, whole int64
		if err := r.db.QueryRow(t.Context(), `select sum(pg_column_size(`+column+`)), sum(`+size+`) from datawatch.outbox where op = 'i' and `+column+` is not null`).Scan(&stored, &whole); err != nil {
			t.Fatal(err)
		}
		if whole < 500_000 || stored*4 > whole {
			t.Errorf("%s: %d bytes are stored in %d", column, whole, stored)
		}
		if !lz4 {
			continue
		}
		if others := r.number(`select count(*) from datawatch.outbox where op = 'i' and ` + column + ` is not null and pg_column_compression(` + column + `) is distinct from 'lz4'`); others > 0 {
			t.Errorf("%s: %d packs aren't compressed by lz4", column, others)
		}
	}
	r.wait(4000)
}

// TestCaptureStopsWhereNoCollectorComes: an outbox that nobody reads stops growing when the collector has been away for as
// long as it may be, and what isn't captured then is a gap.
func TestCaptureStopsWhereNoCollectorComes(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`insert into t values (1); update datawatch.queue set expires = clock_timestamp()`)
	r.exec(`insert into t values (2)`)
	stop := r.start()
	r.await(2)
	testrig.Eventually(t, time.Minute, func() error {
		if r.number(`select count(*) from datawatch.queue where expires > clock_timestamp()`) == 0 {
			return errors.New("no collector has come yet")
		}
		return nil
	})
	r.exec(`insert into t values (3)`)
	r.await(3)
	_ = stop()
	gaps := map[string]int{}
	for _, e := range r.captured() {
		line := brief(t, e)
		if e.Type != event.GapType {
			gaps[line]++
		} else {
			gaps["gap"]++
		}
	}
	want := map[string]int{`public.t insert {"id":1} after {"id":1}`: 1, "gap": 1, `public.t insert {"id":3} after {"id":3}`: 1}
	if !maps.Equal(gaps, want) {
		t.Errorf("captured %v", gaps)
	}
}

// TestRowsThatMoveUnseenAreAGap: PostgreSQL hands no trigger the rows that a MERGE moves to another partition, and a single image of
// those of an UPDATE that a trigger of that partition keeps out.
func TestRowsThatMoveUnseenAreAGap(t *testing.T) {
	r := newRig(t, `create table p (id int, k int, v text, primary key (id, k)) partition by list (k)`,
		`create table p1 partition of p for values in (1); create table p2 partition of p for values in (2); create table p3 partition of p for values in (3)`,
		`create function keep_out() returns trigger language plpgsql as $$ begin return null; end $$; create trigger keep_out before insert on p3 for each row execute function keep_out()`)
	r.install()
	r.exec(`insert into p values (1, 1), (2, 1), (3, 1)`)
	r.exec(`update p set k = 2 where id = 1`)
	r.exec(`update p set k = 3 where id = 1`)
	r.exec(`update p set k = case id when 2 then 2 else 3 end where id > 1`)
	want := []string{
		`public.p insert {"id":1,"k":1} after {"id":1,"k":1,"v":null}`,
		`public.p insert {"id":2,"k":1} after {"id":2,"k":1,"v":null}`,
		`public.p insert {"id":3,"k":1} after {"id":3,"k":1,"v":null}`,
		`public.p delete {"id":1,"k":1} before {"id":1,"k":1,"v":null} after {"id":1,"k":2,"v":null} moved_to`,
		`public.p insert {"id":1,"k":2} before {"id":1,"k":1,"v":null} after {"id":1,"k":2,"v":null} moved_from`,
		`public.p gap capture_failed`,
		`public.p gap capture_failed`,
	}
	if r.number(`select current_setting('server_version_num')::int`) >= 150000 {
		r.exec(`truncate p; insert into p values (1, 1)`)
		r.exec(`merge into p using (values (1), (2)) s(id) on p.id = s.id when matched then update set v = 'k' when not matched then insert (id, k) values (s.id, 2)`)
		r.exec(`MERGE INTO p USING (values (1)) s(id) ON p.id = s.id WHEN MATCHED THEN UPDATE SET v = 'moved', K = 3 - p.k`)
		r.exec(`do $$ begin merge into p using (values (2)) s(id) on p.id = s.id when matched then update set k = case when p.k = 1 then 2 else 1 end; end $$`)
		want = append(want, `public.p truncate -`,
			`public.p insert {"id":1,"k":1} after {"id":1,"k":1,"v":null}`,
			`public.p update {"id":1,"k":1} before {"id":1,"k":1,"v":null} after {"id":1,"k":1,"v":"k"}`,
			`public.p insert {"id":2,"k":2} after {"id":2,"k":2,"v":null}`,
			`public.p gap capture_failed`, `public.p gap capture_failed`)
	}
	expect(t, r.wait(len(want)), want...)
}

// TestAMergeIsKnownWhateverItsText: what is in comments, literals and quoted names hides no MERGE, nor does what runs it.
func TestAMergeIsKnownWhateverItsText(t *testing.T) {
	for _, version := range []string{"15", "18"} {
		r := newRigOn(t, testrig.PostgresVersion(t, version).Database(t), `create table p (id int, k int, "it's" int) partition by list (k)`,
			`create table p1 partition of p for values in (1); create table p2 partition of p for values in (2)`)
		merges := []string{
			`merge /* it's the nightly job */ into p using (values (1)) s(id) on p.id = s.id when matched then update set k = 2`,
			"merge into p -- it's\n using (values (1)) s(id) on p.id = s.id when matched then update set k = 2",
			`merge into p using (select 1 as id, e'O\'Brien' as name) s on p.id = s.id when matched then update set k = 2`,
			`merge into p using (select 1 as id, $$it's$$ as name) s on p.id = s.id when matched then update set k = 2`,
			`merge/* a /* b */ it's */ into p using (values (1)) s(id) on p.id = s.id when matched then update set k = 2`,
			`merge into p using (select 1 as id, 2 as "it's") s on p.id = s.id when matched then update set "k" = 2, "it's" = 3`,
			`do 'begin merge into p using (values (1)) s(id) on p.id = s.id when matched then update set k = 2; end'`,
			`select by_sql()`, `select "by 1 body"()`, `execute again`,
		}
		r.exec(`create function by_sql() returns void language sql as $$ ` + merges[0] + ` $$`)
		r.exec(`create function "by 1 body"() returns void language sql begin atomic ` + merges[0] + `; end`)
		r.exec(`prepare again as ` + merges[0])
		if version >= "17" {
			r.exec(`create function looping() returns void language plpgsql as $$ declare r record; begin for r in ` + merges[0] + ` returning p.id loop end loop; end $$`)
			merges = append(merges, `select looping()`)
		}
		r.install()
		var want []string
		for _, sql := range merges {
			r.exec(`truncate p; insert into p values (1, 1)`)
			r.exec(sql)
			r.exec(`update p set "it's" = 1 /* merge into p set k = 1 */ where id = 3 or 'merge into p set k' = ''`)
			want = append(want, `public.p truncate -`, `public.p insert - after {"id":1,"k":1,"it's":null}`, `public.p gap capture_failed`)
		}
		expect(t, r.wait(len(want)), want...)
		if n := r.number(`select count(*) from p1`); n != 0 {
			t.Errorf("%d rows moved nowhere", n)
		}
	}
}

// TestAMergeOfATreeIsToldAsItIs: of itself, PostgreSQL gives triggers the row that a MERGE inserted last for those of a partition tree
// that it updates behind it. What it does then is right, whatever the tree is like.
func TestAMergeOfATreeIsToldAsItIs(t *testing.T) {
	trees := map[string]string{
		"range":     `create table p (id int primary key, v text) partition by range (id); create table p0 partition of p for values from (0) to (20); create table p1 partition of p default`,
		"hash":      `create table p (id int primary key, v text) partition by hash (id); create table p0 partition of p for values with (modulus 2, remainder 0); create table p1 partition of p for values with (modulus 2, remainder 1)`,
		"one":       `create table p (id int primary key, v text) partition by range (id); create table p0 partition of p default`,
		"converted": `create table p (id int primary key, v text) partition by range (id); create table p0 (gone int, v text, id int not null); alter table p0 drop gone; alter table p attach partition p0 for values from (0) to (20); create table p1 partition of p default`,
		"deep": `create table p (id int primary key, v text) partition by range (id); create table p0 partition of p for values from (0) to (100) partition by hash (id); create table p1 partition of p default;
			create table p00 partition of p0 for values with (modulus 2, remainder 0); create table p01 partition of p0 for values with (modulus 2, remainder 1)`,
		"triggers": `create table p (id int primary key, v text) partition by range (id); create table p0 partition of p for values from (0) to (20); create table p1 partition of p default;
			create function touch() returns trigger language plpgsql as $$ begin new.v := new.v || '!'; return new; end $$; create trigger touch before insert or update on p1 for each row execute function touch();
			create function more() returns trigger language plpgsql as $$ begin if pg_trigger_depth() = 1 then update p set v = v || '+' where v = new.v; end if; return null; end $$; create trigger more after insert or update on p for each row execute function more()`,
	}
	for _, version := range []string{"15", "18"} {
		for name, tree := range trees {
			t.Run(version+"/"+name, func(t *testing.T) {
				r := newRigOn(t, testrig.PostgresVersion(t, version).Database(t), tree)
				r.install()
				r.exec(`insert into p select g, 'v' || g from generate_series(1, 60, 2) g`)
				targets := []string{"p"}
				if name == "deep" {
					targets = append(targets, "p0", "p00")
				}
				for i, target := range targets {
					r.exec(fmt.Sprintf(`merge into %s t using (select generate_series(1, 30) as id union all select 40 union all select 41) s on t.id = s.id
						when matched and t.id %% 5 = 0 then delete when matched then update set v = 'm%d' when not matched and ('%[1]s' <> 'p00' or s.id = -1) then insert (id, v) values (s.id, 'n')`, target, i))
				}
				r.exec(`with m as (select 1) merge into p using (values (71), (3), (73), (31)) s(id) on p.id = s.id when matched then update set v = 'w' when not matched then insert values (s.id, 'n')`)
				events := r.drained()
				got, want := sorted(t, replay(t, events)["shop-db/public.p"]), sorted(t, contents(t, r.db, "p"))
				if !maps.Equal(got, want) {
					t.Errorf("by replay %v, in the table %v", got, want)
				}
			})
		}
	}
}

// TestAMergeThatPostgreSQLTellsFalselyIsAGap: of a partition that is there for seconds and has no trigger yet, nobody knows what a MERGE has
// updated in the tree behind what it inserted.
func TestAMergeThatPostgreSQLTellsFalselyIsAGap(t *testing.T) {
	for _, version := range []string{"15", "18"} {
		r := newRigOn(t, testrig.PostgresVersion(t, version).Database(t), `create table p (id int primary key, v text) partition by range (id)`, `create table p0 partition of p for values from (0) to (50)`,
			`create table other (id int primary key, v text)`)
		r.install()
		r.exec(`alter table p attach partition other for values from (50) to (100); insert into p values (1, 'a')`)
		r.exec(`merge into p using (values (2), (1)) s(id) on p.id = s.id when matched then update set v = 'm' when not matched then insert values (s.id, 'n')`)
		r.exec(`merge into p using (values (1)) s(id) on p.id = s.id when matched then update set v = 'insert'`)
		r.exec(`merge into p using (values (3)) s(id) on p.id = s.id when not matched then insert values (s.id, 'n')`)
		r.exec(`merge into p using (values (4)) s(id) on p.id = s.id when matched then update set v = 'm' when not matched then insert values (s.id, 'n')`)
		r.exec(`insert into p values (5, 'a'); update p set v = 'u' where id = 5`)
		r.install()
		r.exec(`merge into p using (values (6), (5)) s(id) on p.id = s.id when matched then update set v = 'm' when not matched then insert values (s.id, 'n')`)
		expect(t, r.wait(11), `public.other truncate - attach`, `public.p insert {"id":1} after {"id":1,"v":"a"}`, `public.p gap capture_failed`, `public.p insert {"id":2} after {"id":2,"v":"n"}`,
			`public.p update {"id":1} before {"id":1,"v":"m"} after {"id":1,"v":"insert"}`, `public.p insert {"id":3} after {"id":3,"v":"n"}`, `public.p insert {"id":4} after {"id":4,"v":"n"}`,
			`public.p insert {"id":5} after {"id":5,"v":"a"}`, `public.p update {"id":5} before {"id":5,"v":"a"} after {"id":5,"v":"u"}`,
			`public.p update {"id":5} before {"id":5,"v":"u"} after {"id":5,"v":"m"}`, `public.p insert {"id":6} after {"id":6,"v":"n"}`)
		if n := r.number(`select count(*) from pg_trigger where tgname = '_datawatch_merge' and tgrelid in ('p0'::regclass, 'other'::regclass)`); n != 2 {
			t.Errorf("%d triggers", n)
		}
	}
}

// TestVirtualColumnsAreNamedIncomplete: PostgreSQL 18 computes a generated column when it is read, and gives triggers nothing of it.
func TestVirtualColumnsAreNamedIncomplete(t *testing.T) {
	r := newRigOn(t, testrig.PostgresVersion(t, "18").Database(t))
	r.exec(`create table t (a int, twice int generated always as (a * 2), id int primary key, secret text, e point)`)
	r.opts.Mask = append(r.opts.Mask, maskOf("shop-db/public.t", "drop", "secret"))
	r.exec(`create table plain (id int primary key, v int generated always as (id + 1) virtual, n numeric)`)
	r.install()
	r.exec(`insert into plain values (1); insert into plain (id) values (2), (3)`)
	r.exec(`begin isolation level repeatable read; update plain set n = 1.50 where id = 1; commit`)
	r.exec(`insert into t (id, a, secret) values (1, 5, 'hush')`)
	r.exec(`begin isolation level serializable; update t set a = 6; commit`)
	r.exec(`delete from t; truncate t`)
	r.exec(`alter table plain add w int; insert into plain (id, w) values (4, 9)`)
	const lacks = ` incomplete {"fields":["v"]}`
	expect(t, r.wait(9),
		`public.plain insert {"id":1} after {"id":1,"n":null}`+lacks, `public.plain insert {"id":2} after {"id":2,"n":null}`+lacks, `public.plain insert {"id":3} after {"id":3,"n":null}`+lacks,
		`public.plain update {"id":1} before {"id":1,"n":null} after {"id":1,"n":1.50}`+lacks,
		`public.t insert {"id":1} after {"a":5,"id":1,"e":null} incomplete {"fields":["twice"]}`,
		`public.t update {"id":1} before {"a":5,"id":1,"e":null} after {"a":6,"id":1,"e":null} incomplete {"fields":["twice"]}`,
		`public.t delete {"id":1} before {"a":6,"id":1,"e":null} incomplete {"fields":["twice"]}`,
		`public.t truncate -`,
		`public.plain insert {"id":4} after {"id":4,"n":null,"w":9}`+lacks)
	status, err := r.source().Status(t.Context())
	if err != nil || !status.Complete {
		t.Errorf("status %+v, %v", status, err)
	}
	id := r.ask("shop-db/public.plain")
	stop := r.start()
	if job := r.awaitEnded(id); job == nil {
		t.Error("the snapshot didn't end")
	}
	_ = stop()
	if rows, _ := r.reads("shop-db/public.plain"); len(rows) != 4 || !strings.Contains(strings.Join(rows, " "), `"n":1.50`) {
		t.Errorf("read %q", rows)
	}
}
