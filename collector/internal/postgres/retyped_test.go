package postgres

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/normalize"
	"datawatch/pkg/testrig"
)

// TestAColumnOfANewTypeIsToldWithItWithoutAnEventTrigger, as it is where the installer is no superuser: a migration that alters a column and
// writes it in one transaction, while the collector runs. What comes with the type of before is a dead letter of the preprocessor's.
func TestAColumnOfANewTypeIsToldWithItWithoutAnEventTrigger(t *testing.T) {
	t.Parallel() // it waits most of its time
	r := newRig(t, `create table t (id int primary key, v int)`, `insert into t select g, g from generate_series(1, 3) g`)
	r.unfollowed = true
	r.install()
	stop := r.start()
	r.exec(`begin; alter table t alter v type text; update t set v = 'no. ' || v; insert into t values (4, 'no. 4'); commit`)
	r.await(4)
	testrig.Eventually(t, 20*time.Second, func() error {
		if status, err := r.source().Status(t.Context()); err != nil || !status.Complete {
			return errors.Join(errors.New("the function isn't made anew"), err)
		}
		return nil
	})
	_ = stop()
	for _, e := range r.captured() {
		if strings.Contains(brief(t, e), " gap ") {
			continue // is told
		}
		if _, err := normalize.New(normalize.Options{}).Events(t.Context(), &e); err != nil {
			t.Errorf("%s: %v", brief(t, e), err)
		}
	}
}

// TestEachRowIsToldWithTheTypesItWasWrittenWith, however often its table was altered before anybody looked, and whatever the session's
// settings: these are pinned for types that the function knows.
func TestEachRowIsToldWithTheTypesItWasWrittenWith(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v int); create table p (id int primary key, v int) partition by list (id); create table p0 partition of p default`,
		`create type pair as (a int)`, `create table c (id int primary key, v pair)`)
	r.unfollowed = true
	r.install()
	r.exec(`set intervalstyle = 'sql_standard'`)
	write := func(as, using, value string) {
		r.exec(`alter table t alter v type ` + as + ` using ` + using)
		r.exec(`insert into t values (` + value + `)`)
	}
	write("text", `v::text`, `1, 'a'`)
	write("interval", `'1 day'`, `2, '1 day 02:00:00'), (3, '2 days'`)
	r.exec(`alter table p alter v type text using v::text; insert into p values (4, 'a'); truncate p0`)
	write("boolean", `true`, `4, false`)
	write("int[]", `null`, `5, '{1,2}'`)
	r.exec(`alter type pair add attribute b text; insert into c values (6, row(1, 'a'))`)
	var got []string
	for _, e := range r.drained() {
		if strings.Contains(brief(t, e), " gap ") {
			t.Fatal(brief(t, e))
		}
		if _, err := normalize.New(normalize.Options{}).Events(t.Context(), &e); err != nil {
			t.Errorf("%s: %v", brief(t, e), err)
		}
		got = append(got, rowChange(t, e).Columns[1].Type+" "+brief(t, e))
	}
	want := []string{
		`text public.t insert {"id":1} after {"id":1,"v":"a"}`,
		`interval public.t insert {"id":2} after {"id":2,"v":"1 day 02:00:00"}`,
		`interval public.t insert {"id":3} after {"id":3,"v":"2 days"}`,
		`text public.p insert {"id":4} after {"id":4,"v":"a"}`,
		`text public.p delete {"id":4} before {"id":4,"v":"a"}`,
		`boolean public.t insert {"id":4} after {"id":4,"v":false}`,
		`integer[] public.t insert {"id":5} after {"id":5,"v":[1,2]}`,
		`public.pair public.c insert {"id":6} after {"id":6,"v":{"a":1,"b":"a"}}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// TestNobodyWaitsForAnotherWhoWritesToATableThatWasAltered: both may have to tell what it looks like now.
func TestNobodyWaitsForAnotherWhoWritesToATableThatWasAltered(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v int)`)
	r.unfollowed = true
	r.install()
	r.exec(`alter table t alter v type text using v::text`)
	one, shapes := r.session(), r.number(`select count(*) from datawatch.shapes`)
	r.run(one, `begin; insert into t values (1, 'a'); insert into t values (2, 'b')`)
	r.exec(`set statement_timeout = '10s'; insert into t values (3, 'c'); insert into t values (4, 'd')`)
	r.run(one, `commit; insert into t values (5, 'e')`)
	if n := r.number(`select count(*) from datawatch.shapes`) - shapes; n != 2 {
		t.Errorf("%d shapes of one", n)
	}
	for _, e := range r.drained() {
		if c := rowChange(t, e); len(c.Columns) != 2 || c.Columns[1].Type != "text" {
			t.Errorf("%s: %v", brief(t, e), c.Columns)
		}
	}
}

// TestATransactionThatKeepsItsSnapshotTellsNoValueAsAnothersType: it may not see that the table was altered.
func TestATransactionThatKeepsItsSnapshotTellsNoValueAsAnothersType(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v int, w int)`)
	r.unfollowed = true
	r.install()
	r.exec(`alter table t alter w type text using w::text`)
	one := r.session()
	r.run(one, `begin isolation level repeatable read; select 1 from pg_class limit 1`)
	r.exec(`alter table t alter v type text using v::text`)
	r.run(one, `insert into t values (1, 'a', 'b'); commit`)
	events := r.drained()
	if len(events) != 1 || !strings.Contains(brief(t, events[0]), " gap ") {
		t.Errorf("told as %v", briefs(t, events))
	}
}
