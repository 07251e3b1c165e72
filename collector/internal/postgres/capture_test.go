package postgres

import (
	"encoding/json"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

func expect(t *testing.T, got []event.Raw, want ...string) {
	t.Helper()
	if lines := briefs(t, got); !slices.Equal(lines, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(lines, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestEveryStatementComesOutInOrder(t *testing.T) {
	r := newRig(t, `create table orders (id int primary key, total numeric(10,2))`)
	r.install()
	r.exec(`insert into orders values (1, 10.50), (2, 20)`)
	r.exec(`update orders set total = 11 where id = 1; delete from orders where id = 2; truncate orders`)
	r.exec(`update orders set total = 0`)
	expect(t, r.wait(5),
		`public.orders insert {"id":1} after {"id":1,"total":10.50}`,
		`public.orders insert {"id":2} after {"id":2,"total":20.00}`,
		`public.orders update {"id":1} before {"id":1,"total":10.50} after {"id":1,"total":11.00}`,
		`public.orders delete {"id":2} before {"id":2,"total":20.00}`,
		`public.orders truncate -`,
	)
}

func TestAChangedKeyIsADeleteAndAnInsert(t *testing.T) {
	r := newRig(t, `create table t (id int primary key deferrable initially deferred, v text)`)
	r.install()
	r.exec(`insert into t values (1, 'a'), (2, 'b'), (9, 'c')`)
	r.exec(`begin; update t set id = case id when 1 then 2 when 2 then 1 else id end, v = v || '!'; insert into t values (3, 'd'); commit`)
	got := r.wait(9)
	expect(t, got[3:],
		`public.t delete {"id":1} before {"id":1,"v":"a"} after {"id":2,"v":"a!"} moved_to`,
		`public.t delete {"id":2} before {"id":2,"v":"b"} after {"id":1,"v":"b!"} moved_to`,
		`public.t insert {"id":2} before {"id":1,"v":"a"} after {"id":2,"v":"a!"} moved_from`,
		`public.t insert {"id":1} before {"id":2,"v":"b"} after {"id":1,"v":"b!"} moved_from`,
		`public.t update {"id":9} before {"id":9,"v":"c"} after {"id":9,"v":"c!"}`,
		`public.t insert {"id":3} after {"id":3,"v":"d"}`,
	)
	for i, e := range got[3:] {
		if c := rowChange(t, e); c.TransactionIndex != int64(i) || c.Transaction == "" {
			t.Errorf("event %d has index %d in transaction %q", i, c.TransactionIndex, c.Transaction)
		}
	}
}

func TestAKeyShiftOverManyPacksDeletesBeforeItInserts(t *testing.T) {
	r := newRig(t, `create table t (id int primary key deferrable initially deferred, v text)`)
	r.install()
	const n = 1500
	r.exec(`insert into t select g, g::text from generate_series(1, 1500) g`)
	r.exec(`update t set id = id + 1`)
	got := r.wait(3 * n)[n:]
	for i, e := range got {
		c := rowChange(t, e)
		if c.TransactionIndex != int64(i) {
			t.Fatalf("event %d has index %d", i, c.TransactionIndex)
		}
		if want := i < n; c.MovedTo != want || c.MovedFrom == want {
			t.Fatalf("event %d of %d is %s", i, len(got), brief(t, e))
		}
	}
}

func TestIdentifiersAndKeysOfEveryKind(t *testing.T) {
	r := newRig(t, `create schema "we.ird"`,
		`create table "we.ird"."Weird ""Table" (n int, old int, rows text, "new" int, primary key (old, n))`,
		`create table keyless (v int)`,
		`create table by_identity (a int not null, b int not null, c text, unique (a, b)); create unique index chosen on by_identity (b); alter table by_identity replica identity using index chosen`,
		`create table by_unique (a int unique, b int not null unique, d int generated always as (b * 2) stored)`,
		`create table including (a int not null, b int not null); create unique index on including (a) include (b)`,
		// None of these tells rows apart, or always.
		`create table partial (a int not null, v int); create unique index on partial (a) where v > 0`, `create table expressed (a int not null); create unique index on expressed ((a + 1))`,
		`create table nullable (a int unique)`, `create table late (a int not null unique deferrable)`,
		// A primary key is the key, whatever the replica identity is.
		`create table whole (id int primary key); alter table whole replica identity full`, `create table nothing (id int primary key); alter table nothing replica identity nothing`,
		`create table both_ways (id int primary key, b int not null); create unique index other on both_ways (b); alter table both_ways replica identity using index other`)
	r.config.Tables = []string{"public.*", "we?ird.*"}
	r.install()
	r.exec(`insert into "we.ird"."Weird ""Table" values (1, 2, 'x', 3); update "we.ird"."Weird ""Table" set rows = 'y'`)
	var keyless []string
	for _, f := range r.source().Check(t.Context()) {
		if strings.Contains(f.Detail, "its events have no key") {
			keyless = append(keyless, f.What)
		}
	}
	slices.Sort(keyless)
	if want := []string{"expressed", "keyless", "late", "nullable", "partial"}; strings.Join(keyless, " ") != `source shop-db "public"."`+strings.Join(want, `" source shop-db "public"."`)+`"` {
		t.Errorf("check tells of tables without a key: %q", keyless)
	}
	r.exec(`insert into keyless values (1); update keyless set v = 2`)
	r.exec(`insert into by_identity values (1, 2, 'x'); insert into by_unique values (null, 5); update by_unique set a = 7`)
	r.exec(`insert into including values (1, 2); insert into partial values (1, 1); insert into expressed values (1); insert into nullable values (1); insert into late values (1);
		insert into whole values (1); insert into nothing values (1); insert into both_ways values (1, 2)`)
	expect(t, r.wait(15),
		`we%2Eird.Weird%20%22Table insert {"n":1,"old":2} after {"n":1,"old":2,"rows":"x","new":3}`,
		`we%2Eird.Weird%20%22Table update {"n":1,"old":2} before {"n":1,"old":2,"rows":"x","new":3} after {"n":1,"old":2,"rows":"y","new":3}`,
		`public.keyless insert - after {"v":1}`,
		`public.keyless update - before {"v":1} after {"v":2}`,
		`public.by_identity insert {"b":2} after {"a":1,"b":2,"c":"x"}`,
		`public.by_unique insert {"b":5} after {"a":null,"b":5,"d":10}`,
		`public.by_unique update {"b":5} before {"a":null,"b":5,"d":10} after {"a":7,"b":5,"d":10}`,
		`public.including insert {"a":1} after {"a":1,"b":2}`,
		`public.partial insert - after {"a":1,"v":1}`, `public.expressed insert - after {"a":1}`, `public.nullable insert - after {"a":1}`, `public.late insert - after {"a":1}`,
		`public.whole insert {"id":1} after {"id":1}`, `public.nothing insert {"id":1} after {"id":1}`, `public.both_ways insert {"id":1} after {"id":1,"b":2}`,
	)
}

// TestWhoDidItAndTheTagAreTold of each kind of statement, be it of a single row or of many, in binary form or JSON. Who it is is who logged in.
func TestWhoDidItAndTheTagAreTold(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`, `create table j (id int primary key, v float8)`,
		`create table p (id int primary key) partition by range (id); create table p0 partition of p for values from (0) to (10)`,
		`drop role if exists dw_test_app; create role dw_test_app; grant all on t, j, p, p0 to dw_test_app`)
	r.install()
	r.exec(`set role dw_test_app; set application_name = 'order-service'; set datawatch.tag = 'checkout-test'`)
	for _, table := range []string{"t", "j"} {
		r.exec(strings.ReplaceAll(`insert into T values (1); insert into T values (2), (3); update T set v = '1' where id = 1; update T set v = '2'; update T set id = id + 10; delete from T where id = 11; delete from T`, "T", table))
	}
	r.exec(`insert into p values (1); reset role; truncate p0; truncate p, t, j; drop owned by dw_test_app; drop role dw_test_app`)
	for _, e := range r.wait(2*(1+2+1+3+6+1+2) + 2 + 3) {
		c := rowChange(t, e)
		if c.Tag != "checkout-test" || c.Actor == nil || *c.Actor != (event.Actor{Application: "order-service", User: "postgres", Client: "127.0.0.1"}) || c.Transaction == "" {
			t.Errorf("%s: tag %q, actor %+v, transaction %q", brief(t, e), c.Tag, c.Actor, c.Transaction)
		}
	}
	r.exec(`reset datawatch.tag; insert into t values (1); set datawatch.tag = ''; insert into t values (2)`)
	for _, e := range r.wait(2*16 + 5 + 2)[2*16+5:] {
		if c := rowChange(t, e); c.Tag != "" {
			t.Errorf("%s: tag %q", brief(t, e), c.Tag)
		}
	}
}

func TestAPartitionTreeIsOneStream(t *testing.T) {
	r := newRig(t, `create table p (id int, region text, primary key (id, region)) partition by list (region)`,
		`create table p_a partition of p for values in ('a')`,
		`create table p_b (region text not null, id int not null); alter table p attach partition p_b for values in ('b')`)
	r.install()
	r.exec(`insert into p values (1, 'a'), (2, 'b')`)
	r.exec(`insert into p_b (id, region) values (3, 'b')`)
	r.exec(`update p set region = 'b' where id = 1`)
	r.exec(`truncate p_b`)
	r.exec(`insert into p values (7, 'a'); truncate p; insert into p values (8, 'b'); truncate p_b`)
	got := r.wait(12)
	expect(t, got,
		`public.p insert {"id":1,"region":"a"} after {"id":1,"region":"a"}`,
		`public.p insert {"id":2,"region":"b"} after {"id":2,"region":"b"}`,
		`public.p insert {"id":3,"region":"b"} after {"region":"b","id":3}`,
		`public.p delete {"id":1,"region":"a"} before {"id":1,"region":"a"} after {"id":1,"region":"b"} moved_to`,
		`public.p insert {"id":1,"region":"b"} before {"id":1,"region":"a"} after {"id":1,"region":"b"} moved_from`,
		`public.p delete {"id":2,"region":"b"} before {"region":"b","id":2}`,
		`public.p delete {"id":3,"region":"b"} before {"region":"b","id":3}`,
		`public.p delete {"id":1,"region":"b"} before {"region":"b","id":1}`,
		`public.p insert {"id":7,"region":"a"} after {"id":7,"region":"a"}`,
		`public.p truncate -`,
		`public.p insert {"id":8,"region":"b"} after {"id":8,"region":"b"}`,
		`public.p delete {"id":8,"region":"b"} before {"region":"b","id":8}`,
	)
}

func TestAlterTableInTheMiddleBreaksNothing(t *testing.T) {
	for _, follow := range []bool{true, false} {
		r := newRig(t, `create table t (id int primary key, v text)`)
		r.unfollowed = !follow
		r.install()
		r.config.ManageTriggers = follow
		r.exec(`insert into t values (1, 'x')`)
		r.exec(`begin; alter table t add w timestamptz default '2026-01-02 03:04:05+00'; insert into t values (2, 'y'); alter table t drop v; insert into t values (3); commit`)
		got := r.wait(3)
		expect(t, got,
			`public.t insert {"id":1} after {"id":1,"v":"x"}`,
			`public.t insert {"id":2} after {"id":2,"v":"y","w":"2026-01-02T03:04:05+00:00"}`,
			`public.t insert {"id":3} after {"id":3,"w":"2026-01-02T03:04:05+00:00"}`,
		)
		if c := rowChange(t, got[2]); len(c.Columns) != 2 || c.Columns[1].Base != "timestamptz" {
			t.Errorf("follow %v: columns %+v", follow, c.Columns)
		}
	}
}

func TestTheSessionsSettingsDoNotLeak(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, at timestamptz, d interval, b bytea, f float8, m money)`)
	r.install()
	r.exec(hostile + `insert into t values (1, '2026-01-01 00:00:00+00', '1 day 02:00', '\x00ff', 0.1::float8 + 0.2::float8, 12.5)`)
	expect(t, r.wait(1),
		`public.t insert {"id":1} after {"id":1,"at":"2026-01-01T00:00:00+00:00","d":"1 day 02:00:00","b":"\\x00ff","f":0.30000000000000004,"m":"$12.50"}`)
}

// TestEachPackHasTheShapeThatItWasWrittenWith: a column gets another type and another name, and the table another key, within one transaction.
func TestEachPackHasTheShapeThatItWasWrittenWith(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, a int, v text)`)
	r.install()
	r.exec(`begin; insert into t values (1, 1, 'x'); alter table t alter v type numeric(10,2) using 1.5; insert into t values (2, 2, 2.25); update t set v = 3 where id = 1; alter table t rename v to w;
		insert into t values (3, 3, 3); alter table t drop constraint t_pkey, alter a set not null; insert into t values (4, 4, 4); alter table t add primary key (a); insert into t values (5, 5, 5); commit`)
	got := r.wait(10)
	expect(t, got,
		`public.t insert {"id":1} after {"id":1,"a":1,"v":"x"}`,
		`public.t insert {"id":2} after {"id":2,"a":2,"v":2.25}`,
		`public.t update {"id":1} before {"id":1,"a":1,"v":1.50} after {"id":1,"a":1,"v":3.00}`,
		`public.t insert {"id":3} after {"id":3,"a":3,"w":3.00}`,
		`public.t truncate - key`, `public.t gap key_changed`,
		`public.t insert - after {"id":4,"a":4,"w":4.00}`,
		`public.t truncate - key`, `public.t gap key_changed`,
		`public.t insert {"a":5} after {"id":5,"a":5,"w":5.00}`)
	got = slices.DeleteFunc(got, func(e event.Raw) bool { return e.Type == event.GapType || rowChange(t, e).Op == event.Truncate })
	for i, want := range []string{"v text", "v numeric", "v numeric", "w numeric", "w numeric", "w numeric"} {
		if c := rowChange(t, got[i]).Columns[2]; c.Name+" "+c.Base != want {
			t.Errorf("event %d has the column %s %s", i, c.Name, c.Base)
		}
	}
}

// TestTheDatabasesSettingsAreNotOurs: whoever reads and installs doesn't depend on how transactions of others begin.
func TestTheDatabasesSettingsAreNotOurs(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.exec(`do $$ declare setting text; begin
		foreach setting in array array['default_transaction_isolation = serializable', 'default_transaction_read_only = on', 'default_transaction_deferrable = on', 'lock_timeout = 1'] loop
			execute format('alter database %I set %s', current_database(), setting);
		end loop;
	end $$`)
	r.install()
	r.exec(`insert into t select generate_series(1, 2)`)
	expect(t, r.wait(2), `public.t insert {"id":1} after {"id":1}`, `public.t insert {"id":2} after {"id":2}`)
}

func TestTheApplicationNeedsNoGrant(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.install()
	r.exec(`drop role if exists dw_test_app; create role dw_test_app; grant all on t to dw_test_app; set role dw_test_app;
		insert into t values (1, 'x'); update t set v = 'y'; delete from t; reset role; revoke all on t from dw_test_app; drop role dw_test_app`)
	if got := r.wait(3); len(got) != 3 {
		t.Errorf("%d events", len(got))
	}
}

func TestAFullOutboxStopsCaptureNotTheApplication(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.install()
	r.exec(`insert into t values (1, 'x')`)
	r.exec(`update datawatch.queue set room = 0`)
	r.exec(`insert into t values (2, 'y')`)
	got := r.wait(2)
	expect(t, got, `public.t gap outbox_full`, `public.t insert {"id":1} after {"id":1,"v":"x"}`)
}

// TestDroppedFieldsNeverEnterTheOutbox: not only events lack them. Rows are written by another way where they are single, many, JSON, or
// large, where the transaction keeps its snapshot, and where a partition is truncated.
func TestDroppedFieldsNeverEnterTheOutbox(t *testing.T) {
	tables := map[string]string{
		"users":   `create table users (id int primary key, name text, password_hash text)`,
		"printed": `create table printed (id int primary key, f float8, password_hash text)`,
		"tree":    `create table tree (id int primary key, name text, password_hash text) partition by range (id); create table tree_0 partition of tree for values from (0) to (1000)`,
	}
	r := newRig(t, `create table open (id int primary key, v text)`)
	for _, table := range slices.Sorted(maps.Keys(tables)) {
		r.exec(tables[table])
	}
	r.opts.Mask = append(r.opts.Mask, maskOf("shop-db/public.*", "drop", "password_hash"))
	r.install()
	r.exec(`insert into users values (1, 'An', 'hush'); update users set name = 'Binh'`)
	got := r.wait(2)
	expect(t, got,
		`public.users insert {"id":1} after {"id":1,"name":"An"}`,
		`public.users update {"id":1} before {"id":1,"name":"An"} after {"id":1,"name":"Binh"}`)
	if c := rowChange(t, got[0]); len(c.Columns) != 2 {
		t.Errorf("columns %+v", c.Columns)
	}
	// The rows of open show that what is in the outbox is found there.
	r.exec(`truncate users; insert into open values (1, 'hush'); insert into open values (2, 'hush'), (3, 'hush')`)
	for table := range tables {
		for _, sql := range []string{
			`insert into %s (id, password_hash) values (1, 'hush')`, `insert into %s (id, password_hash) values (2, 'hush'), (3, 'hush')`, `update %s set password_hash = 'hush!' where id = 1`,
			`update %s set password_hash = 'hush?'`, `update %s set id = id + 10`, `delete from %s where id = 11`, `delete from %s`, `insert into %s (id, password_hash) values (4, repeat('hush', 100000))`,
			`begin isolation level repeatable read`, `insert into %s (id, password_hash) values (5, 'hush'), (6, 'hush')`, `update %s set password_hash = 'hush' where id = 5`, `commit`,
		} {
			r.exec(strings.ReplaceAll(sql, "%s", table))
		}
	}
	r.exec(`truncate tree_0; truncate users`)
	const packs = `select count(*) from datawatch.packs p where strpos(to_jsonb(p)::text, 'hush') > 0 or strpos(to_jsonb(p)::text, encode('hush', 'hex')) > 0`
	if n := r.number(packs + ` and p.shape = (select id from datawatch.shapes where shape ->> 'table' = 'open')`); n != 2 {
		t.Fatalf("%d packs of 2 are found", n)
	}
	if n := r.number(packs); n != 2 {
		t.Errorf("%d packs have what is dropped", n-2)
	}
}

func TestARowLargerThanTheBrokerTakesComesCutWithItsKeyAndSize(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`, `create table late (v text, id int primary key)`)
	r.opts.MaxRecordBytes = 64 << 10
	r.install()
	r.exec(`insert into t values (1, repeat('x', 100000)), (2, 'small'); insert into t values (3, repeat('x', 60000000)), (4, 'small');
		update t set v = v || 'y' where id > 2; delete from t where id > 2; insert into late values (repeat('x', 60000000), 5)`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := r.wait(9)
	runtime.ReadMemStats(&after)
	expect(t, got,
		`public.t too large {"id":1}`,
		`public.t insert {"id":2} after {"id":2,"v":"small"}`,
		`public.t too large {"id":3}`,
		`public.t insert {"id":4} after {"id":4,"v":"small"}`,
		`public.t too large {"id":3}`,
		`public.t update {"id":4} before {"id":4,"v":"small"} after {"id":4,"v":"smally"}`,
		`public.t too large {"id":3}`,
		`public.t delete {"id":4} before {"id":4,"v":"smally"}`,
		`public.late too large `)
	for i, least := range map[int]int64{0: 100000, 2: 60000000, 4: 120000000, 8: 60000000} {
		if e := got[i]; e.Size < least || e.Size > least+1000 || len(e.Value) > 64<<10 {
			t.Errorf("event %d has the size %d, and %d bytes are here", i, e.Size, len(e.Value))
		}
	}
	if held := after.TotalAlloc - before.TotalAlloc; held > 60<<20 {
		t.Errorf("%d MiB were allocated", held>>20)
	}
}

func TestOtherVersionsOfPostgreSQL(t *testing.T) {
	for _, version := range []string{"13", "18"} {
		t.Run(version, func(t *testing.T) {
			r := newRigOn(t, testrig.PostgresVersion(t, version).Database(t), `create table t (id int primary key, v text) partition by range (id)`,
				`create table t0 partition of t for values from (0) to (2000)`)
			r.install()
			r.exec(`insert into t select g, repeat('x', 100) from generate_series(1, 500) g; update t set id = id + 500; truncate t0; insert into t0 values (1, 'y'); alter table t add w int; truncate t`)
			got := r.wait(500 + 2*500 + 500 + 1 + 1)
			expect(t, got[2000:], `public.t insert {"id":1} after {"id":1,"v":"y"}`, `public.t truncate -`)
			r.exec(`create table own (id int primary key, v text);` + strings.NewReplacer(" t ", " own ", "again", "own_again").Replace(ownRowTrigger))
			r.install()
			r.exec(`insert into own select g, 'a' from generate_series(1, 300) g; update own set v = 'b'`)
			r.exec(`drop table if exists done`)
			own := slices.DeleteFunc(r.drained(), func(e event.Raw) bool { return e.Stream != "shop-db/public.own" })
			if rows := replay(t, own)["shop-db/public.own"]; len(rows) != 300 || !maps.Equal(rows, contents(t, r.db, "own")) {
				t.Errorf("%d rows by replay", len(rows))
			}
			if err := r.source().Remove(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// The trigger's own variables must not be taken for columns: every name that its function uses is a column here.
func TestColumnsNamedLikeTheTriggersVariables(t *testing.T) {
	columns := []string{
		"number", "shape", "moment", "started", "total", "q", "i", "j", "a", "b", "o", "n", "r", "p", "pack", "guarded", "tg_op", "datawatch_new", "datawatch_old",
		"slot", "seq", "part", "op", "at", "first", "rows", "before", "after", "current", "reason",
	}
	r := newRig(t, "create table clash (id int primary key, "+strings.Join(columns, " int default 7, ")+" int default 7)")
	r.install()
	r.exec(`insert into clash values (1)`)
	r.exec(`insert into clash select g from generate_series(2, 4) g`)
	r.exec(`update clash set number = 8 where id = 1; update clash set number = 9, total = 1; delete from clash where id = 1; delete from clash`)
	var ops []string
	for _, e := range r.wait(13) {
		var change event.RowChange
		if err := json.Unmarshal(e.Value, &change); err != nil {
			t.Fatal(err)
		}
		ops = append(ops, string(change.Op[0]))
	}
	if got := strings.Join(ops, ""); got != "iiiiuuuuudddd" {
		t.Errorf("captured %s", got)
	}
}

// Who writes to one table, or to one partition, never waits for who holds another.
func TestCaptureWaitsForNoOtherTable(t *testing.T) {
	r := newRig(t,
		`create table a (id int primary key, v text); create table other (id int primary key, v text)`,
		`create table p (id int primary key, v text) partition by range (id)`,
		`create table p_low partition of p for values from (minvalue) to (50)`,
		`create table p_high partition of p for values from (50) to (maxvalue)`)
	r.install()
	holder := r.session()
	if _, err := holder.Exec(t.Context(), "begin; truncate other; truncate p_high"); err != nil {
		t.Fatal(err)
	}
	r.exec(`set lock_timeout = '1s';
		insert into a select g, 'x' from generate_series(1, 3) g; update a set v = 'y'; delete from a where id > 1; insert into a values (7, 'x'); truncate a;
		insert into p select g, 'x' from generate_series(1, 3) g; insert into p values (7, 'x')`)
	if _, err := holder.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
	counts := map[event.Stream]int{}
	for _, e := range r.drained() {
		if e.Type == event.GapType {
			t.Errorf("a gap: %s", e.Value)
		}
		counts[e.Stream]++
	}
	if want := map[event.Stream]int{"shop-db/public.a": 10, "shop-db/public.p": 4}; !maps.Equal(counts, want) {
		t.Errorf("%v, expected %v", counts, want)
	}
}
