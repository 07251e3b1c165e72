package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// evilTypes are what somebody without a right of ours may create: enums and ranges with a cast to json, which to_json calls,
// a domain with a check, and what is made of them. Each function tells on whoever calls it but the owner himself.
var evilTypes = []string{
	`drop role if exists dw_test_attacker`, `create role dw_test_attacker`,
	`create table stolen (by text, how text); create schema evil; grant usage, create on schema evil to dw_test_attacker; grant insert on stolen to dw_test_attacker`,
	`set role dw_test_attacker`,
	`create function evil.steal(how text) returns text language plpgsql as $$ begin
		if current_user <> 'dw_test_attacker' then insert into public.stolen values (current_user, how); end if; return 'stolen'; end $$`,
	`create type evil.e as enum ('a', 'b c')`,
	`create function evil.e_json(evil.e) returns json language sql as $$ select to_json(evil.steal('enum')) $$; create cast (evil.e as json) with function evil.e_json(evil.e)`,
	`create function evil.e_text(evil.e) returns text language sql as $$ select evil.steal('enum''s text') $$; create cast (evil.e as text) with function evil.e_text(evil.e)`,
	`create type evil.span as range (subtype = int4)`,
	`create function evil.span_json(evil.span) returns json language sql as $$ select to_json(evil.steal('range')) $$; create cast (evil.span as json) with function evil.span_json(evil.span)`,
	`create domain evil.d as evil.e`,
	`create function evil.fits(text) returns bool language sql as $$ select evil.steal('check') is not null $$; create domain evil.checked as text check (evil.fits(value))`,
	`create type evil.pair as (n numeric, "e ""e" evil.e)`, `create type evil.deep as (p evil.pair, ps evil.pair[])`, `create type evil.plain as (n int)`,
	`create table evil.t (id evil.checked primary key, e evil.e, es evil.e[], s evil.span, d evil.d, p evil.pair, ps evil.pair[], deep evil.deep, plain evil.plain, n numeric, at timestamptz)`,
	`create table evil.sent (id int primary key, e evil.e, v text); alter table evil.sent alter v set storage external`,
	`create table evil.masked (id int primary key, e evil.e, secret text)`,
	`create table evil.odd (id int primary key, e evil.e, p point, "a$capture$; select evil.steal('quotes'); $capture$" int)`,
	`create table evil."od'd" (id int primary key, e evil.e, p point, "b\'" int, "q""'{{sent}}$body$" int, "/* sent */ true" int)`,
	`create function evil.same(evil.e, evil.e) returns bool language sql as $$ select evil.steal('equality') is not null $$; create operator evil.= (function = evil.same, leftarg = evil.e, rightarg = evil.e)`,
	`create table evil.keyed (k evil.e primary key, c evil.checked[] unique)`,
	`create table evil.parted (id int primary key, e evil.e) partition by list (id)`, `create table evil.part partition of evil.parted for values in (1)`,
	`reset role`,
}

const (
	evilValues = `'b c', array['a', null, 'b c']::evil.e[], '[1,3)', 'a', '(1.50,"b c")', array['(1,a)', null]::evil.pair[], row(row(2, 'a'), array[row(3, null)]::evil.pair[]), '(7)', 1.10, '2026-01-01 00:00:00+00')`
	evilImage  = `"e":"b c","es":["a",null,"b c"],"s":"[1,3)","d":"a","p":{"n":1.50,"e \"e":"b c"},"ps":[{"n":1,"e \"e":"a"},null],"deep":{"p":{"n":2,"e \"e":"a"},"ps":[{"n":3,"e \"e":null}]},"plain":{"n":7},"n":1.10,"at":"2026-01-01T00:00:00+00:00"}`
)

func newEvilRig(t *testing.T) *rig {
	r := newRig(t, evilTypes...)
	t.Cleanup(func() {
		db := r.session0()
		_, _ = db.Exec(context.Background(), `drop owned by dw_test_attacker cascade; drop role dw_test_attacker`)
		_ = db.Close(context.Background())
	})
	r.config.Tables = []string{"evil.*"}
	return r
}

// squeezed is an event without the blanks that json_agg writes.
func squeezed(t *testing.T, e event.Raw) string {
	t.Helper()
	return strings.NewReplacer(", \n ", ",", ", {", ",{", ", null", ",null").Replace(brief(t, e))
}

// TestNoCastOfATypesOwnerIsCalled: whatever way rows become JSON, in a transaction of whatever isolation, and when they are
// read: nothing of whoever owns a type is run with the rights of others.
func TestNoCastOfATypesOwnerIsCalled(t *testing.T) {
	r := newEvilRig(t)
	r.opts.Mask = append(r.opts.Mask, maskOf("shop-db/evil.masked", "drop", "secret"))
	r.install()
	r.exec(`set role dw_test_attacker`)
	r.exec(`insert into evil.t values ('1', ` + evilValues)
	r.exec(`insert into evil.t values ('2', ` + evilValues + `, ('3', ` + evilValues)
	r.exec(`begin isolation level repeatable read; update evil.t set n = n where id = '1'; delete from evil.t where id in ('2', '3'); commit`)
	r.exec(`set client_encoding = 'LATIN1'; insert into evil.sent values (1, 'a', 'x'); reset client_encoding`)
	r.exec(`begin isolation level serializable; insert into evil.sent select g, 'b c', repeat('n', 3000) from generate_series(2, 3) g; commit`)
	r.exec(`insert into evil.masked values (1, 'a', 'hush')`)
	r.exec(`insert into evil.parted values (1, 'b c'); truncate evil.part`)
	r.exec(`set standard_conforming_strings = off; insert into evil.odd values (1, 'a', null, 2); insert into evil."od'd" values (1, 'a', null, 2, 3, 4); reset standard_conforming_strings`)
	r.exec(`insert into evil.keyed values ('a', '{x}')`)
	r.exec(`reset role`)
	large := strings.Repeat("n", 3000)
	want := []string{
		`evil.t insert {"id":"1"} after {"id":"1",` + evilImage,
		`evil.t insert {"id":"2"} after {"id":"2",` + evilImage,
		`evil.t insert {"id":"3"} after {"id":"3",` + evilImage,
		`evil.t update {"id":"1"} before {"id":"1",` + evilImage + ` after {"id":"1",` + evilImage,
		`evil.t delete {"id":"2"} before {"id":"2",` + evilImage,
		`evil.t delete {"id":"3"} before {"id":"3",` + evilImage,
		`evil.sent insert {"id":1} after {"id":1,"e":"a","v":"x"}`,
		`evil.sent insert {"id":2} after {"id":2,"e":"b c","v":"` + large + `"}`,
		`evil.sent insert {"id":3} after {"id":3,"e":"b c","v":"` + large + `"}`,
		`evil.masked insert {"id":1} after {"id":1,"e":"a"}`,
		`evil.parted insert {"id":1} after {"id":1,"e":"b c"}`,
		`evil.parted delete {"id":1} before {"id":1,"e":"b c"}`,
		`evil.odd insert {"id":1} after {"id":1,"e":"a","p":null,"a$capture$; select evil.steal('quotes'); $capture$":2}`,
		`evil.od%27d insert {"id":1} after {"id":1,"e":"a","p":null,"b\\'":2,"q\"'{{sent}}$body$":3,"/* sent */ true":4}`,
		`evil.keyed insert {"k":"a"} after {"k":"a","c":["x"]}`,
	}
	got := r.wait(len(want))
	for i := range want {
		if g := squeezed(t, got[i]); g != want[i] {
			t.Errorf("captured\n%s\nnot\n%s", g, want[i])
		}
	}
	id := r.ask("shop-db/evil.t")
	stop := r.start()
	if job := r.awaitEnded(id); job == nil {
		t.Errorf("the snapshot: %s", job)
	}
	_ = stop()
	if rows, _ := r.reads("shop-db/evil.t"); len(rows) != 1 {
		t.Errorf("read %q", rows)
	}
	for stream, key := range map[event.Stream]string{"shop-db/evil.t": `{"id":"1"} after {"id":"1",` + evilImage, "shop-db/evil.keyed": `{"k":"a"} after {"k":"a","c":["x"]}`} {
		table, err := r.source().OpenTable(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close(t.Context())
		before, _, _ := strings.Cut(key, " ")
		row, err := table.Row(t.Context(), json.RawMessage(before))
		if err != nil || row == nil || squeezed(t, *row) != stream.Entity()+" read "+key {
			t.Errorf("read by its key: %v, %v", row, err)
		}
		if err := table.Walk(t.Context(), func([]event.Raw) error { return nil }); err != nil {
			t.Errorf("walk %s: %v", stream, err)
		}
	}
	var stolen string
	if err := r.db.QueryRow(t.Context(), `select coalesce(string_agg(by || ' by ' || how, ', '), '') from stolen`).Scan(&stolen); err != nil || stolen != "" {
		t.Errorf("the attacker's functions were run as %s, %v", stolen, err)
	}
}

// TestAColumnOfATypeWithACastIsPrintedWithoutIt, also where nobody made the table's function anew, and in a transaction that
// doesn't see the column.
func TestAColumnOfATypeWithACastIsPrintedWithoutIt(t *testing.T) {
	r := newEvilRig(t)
	r.exec(`set role dw_test_attacker; create table evil.late (id int primary key, at point); create table evil.grown (id int primary key, p evil.plain); reset role`)
	twin := fmt.Sprintf(`"a,%d e"`, r.number(`select 'evil.e'::regtype::oid::bigint`)) // reads as two columns
	r.exec(`set role dw_test_attacker; create table evil.twin (id int primary key, at point, ` + twin + ` text); reset role`)
	r.install()
	r.exec(`drop event trigger datawatch_follow`)
	r.exec(`set role dw_test_attacker; insert into evil.grown values (1, '(1)'); alter type evil.plain add attribute e evil.e; insert into evil.grown values (2, '(2,a)'); reset role`)
	r.exec(`set role dw_test_attacker; alter table evil.twin drop column ` + twin + `, add a text, add e evil.e; insert into evil.twin values (1, null, 'x', 'a'); reset role`)
	other := r.session()
	for _, sql := range []string{`set role dw_test_attacker`, `begin isolation level repeatable read`, `select from evil.t`} {
		if _, err := other.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	r.exec(`set role dw_test_attacker; alter table evil.late add e evil.e default 'a'; reset role`)
	if _, err := other.Exec(t.Context(), `insert into evil.late (id) values (1); insert into evil.late (id) values (2), (3); commit`); err != nil {
		t.Fatal(err)
	}
	r.exec(`set role dw_test_attacker; insert into evil.late values (4, null, 'b c'); insert into evil.late select 5, null, 'a'; reset role`)
	got := r.wait(7)
	for i, want := range []string{
		`evil.grown insert {"id":1} after {"id":1,"p":{"n":1}}`, `evil.grown insert {"id":2} after {"id":2,"p":{"n":2,"e":"a"}}`,
		`evil.twin insert {"id":1} after {"id":1,"at":null,"a":"x","e":"a"}`,
		"evil.late gap capture_failed", "evil.late gap capture_failed",
		`evil.late insert {"id":4} after {"id":4,"at":null,"e":"b c"}`, `evil.late insert {"id":5} after {"id":5,"at":null,"e":"a"}`,
	} {
		if g := brief(t, got[i]); g != want {
			t.Errorf("captured\n%s\nnot\n%s", g, want)
		}
	}
	if n := r.number(`select count(*) from stolen`); n > 0 {
		t.Errorf("the attacker's functions were run %d times", n)
	}
}

// TestAPolicyOfThePartitionIsNotRun: whoever owns a partition may hide rows by a function of his. TRUNCATE of it, which reads
// them, tells a gap then.
func TestAPolicyOfThePartitionIsNotRun(t *testing.T) {
	r := newRig(t, append(slices.Clone(evilTypes), `drop role if exists dw_test_installer; create role dw_test_installer login password 'x'`)...)
	t.Cleanup(func() {
		db := r.session0()
		for _, role := range []string{"dw_test_installer", "dw_test_attacker"} {
			_, _ = db.Exec(context.Background(), `drop owned by `+role+` cascade; drop role `+role)
		}
		_ = db.Close(context.Background())
	})
	r.exec(`do $$ begin execute format('grant create on database %I to dw_test_installer', current_database()); end $$;
		grant usage on schema evil to dw_test_installer; grant trigger, select on evil.parted, evil.part to dw_test_installer; grant insert on stolen to dw_test_installer;
		alter table evil.part enable row level security; create policy mine on evil.part using (evil.steal('policy') is null)`)
	r.config.Tables, r.config.InstallDSN = []string{"evil.parted"}, r.as("dw_test_installer", "x")
	r.install()
	r.exec(`set role dw_test_attacker; insert into evil.parted values (1, 'a'); truncate evil.part; reset role`)
	expect(t, r.wait(2), `evil.parted insert {"id":1} after {"id":1,"e":"a"}`, `evil.parted gap capture_failed`)
	if n := r.number(`select count(*) from stolen`); n > 0 {
		t.Errorf("the attacker's functions were run %d times", n)
	}
}

// Rows of a table that is printed column by column are whole where the transaction keeps its snapshot, and columns were dropped.
func TestRowsArePrintedWhereTheSnapshotIsKept(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, gone int, p point, twice int generated always as (id * 2) stored, n numeric)`, `alter table t drop column gone`)
	r.install()
	r.exec(`begin isolation level repeatable read; insert into t (id, n) values (1, 'NaN'); update t set p = '(1,2)'; commit`)
	r.exec(`begin isolation level serializable; insert into t (id) values (2), (3); delete from t where id > 1; commit`)
	expect(t, r.wait(6),
		`public.t insert {"id":1} after {"id":1,"p":null,"twice":2,"n":"NaN"}`,
		`public.t update {"id":1} before {"id":1,"p":null,"twice":2,"n":"NaN"} after {"id":1,"p":"(1,2)","twice":2,"n":"NaN"}`,
		`public.t insert {"id":2} after {"id":2,"p":null,"twice":4,"n":null}`,
		`public.t insert {"id":3} after {"id":3,"p":null,"twice":6,"n":null}`,
		`public.t delete {"id":2} before {"id":2,"p":null,"twice":4,"n":null}`,
		`public.t delete {"id":3} before {"id":3,"p":null,"twice":6,"n":null}`)
	r.exec(`set default_transaction_isolation = 'repeatable read'`)
	r.writesSingles(`insert into t (id) values (100 + i)`)
}

// TestATypeThatIsAlteredMeanwhileIsNotMisread: the owner of a composite type may alter it while others write, and then a transaction that
// keeps its snapshot sees another type than there is. A name that was an attribute's may be a function's.
func TestATypeThatIsAlteredMeanwhileIsNotMisread(t *testing.T) {
	r := newEvilRig(t)
	r.exec(`set role dw_test_attacker; create type evil.c as (e evil.e, to_json int); create type evil.grows as (e evil.e, n int); create domain evil.boxed as evil.c;
		create table evil.renamed (id int primary key, c evil.c, b evil.boxed, cs evil.c[]); create table evil.added (id int primary key, g evil.grows);
		create table evil.column (id int primary key, p point, e evil.e, to_json int); create table evil.swapped (id int primary key, p point, a int, b int); reset role`)
	r.install()
	r.exec(`set role dw_test_attacker; insert into evil.renamed values (1, '(a,1)', '(a,2)', array['(a,3)']::evil.c[]); reset role`)
	other := r.session()
	as := func(sqls ...string) {
		for _, sql := range sqls {
			if _, err := other.Exec(t.Context(), sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
	}
	as(`set role dw_test_attacker`, `begin isolation level repeatable read`, `select from evil.t`,
		`insert into evil.renamed values (2, '(a,1)', '(a,2)', array['(a,3)']::evil.c[])`)
	r.exec(`set role dw_test_attacker; alter type evil.c rename attribute to_json to zz; alter type evil.grows add attribute more int;
		alter table evil.column rename to_json to zz; alter table evil.swapped rename a to c; alter table evil.swapped rename b to a; alter table evil.swapped rename c to b; reset role`)
	as(`insert into evil.renamed values (3, '(a,1)', '(a,2)', array['(a,3)']::evil.c[])`, `insert into evil.added values (1, '(a,1,2)')`,
		`insert into evil.column values (1, null, 'a', 2)`, `insert into evil.swapped values (1, null, 1, 2)`, `commit`)
	r.exec(`set role dw_test_attacker; insert into evil.swapped values (2, null, 1, 2); reset role`)
	got := r.wait(7)
	const image = `"c":{"e":"a","to_json":1},"b":{"e":"a","to_json":2},"cs":[{"e":"a","to_json":3}]}`
	for i, want := range []string{
		`evil.renamed insert {"id":1} after {"id":1,` + image, `evil.renamed insert {"id":2} after {"id":2,` + image, `evil.renamed insert {"id":3} after {"id":3,` + image,
		`evil.added gap capture_failed`, `evil.column gap capture_failed`, `evil.swapped gap capture_failed`,
		`evil.swapped insert {"id":2} after {"id":2,"p":null,"b":1,"a":2}`,
	} {
		if g := brief(t, got[i]); g != want {
			t.Errorf("captured\n%s\nnot\n%s", g, want)
		}
	}
	if n := r.number(`select count(*) from stolen`); n > 0 {
		t.Errorf("the attacker's functions were run %d times", n)
	}
}

// TestACompositeThatIsAlteredIsFollowedInItsTransaction: also where it is inside another, an array or a domain.
func TestACompositeThatIsAlteredIsFollowedInItsTransaction(t *testing.T) {
	r := newRig(t, `create type part as (n int)`, `create type whole as (a int, p part)`, `create domain boxed as whole`, `create table t (id int primary key, w whole, ws whole[], b boxed)`)
	r.install()
	for _, sql := range []string{
		`insert into t values (1, '(1,"(5)")', array['(2,"(6)")']::whole[], '(3,"(7)")')`,
		`alter type whole add attribute more text; insert into t values (2, '(1,"(5)",x)', array['(2,"(6)",y)']::whole[], '(3,"(7)",z)')`,
		`begin; alter type part rename attribute n to m; insert into t values (3, '(1,"(5)",x)'); alter type whole drop attribute more; insert into t values (4, '(1,"(5)")'); commit`,
	} {
		r.exec(sql)
	}
	got := r.wait(4)
	for i, want := range []string{
		`"w":{"a":1,"p":{"n":5}},"ws":[{"a":2,"p":{"n":6}}],"b":{"a":3,"p":{"n":7}}}: a p[n]`,
		`"w":{"a":1,"p":{"n":5},"more":"x"},"ws":[{"a":2,"p":{"n":6},"more":"y"}],"b":{"a":3,"p":{"n":7},"more":"z"}}: a p[n] more`,
		`"w":{"a":1,"p":{"m":5},"more":"x"},"ws":null,"b":null}: a p[m] more`,
		`"w":{"a":1,"p":{"m":5}},"ws":null,"b":null}: a p[m]`,
	} {
		c := rowChange(t, got[i])
		var names []string
		for _, f := range c.Columns[1].Fields {
			name := f.Name
			for _, inner := range f.Fields {
				name += "[" + inner.Name + "]"
			}
			names = append(names, name)
		}
		want = fmt.Sprintf(`public.t insert {"id":%d} after {"id":%[1]d,`, i+1) + want
		if g := brief(t, got[i]) + ": " + strings.Join(names, " "); g != want {
			t.Errorf("captured\n%s\nnot\n%s", g, want)
		}
	}
}

// TestATypeOfTypesWithoutEndIsText: each of two fields of the type before has fields without number, which whoever owns a table may have the
// collector look at.
func TestATypeOfTypesWithoutEndIsText(t *testing.T) {
	r := newRig(t, `create type n0 as (a int, b int)`)
	const levels = 14
	for i := range levels {
		r.exec(fmt.Sprintf(`create type n%d as (a n%d, b n%[2]d)`, i+1, i))
	}
	r.exec(fmt.Sprintf(`create table t (id int primary key, few n3, many n%d, others n%[1]d[])`, levels))
	r.install()
	r.exec(`insert into t (id, few) values (1, row(row(row(row(1, 2)::n0, null)::n1, null)::n2, null)::n3); insert into t values (2, null, '(,)', array['(,)', null]::n14[])`)
	got := r.wait(2)
	for i, want := range []string{
		`public.t insert {"id":1} after {"id":1,"few":{"a":{"a":{"a":{"a":1,"b":2},"b":null},"b":null},"b":null},"many":null,"others":null}`,
		`public.t insert {"id":2} after {"id":2,"few":null,"many":"(,)","others":"{\"(,)\",NULL}"}`,
	} {
		if g := brief(t, got[i]); g != want {
			t.Errorf("captured\n%s\nnot\n%s", g, want)
		}
	}
	if status, err := r.source().Status(t.Context()); err != nil || !status.Complete {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestNoExpressionOfATablesOwnerIsRun: whoever plans a query on a table computes what is constant in the expressions of its indexes,
// constraints, statistics and partition key. TRUNCATE of a partition, whose rows are read, tells a gap then.
func TestNoExpressionOfATablesOwnerIsRun(t *testing.T) {
	r := newEvilRig(t)
	r.exec(`set role dw_test_attacker; create function evil.constant(how text) returns int language plpgsql immutable as $$ begin
			if current_user <> 'dw_test_attacker' then insert into public.stolen values (current_user, how); end if; return 0; end $$;
		create table evil.p (id int primary key, v int) partition by list (id); create table evil.q (id int) partition by list ((id + evil.constant('key')))`)
	const tables = 5
	for i := range tables {
		r.exec(fmt.Sprintf(`create table evil.p%d partition of evil.p for values in (%[1]d)`, i))
	}
	r.exec(`create table evil.q0 partition of evil.q for values in (0);
		create index on evil.p0 ((id + evil.constant('index'))); create index on evil.p1 (id) where id + evil.constant('predicate') > 0;
		alter table evil.p2 add check (id + evil.constant('constraint') < 100); create index on evil.p4 ((id + 1)) where id > 1`)
	if testrig.Postgres(t).Version >= "14" {
		r.exec(`create statistics evil.s on (v + evil.constant('statistics')), id from evil.p3`)
	} else {
		r.exec(`create index on evil.p3 ((v + evil.constant('index')))`)
	}
	r.exec(`reset role`)
	r.install()
	r.exec(`set role dw_test_attacker; set constraint_exclusion = on`)
	var want []string
	for i := range tables {
		r.exec(fmt.Sprintf(`insert into evil.p values (%d)`, i))
		r.exec(fmt.Sprintf(`truncate evil.p%d`, i))
		want = append(want, fmt.Sprintf(`evil.p insert {"id":%d} after {"id":%[1]d,"v":null}`, i), `evil.p gap capture_failed`)
	}
	want[len(want)-1] = fmt.Sprintf(`evil.p delete {"id":%d} before {"id":%[1]d,"v":null}`, tables-1)
	r.exec(`insert into evil.q values (0); truncate evil.q0; reset role`)
	want = append(want, `evil.q insert - after {"id":0}`, `evil.q gap capture_failed`)
	expect(t, r.wait(len(want)), want...)
	r.exec(`set role dw_test_attacker; insert into evil.p values (0); reset role`)
	id := r.ask("shop-db/evil.p")
	stop := r.start()
	if job := r.awaitEnded(id); job == nil || !strings.Contains(fmt.Sprint(job.Problems()), "dsn, which is a superuser") {
		t.Errorf("the snapshot: %s", job)
	}
	_ = stop()
	table, err := r.source().OpenTable(t.Context(), "shop-db/evil.p")
	if err == nil {
		err = table.Walk(t.Context(), func([]event.Raw) error { return nil })
		table.Close(t.Context())
	}
	if !errors.Is(err, errStranger) {
		t.Errorf("walked with %v", err)
	}
	if n := r.number(`select count(*) from stolen`); n > 0 {
		var how string
		_ = r.db.QueryRow(t.Context(), `select string_agg(how, ', ') from stolen`).Scan(&how)
		t.Errorf("the attacker's functions were run %d times: %s", n, how)
	}
}

// TestNoPartitionKeyOfOthersIsComputed: a row trigger on a partition tree's root computes what is constant in its keys as whoever makes
// the trigger. Such a tree isn't captured where its statements have to be announced, and its owner is told why.
func TestNoPartitionKeyOfOthersIsComputed(t *testing.T) {
	r := newEvilRig(t)
	r.exec(`set role dw_test_attacker; create function evil.constant(how text) returns int language plpgsql immutable as $$ begin
			if current_user <> 'dw_test_attacker' then insert into public.stolen values (current_user, how); end if; return 0; end $$;
		create table evil.q (id int) partition by list ((id + evil.constant('key'))); create table evil.q0 partition of evil.q for values in (0) ;
		create function evil.nothing() returns trigger language plpgsql as $$ begin delete from evil.q where false; return null; end $$;
		create trigger mine after insert on evil.q for each row execute function evil.nothing(); reset role`)
	for range 2 {
		if err := r.source().Install(t.Context()); err == nil || !strings.Contains(err.Error(), "the partition key of evil.q runs a function of somebody's") {
			t.Errorf("installed with %v", err)
		}
	}
	r.exec(`set role dw_test_attacker; create table evil.branched (id int) partition by list (id); create trigger mine after insert on evil.branched for each row execute function evil.nothing(); reset role`)
	_ = r.source().Install(t.Context())
	gone := fmt.Sprintf("_datawatch_gone_%d", r.number(`select 'evil.branched'::regclass::oid::bigint`))
	r.exec(`drop trigger ` + gone + ` on evil.branched; set role dw_test_attacker; create table evil.below partition of evil.branched for values in (1) partition by list ((id + evil.constant('below'))); reset role`)
	if err := r.source().Install(t.Context()); err == nil || !strings.Contains(err.Error(), "the partition key of evil.branched runs a function of somebody's") {
		t.Errorf("a trigger that was dropped was made again with %v", err)
	}
	r.exec(`set role dw_test_attacker; create table evil.late (id int) partition by list ((id + evil.constant('key'))); create table evil.late0 partition of evil.late for values in (0); reset role`)
	_ = r.source().Install(t.Context())
	r.exec(`set role dw_test_attacker; create trigger mine after insert on evil.late for each row execute function evil.nothing(); reset role`)
	if n := r.number(`select count(*) from stolen`); n > 0 {
		t.Errorf("the attacker's functions were run %d times", n)
	}
}
