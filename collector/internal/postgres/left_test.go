package postgres

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
)

// TestATableThatTakesANameThatIsNotSelectedEndsItsStream, be it that an event trigger tells it, or the collector's next look.
func TestATableThatTakesANameThatIsNotSelectedEndsItsStream(t *testing.T) {
	for name, c := range map[string]struct {
		sql, then string
		want      []string
	}{
		"renamed":           {`alter table a rename to x_a`, `insert into x_a values (2)`, []string{`public.a truncate - rename`}},
		"in another schema": {`alter table a set schema elsewhere`, `insert into elsewhere.a values (2)`, []string{`public.a truncate - rename`}},
		"another takes its name": {`begin; alter table a rename to x_a; alter table b rename to a; commit`, `insert into a values (3)`,
			[]string{`public.a truncate - rename`, `public.b truncate - rename`, `public.a gap table_new`, `public.a insert {"id":3} after {"id":3}`}},
		"a tree":               {`alter table p rename to x_p`, `insert into x_p values (2)`, []string{`public.p truncate - rename`}},
		"a partition detached": {`alter table p detach partition x_1`, `insert into x_1 values (2)`, []string{`public.p gap partition_gone`}},
	} {
		for _, followed := range []bool{true, false} {
			t.Run(name+map[bool]string{true: "", false: ", without an event trigger"}[followed], func(t *testing.T) {
				t.Parallel() // it waits most of its time
				r := newRig(t, `create schema elsewhere`, `create table a (id int primary key)`, `create table b (id int primary key)`, `insert into b values (2)`,
					`create table p (id int primary key) partition by range (id)`, `create table x_1 partition of p for values from (0) to (10)`, `create table p_2 partition of p for values from (10) to (20)`)
				r.config.Tables, r.config.Exclude = []string{"public.*"}, []string{"public.x_*"}
				r.unfollowed = !followed
				r.install()
				r.exec(`insert into a values (1)`)
				r.exec(`insert into p values (1), (11)`)
				r.exec(c.sql)
				r.install()
				r.exec(c.then)
				got := slices.DeleteFunc(r.drained(), func(e event.Raw) bool {
					return !strings.HasPrefix(e.Stream.Entity(), "public.") || strings.HasPrefix(e.Stream.Entity(), "public.x_")
				})
				expect(t, got, append([]string{`public.a insert {"id":1} after {"id":1}`, `public.p insert {"id":1} after {"id":1}`, `public.p insert {"id":11} after {"id":11}`}, c.want...)...)
			})
		}
	}
}

// TestATableIsToldInItsStreamUntilItsNewNameIsSeen: without an event trigger, and behind a change of its columns, by which it is described anew.
func TestATableIsToldInItsStreamUntilItsNewNameIsSeen(t *testing.T) {
	r := newRig(t, `create table a (id int primary key, c int)`, `create table b (id int primary key, c int)`)
	r.unfollowed = true
	r.install()
	const swap = `begin; alter table a rename to aside; alter table b rename to a; alter table aside rename to b; commit`
	r.exec(`insert into a values (1, 1)`)
	r.exec(`insert into b values (2, 2)`)
	r.exec(`alter table b rename c to d`)
	r.exec(swap)
	r.exec(`update a set d = 3`)
	r.exec(swap)
	r.install()
	expect(t, r.drained(), `public.a insert {"id":1} after {"id":1,"c":1}`, `public.b insert {"id":2} after {"id":2,"c":2}`,
		`public.b update {"id":2} before {"id":2,"d":2} after {"id":2,"d":3}`)
}

// TestASchemaWithAnotherNameIsFollowed, be it that another one takes its name in the same transaction.
func TestASchemaWithAnotherNameIsFollowed(t *testing.T) {
	for _, followed := range []bool{true, false} {
		t.Run(map[bool]string{true: "with an event trigger", false: "without"}[followed], func(t *testing.T) {
			r := newRig(t, `create schema blue`, `create schema green`, `create table blue.t (id int primary key)`, `create table green.t (id int primary key)`)
			r.config.Tables = []string{"blue.*", "green.*", "public.*"}
			r.unfollowed = !followed
			r.install()
			r.exec(`insert into blue.t values (1)`)
			r.exec(`insert into green.t values (2)`)
			before := time.Now()
			r.exec(`begin; alter schema blue rename to old; alter schema green rename to blue; commit`)
			r.install()
			r.exec(`insert into blue.t values (3)`)
			got := slices.DeleteFunc(r.drained(), func(e event.Raw) bool { return strings.HasPrefix(e.Stream.Entity(), "old.") })
			expect(t, got, `blue.t insert {"id":1} after {"id":1}`, `green.t insert {"id":2} after {"id":2}`,
				`blue.t truncate - rename`, `green.t truncate - rename`, `blue.t gap table_new`, `blue.t insert {"id":3} after {"id":3}`)
			if g := gapOf(t, got[4]); g.From.After(before) == !followed {
				t.Errorf("renamed at %v: %+v", before, g)
			}
		})
	}
}

// TestATableThatTookANameEarlierBeginsAnewBehindItsEnd: the collector's look finds two that have swapped theirs one after the other.
func TestATableThatTookANameEarlierBeginsAnewBehindItsEnd(t *testing.T) {
	r := newRig(t, `create table a (id int primary key)`, `create table b (id int primary key)`)
	r.unfollowed = true
	r.install()
	r.exec(`insert into a values (1)`)
	r.exec(`insert into b values (2)`)
	r.exec(`begin; alter table a rename to aside; alter table b rename to a; alter table aside rename to b; commit`)
	r.install()
	r.exec(`insert into a values (3)`)
	r.exec(`insert into b values (4)`)
	of := map[string][]string{}
	for _, line := range briefs(t, r.drained()) {
		stream, what, _ := strings.Cut(line, " ")
		of[stream] = append(of[stream], what)
	}
	for stream, last := range map[string]string{"public.a": `insert {"id":3} after {"id":3}`, "public.b": `insert {"id":4} after {"id":4}`} {
		want := []string{"truncate - rename", "gap table_new", last}
		if got := of[stream]; len(got) < len(want) || !slices.Equal(got[len(got)-len(want):], want) {
			t.Errorf("of %s %q", stream, got)
		}
	}
}

// TestATransactionThatWritesWhileANameIsSeenIsToldBeforeTheEnd: it began before the collector's look, and writes by the name of before.
func TestATransactionThatWritesWhileANameIsSeenIsToldBeforeTheEnd(t *testing.T) {
	r := newRig(t, `create table a (id int primary key)`, `create table x (id int primary key)`)
	if r.number(`select current_setting('server_version_num')::int`) < 140000 {
		t.Skip("PostgreSQL 13 makes no trigger again")
	}
	r.unfollowed = true
	r.config.Exclude = []string{"public.x_*"}
	r.install()
	r.exec(`insert into a values (1)`)
	r.exec(`insert into x values (1)`)
	r.exec(`alter table a rename to b`)
	r.exec(`alter table x rename to x_1`)
	writing := r.session()
	r.run(writing, `begin; insert into b values (2); insert into x_1 values (2)`)
	stop := r.start()
	r.await(2)
	time.Sleep(3 * time.Second)
	r.run(writing, `commit`)
	r.await(6)
	_ = stop()
	last := map[string]string{}
	for _, line := range briefs(t, r.drained()) {
		stream, what, _ := strings.Cut(line, " ")
		last[stream] = what
	}
	if last["public.a"] != "truncate - rename" || last["public.x"] != "truncate - rename" {
		t.Errorf("the streams end with %q", last)
	}
}

// TestAPartitionIsToldInItsRootsNewStreamBehindTheRoot, which somebody writes through as long: what he writes is told by the root's old name.
func TestAPartitionIsToldInItsRootsNewStreamBehindTheRoot(t *testing.T) {
	t.Parallel()
	r := newRig(t, `create table a (id int) partition by list (id); create table a_1 partition of a for values in (1); create table a_2 partition of a for values in (2)`,
		`create table b (id int)`)
	if r.number(`select current_setting('server_version_num')::int`) < 140000 {
		t.Skip("PostgreSQL 13 makes no trigger again")
	}
	r.unfollowed = true
	r.config.Tables = []string{"public.a", "public.b", "public.done"}
	r.install()
	r.exec(`insert into a values (1), (2)`)
	r.exec(`begin; alter table a rename to aside; alter table b rename to a; alter table aside rename to b; commit`)
	writing := r.session()
	r.run(writing, `begin; insert into b values (1)`)
	stop := r.start()
	time.Sleep(4 * time.Second)
	r.run(writing, `insert into b values (2); commit`)
	_ = stop()
	r.install()
	ids := map[string]int{}
	for _, e := range r.drained() {
		if e.Stream.Entity() != "public.b" || e.Type == event.GapType {
			continue
		}
		switch c := rowChange(t, e); c.Op {
		case event.Truncate:
			clear(ids)
		default:
			ids[string(c.After)]++
		}
	}
	if want := map[string]int{`{"id":1}`: 2, `{"id":2}`: 2}; !maps.Equal(ids, want) {
		t.Errorf("the stream has %v, want %v", ids, want)
	}
}
