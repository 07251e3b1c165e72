package postgres

import (
	"slices"
	"strings"
	"testing"

	"datawatch/pkg/event"
)

// TestWhatIsDroppedIsToldInItsTransaction: between what was done before and what comes under its name.
func TestWhatIsDroppedIsToldInItsTransaction(t *testing.T) {
	r := newRig(t, `create table a (id int primary key)`, `create table b (id int primary key)`,
		`create schema elsewhere`, `create table elsewhere.c (id int primary key)`,
		`create table p (id int primary key) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`,
		`create table p_2 partition of p for values from (10) to (20) partition by range (id)`, `create table p_21 partition of p_2 for values from (10) to (20)`)
	r.config.Tables = []string{"*.*"}
	r.install()
	r.exec(`insert into a values (1)`)
	r.exec(`begin; delete from a; insert into a values (2); drop table a; alter table b rename to a; insert into a values (3); commit`)
	r.exec(`begin; insert into a values (4); drop table a; rollback`)
	r.exec(`insert into elsewhere.c values (1)`)
	r.exec(`drop schema elsewhere cascade`)
	r.exec(`insert into p values (1), (11)`)
	r.exec(`drop table p_1`)
	r.exec(`insert into p values (12)`)
	r.exec(`drop table p`)
	r.exec(`insert into a values (5)`)
	want := []string{
		`public.a insert {"id":1} after {"id":1}`,
		`public.a delete {"id":1} before {"id":1}`, `public.a insert {"id":2} after {"id":2}`, `public.a truncate - drop`,
		`public.b truncate - rename`, `public.a insert {"id":3} after {"id":3}`,
		`elsewhere.c insert {"id":1} after {"id":1}`, `elsewhere.c truncate - drop`,
		`public.p insert {"id":1} after {"id":1}`, `public.p insert {"id":11} after {"id":11}`, `public.p gap partition_gone`,
		`public.p insert {"id":12} after {"id":12}`, `public.p truncate - drop`,
		`public.a insert {"id":5} after {"id":5}`,
	}
	expect(t, r.wait(len(want)), want...)
	if n := r.number(`select count(*) from pg_proc p where p.pronamespace = 'datawatch'::regnamespace and p.proname like 'capture\_%' and p.prorettype = 'trigger'::regtype`); n != 1 {
		t.Errorf("%d functions of tables are left, for one table", n)
	}
}

// TestAPartitionThatGoesBeforeItHasTriggersIsAGap: its rows came through the root, and were told.
func TestAPartitionThatGoesBeforeItHasTriggersIsAGap(t *testing.T) {
	const made = `create table p_1 partition of p for values from (0) to (10)`
	const insert = `public.p insert {"id":1} after {"id":1}`
	for name, sql := range map[string]string{
		"dropped":                         made + `; insert into p values (1); drop table p_1`,
		"detached":                        made + `; insert into p values (1); alter table p detach partition p_1`,
		"detached after another name":     made + `; insert into p values (1); alter table p_1 rename to q; alter table p detach partition q`,
		"attached and detached":           `create table p_1 (id int primary key); alter table p attach partition p_1 for values from (0) to (10); insert into p values (1); alter table p detach partition p_1`,
		"a branch":                        made + ` partition by range (id); create table p_11 partition of p_1 for values from (0) to (10); insert into p values (1); drop table p_1`,
		"dropped with what depends on it": made + `; create view v as select * from p_1; insert into p values (1); drop table p_1 cascade`,
	} {
		for _, together := range []bool{true, false} {
			t.Run(name+map[bool]string{true: ", in one transaction", false: ""}[together], func(t *testing.T) {
				t.Parallel() // it waits most of its time
				r := newRig(t, `create table p (id int primary key) partition by range (id)`, `create table p_0 partition of p for values from (10) to (20)`)
				r.config.Tables = []string{"public.p*", "public.done"}
				r.install()
				if together {
					r.exec(`begin; ` + sql + `; commit`)
				} else {
					for one := range strings.SplitSeq(sql, "; ") {
						r.exec(one)
					}
				}
				got := slices.DeleteFunc(r.drained(), func(e event.Raw) bool { return e.Stream.Entity() != "public.p" })
				expect(t, got, insert, `public.p gap partition_gone`)
			})
		}
	}
}
