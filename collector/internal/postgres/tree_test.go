package postgres

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/event"
)

// TestSubtreesThatComeAndGoAreTold: DETACH ... CONCURRENTLY, which is two transactions and lets writers go on, and
// partitions that are partitioned themselves, which come and go with all that is below them.
func TestSubtreesThatComeAndGoAreTold(t *testing.T) {
	for _, follow := range []bool{true, false} {
		t.Run(fmt.Sprintf("follow=%v", follow), func(t *testing.T) {
			r := newRig(t, `create table p (id int primary key) partition by range (id); create table p0 partition of p for values from (0) to (10)`,
				`create table p1 partition of p for values from (10) to (30) partition by range (id); create table p10 partition of p1 for values from (10) to (20)`,
				`create table apart (id int primary key) partition by range (id); create table apart0 partition of apart for values from (30) to (40)`)
			if r.number(`select current_setting('server_version_num')::int`) < 140000 {
				t.Skip("DETACH CONCURRENTLY came with 14")
			}
			r.unfollowed = !follow
			r.install()
			r.exec(`insert into p values (1), (11); insert into apart values (31)`)
			for _, ddl := range []string{`alter table p detach partition p0 concurrently`, `alter table p detach partition p1`, `alter table p attach partition apart for values from (30) to (40)`} {
				r.exec(ddl)
				r.install()
			}
			r.exec(`insert into p0 values (2); insert into p1 values (12); insert into p10 values (13); insert into p values (32); insert into apart0 values (33)`)
			want := map[string]int{
				`public.p insert {"id":1} after {"id":1}`:       1,
				`public.p insert {"id":11} after {"id":11}`:     1,
				`public.apart insert {"id":31} after {"id":31}`: 1,
				`public.p gap partition_gone`:                   3, // of p0, p1 and what is below it
				`public.p0 gap table_new`:                       1,
				`public.p0 insert {"id":2} after {"id":2}`:      1,
				`public.p1 insert {"id":12} after {"id":12}`:    1,
				`public.p1 insert {"id":13} after {"id":13}`:    1,
				`public.p1 read {"id":11} after {"id":11}`:      1, // what came to p1's stream with its partition
				`public.p1 read {"id":12} after {"id":12}`:      1,
				`public.p1 read {"id":13} after {"id":13}`:      1,
				`public.apart truncate - attach`:                1,
				`public.apart gap partition_gone`:               1,
				`public.p insert {"id":32} after {"id":32}`:     1,
				`public.p insert {"id":33} after {"id":33}`:     1,
				`public.p read {"id":31} after {"id":31}`:       1,
				`public.p read {"id":32} after {"id":32}`:       1,
				`public.p read {"id":33} after {"id":33}`:       1,
			}
			got := map[string]int{}
			for _, line := range briefs(t, r.drained()) {
				got[line]++
			}
			if !maps.Equal(got, want) {
				t.Errorf("captured %v, expected %v", got, want)
			}
		})
	}
}

// everyKind are statements of each kind on a tree with the columns id, v and n, through the root, a leaf, and what is between.
var everyKind = []string{
	`insert into T values (103, 'x', 1), (104, 'y', 2), (105, 'z', 3) on conflict (id) do update set v = 'up', n = 7.50`,
	`insert into T select g, 'again', null from generate_series(1, 30) g on conflict (id) do update set v = T.v || excluded.v, n = coalesce(T.n, 0) + 1 where T.id % 3 > 0`,
	`insert into T values (103, 'x', 1), (1040, 'y', 2) on conflict do nothing`,
	`update T set v = v || '!', n = -n where id > 100`, `update T set n = 1 where id = 2`, `update T0 set v = 'leaf'`, `delete from T0 where id < 9`, `update T set id = id + 3000 where id between 80 and 160`,
	`with d as (delete from T where id in (15, 16, 17) returning *) insert into T select id + 400, v, n from d`,
	`merge into T using (select generate_series(1, 40, 3)) s(id) on T.id = s.id when matched and s.id % 2 = 0 then delete when matched then update set v = 'm', n = 5 when not matched then insert values (s.id, 'not', 2)`,
	`merge into T using (select generate_series(1000, 1010, 3)) s(id) on T.id = s.id when matched then delete when not matched then insert values (s.id, 'new', 1)`,
}

// TestEveryKindOfStatementOnTreesOfEveryShape: partitions have their columns in another order, and have lost some; they are partitioned
// themselves, by default, or by hash. Keys of trees refer to each other and cascade.
func TestEveryKindOfStatementOnTreesOfEveryShape(t *testing.T) {
	r := newRig(t,
		`create table p (id int primary key, v text, n numeric) partition by range (id); create table p0 (gone int, n numeric, v text, id int not null); alter table p0 drop gone; alter table p attach partition p0 for values from (0) to (100);
		create table p1 partition of p for values from (100) to (200) partition by range (id); create table p10 (v text, x int, id int not null, n numeric); alter table p10 drop x;
		alter table p1 attach partition p10 for values from (100) to (150); create table p1d partition of p1 default; create table pd partition of p default`,
		`create table q (id int primary key, v text, n float8) partition by hash (id); create table q0 (n float8, id int not null, v text); alter table q attach partition q0 for values with (modulus 2, remainder 0);
		create table q1 partition of q for values with (modulus 2, remainder 1)`,
		`create table parents (id int primary key) partition by range (id); create table parents0 partition of parents for values from (0) to (10); create table parents1 partition of parents for values from (10) to (30);
		create table kids (id int primary key, parent int references parents on delete cascade on update cascade, v text) partition by range (id); create table kids0 partition of kids for values from (0) to (50);
		create table kids1 (v text, parent int, id int not null); alter table kids attach partition kids1 for values from (50) to (100);
		create table lone (id int primary key, parent int default 1 references parents on delete set default on update set null)`,
		`create table t (id int primary key, v text); create table u (id int primary key, v text)`)
	version := r.number(`select current_setting('server_version_num')::int`)
	r.install()
	for _, table := range []string{"p", "q"} {
		r.exec(`insert into ` + table + ` select g, 'v' || g, g * 1.5 from generate_series(1, 220, 7) g`)
		if _, err := r.db.CopyFrom(t.Context(), pgx.Identifier{table}, []string{"v", "id"}, pgx.CopyFromRows([][]any{{"c", 2}, {"c", 103}, {"c", 160}, {"c", 300}})); err != nil {
			t.Fatal(err)
		}
		for _, sql := range everyKind {
			if version >= 150000 || !strings.HasPrefix(sql, "merge") {
				r.exec(strings.ReplaceAll(sql, "T", table))
			}
		}
	}
	r.exec(`insert into parents select generate_series(1, 20); insert into kids select g * 3, 1 + g % 20, 'k' from generate_series(1, 30) g; insert into lone select g, g from generate_series(2, 20) g`)
	r.exec(`update parents set id = 29 where id = 20; delete from parents where id in (4, 12); delete from parents0 where id = 5`)
	if version >= 150000 { // of rows that move, cascades came with 15
		r.exec(`update parents set id = 25 where id = 3`)
	}
	// Several targets that are the same table, and the same kind.
	r.exec(`with a as (insert into t values (1, 'a') returning id), b as (insert into t values (2, 'b'), (3, 'c') returning id), c as (update u set v = 'none') insert into u select id, 'u' from a union all select id, 'v' from b`)
	r.exec(`with a as (update t set v = 'a1' where id = 1 returning id), b as (update t set v = 'b2' where id = 2 returning id), c as (delete from t where id = 3), d as (insert into t values (4, 'd')) update u set v = 'w' from a where a.id = u.id`)
	events := r.drained()
	state := replay(t, events)
	for _, table := range []string{"p", "q", "parents", "kids", "lone", "t", "u"} {
		got, want := sorted(t, state["shop-db/public."+event.Stream(table)]), sorted(t, contents(t, r.db, table))
		if !maps.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s is %v by replay, and holds %v", table, got, want)
		}
	}
	checkIndexes(t, events)
}

// sorted are rows with their columns by name: a partition has them in an order of its own.
func sorted(t *testing.T, rows map[string]string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for key, row := range rows {
		var columns map[string]json.RawMessage
		if err := json.Unmarshal([]byte(row), &columns); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(columns)
		if err != nil {
			t.Fatal(err)
		}
		all[key] = string(text)
	}
	return all
}

// TestOddNamesGoThroughTheirTablesLife: attached, renamed, detached, brought to another schema, truncated and dropped, whatever tables are called.
func TestOddNamesGoThroughTheirTablesLife(t *testing.T) {
	for _, follow := range []bool{true, false} {
		r := newRig(t, `create schema "we.ird"`, `create table "we.ird"."Weird ""Tree" (n int, old int, rows text, primary key (old, n)) partition by range (n)`,
			`create table "we.ird"."Weird ""Leaf" partition of "we.ird"."Weird ""Tree" for values from (0) to (10)`,
			`create table "we.ird"."Weird ""Table" (n int, old int, rows text, primary key (old, n))`)
		r.config.Tables = []string{"*.*"}
		r.install()
		if !follow {
			r.exec(`drop event trigger datawatch_follow`)
		}
		r.exec(`insert into "we.ird"."Weird ""Tree" values (1, 1, 'a'); insert into "we.ird"."Weird ""Table" values (11, 1, 'b')`)
		for _, ddl := range []string{
			`alter table "we.ird"."Weird ""Tree" attach partition "we.ird"."Weird ""Table" for values from (10) to (20)`, `alter table "we.ird"."Weird ""Tree" rename rows to "'"`,
			`alter table "we.ird"."Weird ""Tree" detach partition "we.ird"."Weird ""Leaf"`, `alter table "we.ird"."Weird ""Leaf" rename to "re'named; --"`,
			`alter table "we.ird"."re'named; --" set schema public`, `drop table "re'named; --"`,
		} {
			r.exec(ddl)
			r.install()
		}
		r.exec(`update "we.ird"."Weird ""Tree" set old = 2; truncate "we.ird"."Weird ""Table"`)
		expect(t, r.drained(),
			`we%2Eird.Weird%20%22Tree insert {"n":1,"old":1} after {"n":1,"old":1,"rows":"a"}`,
			`we%2Eird.Weird%20%22Table insert {"n":11,"old":1} after {"n":11,"old":1,"rows":"b"}`,
			`we%2Eird.Weird%20%22Table truncate - attach`,
			`we%2Eird.Weird%20%22Tree gap partition_gone`,
			`we%2Eird.Weird%20%22Leaf gap table_new`,
			`we%2Eird.Weird%20%22Leaf truncate - rename`,
			`we%2Eird.re%27named%3B%20-- gap table_new`,
			`we%2Eird.re%27named%3B%20-- truncate - rename`,
			`public.re%27named%3B%20-- gap table_new`,
			`public.re%27named%3B%20-- truncate - drop`,
			`we%2Eird.Weird%20%22Tree delete {"n":11,"old":1} before {"n":11,"old":1,"'":"b"} after {"n":11,"old":2,"'":"b"} moved_to`,
			`we%2Eird.Weird%20%22Tree insert {"n":11,"old":2} before {"n":11,"old":1,"'":"b"} after {"n":11,"old":2,"'":"b"} moved_from`,
			`we%2Eird.Weird%20%22Tree delete {"n":11,"old":2} before {"n":11,"old":2,"'":"b"}`)
	}
}

// TestAPartitionWhoseDetachmentWasInterruptedIsLeftAsItIs: it is none any more, and has the tree's triggers still.
func TestAPartitionWhoseDetachmentWasInterruptedIsLeftAsItIs(t *testing.T) {
	r := newRig(t, `create table p (id int primary key, v text) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`,
		`create table p_2 partition of p for values from (10) to (20)`, `create table log (id int)`,
		`create function note() returns trigger language plpgsql as $$ begin insert into log values (new.id); return null; end $$`,
		`create trigger note after insert on p for each row execute function note()`)
	if r.number(`select current_setting('server_version_num')::int`) < 140000 {
		t.Skip("PostgreSQL 13 has no DETACH CONCURRENTLY")
	}
	r.install()
	reading := r.session()
	r.run(reading, `begin; select * from p`)
	r.exec(`set lock_timeout = '100ms'`)
	if _, err := r.db.Exec(t.Context(), `alter table p detach partition p_1 concurrently`); err == nil {
		t.Fatal("it was detached")
	}
	r.run(reading, `commit`)
	for range 2 {
		r.install()
	}
	r.exec(`alter table p detach partition p_1 finalize`)
	r.install()
	r.exec(`insert into p values (11, 'a')`)
	r.exec(`insert into p_1 values (1, 'b')`)
	var got []string
	for _, line := range briefs(t, r.drained()) {
		if strings.Contains(line, " insert ") {
			got = append(got, line)
		}
	}
	if want := []string{`public.p insert {"id":11} after {"id":11,"v":"a"}`, `public.log insert - after {"id":11}`, `public.p_1 insert {"id":1} after {"id":1,"v":"b"}`}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
