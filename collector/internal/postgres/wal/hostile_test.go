package wal

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"

	"datawatch/pkg/testrig"
)

// TestNobodysCodeRunsInTheReadersSession: a value is printed by the functions of its base type, which a superuser made, and not by what
// the owner of a domain over it has checked.
func TestNobodysCodeRunsInTheReadersSession(t *testing.T) {
	r := newRig(t, `create extension hstore`, `create table spy (ran_as text)`,
		`create function checked(hstore) returns boolean language plpgsql as $$ begin insert into public.spy values (current_setting('application_name')); return true; end $$`,
		`create domain tags as hstore check (checked(value))`, `create domain more as tags check (checked(value))`, `create type pair as (a tags, b int)`,
		`create table t (id int primary key, v tags, w more, p pair, l tags[])`)
	r.config.Exclude = []string{"public.spy"}
	r.install()
	r.exec(`insert into t values (1, 'a=>1', 'b=>2', row('c=>3', 1), array['d=>4'::tags])`)
	expect(t, r.wait(1), `public.t insert {"id":1} after {"id":1,"v":{"a": "1"},"w":{"b": "2"},"p":{"a":{"c": "3"},"b":1},"l":[{"d": "4"}]}`)
	var ran int
	if err := r.db.QueryRow(t.Context(), `select count(*) from spy where ran_as = $1`, applicationName).Scan(&ran); err != nil || ran > 0 {
		t.Errorf("the domains' function ran %d times in the reader's session, %v", ran, err)
	}
}

// TestATypeThatIsNamedLikeAnotherIsPrintedAsItsText.
func TestATypeThatIsNamedLikeAnotherIsPrintedAsItsText(t *testing.T) {
	const forged = `1,"x":{}},"op":"9`
	for _, name := range []string{"json", "jsonb", "numeric", "timestamp", "timestamptz"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, fmt.Sprintf(`create type public.%[1]s as enum ('%[2]s', 'a "b'); create table t (id int primary key, v public.%[1]s)`, name, forged),
				`create schema s; create type s.json as range (subtype = text); create table u (id int primary key, v s.json)`)
			r.install()
			r.exec(`insert into t values (1, '` + forged + `'), (2, 'a "b'); insert into u values (1, '[a,b)')`)
			expect(t, r.wait(3), `public.t insert {"id":1} after {"id":1,"v":"1,\"x\":{}},\"op\":\"9"}`, `public.t insert {"id":2} after {"id":2,"v":"a \"b"}`,
				`public.u insert {"id":1} after {"id":1,"v":"[a,b)"}`)
		})
	}
}

// TestATypeOfTypesWithoutEndIsText: each of these has two of the one before, so that what they are made of doubles.
func TestATypeOfTypesWithoutEndIsText(t *testing.T) {
	r := newRig(t, `create type c0 as (a int)`)
	for i := range 17 {
		r.exec(fmt.Sprintf(`create type c%d as (a c%d, b c%d)`, i+1, i, i))
	}
	r.exec(`create table t (id int primary key, v c17, w c1, x c17[])`)
	r.install()
	r.exec(`insert into t values (1, null, row(row(1), row(2)), null), (2, row(null, null), null, array[row(null, null)::c17])`)
	expect(t, r.wait(2), `public.t insert {"id":1} after {"id":1,"v":null,"w":{"a":{"a":1},"b":{"a":2}},"x":null}`,
		`public.t insert {"id":2} after {"id":2,"v":"(,)","w":null,"x":"{\"(,)\"}"}`)
	if kb := len(strings.Join(briefs(t, r.captured()), "")) >> 10; kb > 64 {
		t.Errorf("%d kB of events", kb)
	}
}

// TestWhatIsDoneToAPartitionWhileItIsDetachedIsAGap, also where it is attached again before anybody looks.
func TestWhatIsDoneToAPartitionWhileItIsDetachedIsAGap(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		for name, one := range map[string]struct{ detach, attach string }{
			"a partition": {`alter table p detach partition p_1`, `alter table p attach partition p_1 for values from (0) to (10)`},
			"its branch":  {`alter table p detach partition b`, `alter table p attach partition b for values from (20) to (40)`},
		} {
			for _, running := range []bool{true, false} {
				t.Run(strings.TrimSpace(fmt.Sprintf("%s, running %v %s", name, running, version)), func(t *testing.T) {
					r := newRigOn(t, databaseOn(t, version), `create table p (id int primary key, v int) partition by range (id)`,
						`create table p_1 partition of p for values from (0) to (10)`, `create table b partition of p for values from (20) to (40) partition by range (id)`,
						`create table p_2 partition of b for values from (20) to (30)`, `insert into p values (1, 1), (21, 1)`)
					stop := r.start()
					r.awaitKnown("p_1")
					if !running {
						_ = stop()
					}
					before := r.clock()
					r.exec(`begin; ` + one.detach + `; update p_1 set v = 2; update p_2 set v = 2; ` + one.attach + `; commit`)
					after := r.clock()
					if !running {
						stop = r.start()
					}
					testrig.Eventually(t, time.Minute, func() error {
						if len(r.gapsOf("public.p", causePartition)) == 0 {
							return fmt.Errorf("no gap in\n\t%s", strings.Join(briefs(t, r.captured()), "\n\t"))
						}
						return nil
					})
					_ = stop()
					stop = r.start()
					_ = stop()
					if gaps := r.gapsOf("public.p", causePartition); len(gaps) != 1 || gaps[0].From.After(before) || gaps[0].To.Before(after) {
						t.Errorf("gaps %+v", gaps)
					}
				})
			}
		}
	}
}

// TestWhatIsDoneToAPartitionWhileItIsUnloggedIsRead, when it is logged again.
func TestWhatIsDoneToAPartitionWhileItIsUnloggedIsRead(t *testing.T) {
	for _, running := range []bool{true, false} {
		t.Run(fmt.Sprintf("running %v", running), func(t *testing.T) {
			r := newRig(t, `create table p (id int primary key, v int) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`,
				`create table p_2 partition of p for values from (10) to (20)`, `insert into p values (1, 1)`)
			stop := r.start()
			r.exec(`alter table p_1 set unlogged`)
			r.await(1)
			if !running {
				_ = stop()
			}
			r.exec(`update p set v = 2; alter table p_1 set logged`)
			if !running {
				stop = r.start()
			}
			r.await(2)
			_ = stop()
			expect(t, r.captured(), `public.p gap partition_changed`, `public.p read {"id":1} after {"id":1,"v":2}`)
		})
	}
}

// TestATableThatIsDetachedOrAttachedChangesItsStream: the rows that it has go, and come, with it.
func TestATableThatIsDetachedOrAttachedChangesItsStream(t *testing.T) {
	r := newRig(t, `create table p (id int primary key, v int) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`,
		`create table p_2 partition of p for values from (10) to (20); create table q (id int primary key, v int) partition by range (id)`, `create table q_1 partition of q for values from (10) to (20)`, `insert into p values (1, 1)`)
	stop := r.start()
	r.exec(`alter table p detach partition p_1`)
	r.await(2)
	r.exec(`alter table q attach partition p_1 for values from (0) to (10)`)
	r.await(4)
	r.exec(`begin; alter table q detach partition p_1; alter table p attach partition p_1 for values from (0) to (10); commit`)
	r.await(6)
	r.exec(`update p set v = 2`)
	r.await(7)
	_ = stop()
	expect(t, r.captured(), `public.p gap partition_changed`, `public.p_1 gap table_new`, `public.p_1 truncate - reason attach`, `public.q read {"id":1} after {"id":1,"v":1}`,
		`public.q gap partition_changed`, `public.p read {"id":1} after {"id":1,"v":1}`, `public.p update {"id":1} after {"id":1,"v":2} incomplete {"before":"unavailable"}`)
}

// TestATagIsTextOfBoundedLength, whatever somebody emits: each change of the transaction has it.
func TestATagIsTextOfBoundedLength(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	if r.version() < 140000 {
		t.Skip("messages aren't told")
	}
	r.install()
	r.exec(`select pg_logical_emit_message(false, 'junk', '\x00ff00'::bytea), pg_logical_emit_message(true, '', ''), pg_logical_emit_message(false, 'datawatch.checkpoint', '\xff'::bytea)`)
	r.exec(`begin; select pg_logical_emit_message(true, 'datawatch.tag', '\x61ff0062'::bytea); insert into t values (1);
		select pg_logical_emit_message(true, 'datawatch.tag', repeat('đ', 5000000)); insert into t values (2); commit`)
	got := r.wait(2)
	expect(t, got, `public.t insert {"id":1} after {"id":1}`, `public.t insert {"id":2} after {"id":2}`)
	if tag := rowChange(t, got[0]).Tag; tag != "a\x00b" {
		t.Errorf("tag %q", tag)
	}
	if tag := rowChange(t, got[1]).Tag; tag != strings.Repeat("đ", maxTag/2) {
		t.Errorf("a tag of %d bytes, %.20q", len(tag), tag)
	}
}

// TestTablesThatAreGoneAreForgotten once reading has come to where they were: somebody may make and drop one after another.
func TestTablesThatAreGoneAreForgotten(t *testing.T) {
	r := &reader{relations: map[uint32]*relation{}, named: map[uint32]*pglogrepl.RelationMessage{}}
	for id, schema := range map[uint32]string{1: "public", 2: "public", 3: "datawatch", 4: "public"} {
		r.relations[id], r.named[id] = &relation{}, &pglogrepl.RelationMessage{Namespace: schema}
	}
	r.forget(&look{there: knownTables{1: {}, 2: {}}})
	r.forget(&look{there: knownTables{2: {}}}) // 4 was made behind it
	if r.named[1] != nil || r.relations[1] != nil || len(r.named) != 3 || len(r.relations) != 3 {
		t.Errorf("%v, %v", r.named, r.relations)
	}
}

// TestARowThatTheServerCantSendIsAGap, and not the end of capture: its text is larger than any that PostgreSQL can make.
func TestARowThatTheServerCantSendIsAGap(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v bytea)`, `create table u (id int primary key)`)
	r.install()
	r.exec(`insert into t values (1, null)`)
	r.exec(`begin; insert into t values (2, null); insert into t select 3, convert_to(repeat('x', 560000000), 'UTF8'); insert into t values (4, null); commit`)
	r.exec(`insert into u values (5)`)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.source().Run(ctx, r.progress(), r.emit); !unsendable(err) {
		t.Errorf("run ended with %v", err)
	}
	expect(t, r.wait(5), `public.t insert {"id":1} after {"id":1,"v":null}`, `public.t insert {"id":2} after {"id":2,"v":null}`,
		`public.t gap unreadable`, `public.u gap unreadable`, `public.u insert {"id":5} after {"id":5}`)
}
