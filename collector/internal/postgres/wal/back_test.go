package wal

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"

	"datawatch/pkg/event"
)

// compared waits until a look was compared that was taken after now.
func (r *rig) compared() {
	r.t.Helper()
	r.marks++
	mark := fmt.Sprintf("mark_%d", r.marks)
	r.exec(`create table ` + mark + ` (id int primary key)`)
	r.awaitKnown(mark)
}

// agree compares what streams' events leave behind with their tables: only behind a gap may they differ.
func (r *rig) agree(tables ...string) {
	r.t.Helper()
	for _, table := range tables {
		left, gap := r.leftBehind(entityOf(table))
		var held []string
		var there bool
		if err := r.db.QueryRow(r.t.Context(), `select to_regclass($1) is not null`, table).Scan(&there); err != nil {
			r.t.Fatal(err)
		}
		if there {
			held = r.keys(table)
		}
		for _, key := range held {
			if !left[key] && !gap {
				r.t.Errorf("%s has a row %s that wasn't told, and no gap", table, key)
			}
			delete(left, key)
		}
		if len(left) > 0 && !gap {
			r.t.Errorf("%s has none of the rows %v, and no gap", table, left)
		}
	}
	if r.t.Failed() {
		r.t.Log(strings.Join(briefs(r.t, r.captured()), "\n\t"))
	}
}

func entityOf(table string) string {
	if strings.Contains(table, ".") {
		return table
	}
	return "public." + table
}

// TestANameThatComesBackIsTold: between two looks a table leaves its name, or what is selected, and takes it again, be it in a transaction.
func TestANameThatComesBackIsTold(t *testing.T) {
	for name, then := range map[string][]string{
		"renamed":                 {`alter table t rename to u`, `insert into u values (3)`, `alter table u rename to t`, `insert into t values (4)`},
		"renamed, then silent":    {`alter table t rename to u`, `insert into u values (3)`, `alter table u rename to t`},
		"excluded":                {`alter table t rename to tmp_t`, `insert into tmp_t values (5)`, `delete from tmp_t where id = 1`, `alter table tmp_t rename to t`},
		"emptied while excluded":  {`alter table t rename to tmp_t`, `truncate tmp_t`, `insert into tmp_t values (5)`, `alter table tmp_t rename to t`},
		"excluded as another":     {`alter table t rename to u`, `insert into u values (3)`, `alter table u rename to tmp_u`, `insert into tmp_u values (5)`, `alter table tmp_u rename to u`},
		"another one in its name": {`alter table t rename to aside`, `alter table other rename to t`, `insert into t values (7)`, `alter table t rename to other`, `alter table aside rename to t`},
		"a scratch table":         {`alter table t rename to aside`, `alter table other rename to t`, `insert into t values (7)`, `drop table t`, `alter table aside rename to t`},
		"a table in a tree's":     {`alter table p rename to aside`, `alter table t rename to p`, `insert into p values (3)`, `alter table p rename to t`, `alter table aside rename to p`},
	} {
		for _, running := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, running %t", name, running), func(t *testing.T) {
				r := newRig(t, `create table t (id int primary key)`, `create table other (id int primary key)`, `create table p (id int primary key) partition by range (id)`,
					`create table p_1 partition of p for values from (0) to (10)`)
				r.config.Exclude = []string{"public.tmp_*"}
				stop := r.start()
				r.exec(`insert into t values (1), (2); insert into p values (1); insert into other values (9)`)
				r.await(4)
				if running {
					r.exec(`begin; ` + strings.Join(then, "; ") + `; commit`)
				} else {
					_ = stop()
					for _, sql := range then {
						r.exec(sql)
					}
					stop = r.start()
				}
				r.compared()
				_ = stop()
				r.agree("t", "u", "other", "p")
			})
		}
	}
}

// TestATableThatWasRenamedBeforeTheFirstStartIsTold by both its names.
func TestATableThatWasRenamedBeforeTheFirstStartIsTold(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`insert into t values (1)`)
	r.exec(`alter table t rename to u`)
	r.exec(`insert into u values (2)`)
	stop := r.start()
	r.compared()
	_ = stop()
	r.agree("t", "u")
}

// TestASchemaThatIsRenamedIsFollowed, and two that swap their names: up to version 16 a server goes on to tell the name of before.
func TestASchemaThatIsRenamedIsFollowed(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			r := newRigOn(t, databaseOn(t, version), `create schema live`, `create table live.t (id int primary key)`, `create schema next`, `create table next.t (id int primary key)`)
			r.config.Tables = []string{"public.*", "live.*", "next.*", "old.*"}
			stop := r.start()
			r.exec(`insert into live.t values (1); insert into next.t values (2)`)
			r.await(2)
			r.exec(`begin; alter schema live rename to old; alter schema next rename to live; commit`)
			r.compared()
			for id := 3; id < 6; id++ {
				r.exec(fmt.Sprintf(`insert into live.t values (%d); insert into old.t values (%d)`, id, 10*id))
				r.compared()
			}
			_ = stop()
			r.agree("live.t", "next.t", "old.t")
			for _, stream := range []string{"live.t", "next.t"} {
				if got := strings.Count(strings.Join(r.of(stream), "\n"), "truncate"); got != 1 {
					t.Errorf("%s ended %d times", stream, got)
				}
			}
			if left, _ := r.leftBehind("live.t"); !left[`{"id":3}`] || !left[`{"id":4}`] || !left[`{"id":5}`] {
				t.Errorf("live.t has rows 3 to 5, its stream %v", left)
			}
		})
	}
}

// TestWhatWasAwayBetweenTwoLooksIsTold, where reading is behind both.
func TestWhatWasAwayBetweenTwoLooksIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		leaves, meanwhile, back string
		gap                     string
	}{
		"a table that isn't selected": {`alter table t rename to tmp_t`, `truncate tmp_t`, `alter table tmp_t rename to t`, ""},
		"a tree that isn't selected":  {`alter table p rename to tmp_p`, `delete from tmp_p where id = 1; insert into tmp_p values (3)`, `alter table tmp_p rename to p`, causeTableNew},
		"a detached partition":        {`alter table p detach partition p_1`, `delete from p_1 where id = 1`, `alter table p attach partition p_1 for values from (0) to (10)`, causePartition},
		"an unlogged partition":       {`alter table p_1 set unlogged`, `delete from p where id = 1`, `alter table p_1 set logged`, causePartition},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, `create table t (id int primary key)`, `create table p (id int primary key) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`,
				`create table p_2 partition of p for values from (10) to (20)`, `create table noise (id int primary key)`)
			r.config.Tables, r.config.Exclude = []string{"public.t", "public.p", "public.noise", "public.mark_*"}, []string{"public.tmp_*"}
			r.limits.batchEvents = 2
			stop := r.start()
			r.exec(`insert into t values (1), (2); insert into p values (1), (2), (11)`)
			r.await(5)
			release := r.holdBroker()
			for i := range 20 { // more than what is on its way
				time.Sleep(20 * time.Millisecond)
				r.exec(fmt.Sprintf(`insert into noise values (%d)`, i))
			}
			r.exec(c.leaves)
			time.Sleep(2*lookEvery + lookEvery/2)
			r.exec(c.meanwhile)
			r.exec(c.back)
			time.Sleep(2*lookEvery + lookEvery/2)
			release()
			r.compared()
			_ = stop()
			r.agree("t")
			if lines := briefs(t, r.captured()); c.gap != "" && !slices.Contains(lines, "public.p gap "+c.gap) {
				t.Errorf("no gap in\n\t%s", strings.Join(lines, "\n\t"))
			}
		})
	}
}

// TestLooksAreComparedWhereReadingIsBehindAllTheTime: one that is waited for isn't replaced by newer ones.
func TestLooksAreComparedWhereReadingIsBehindAllTheTime(t *testing.T) {
	one := knownTables{1: {Schema: "public", Table: "t"}}
	var r reader
	for lsn := pglogrepl.LSN(10); lsn <= 50; lsn += 10 {
		r.looked(&look{lsn: lsn, tables: one, fresh: map[uint32]freshTable{}})
	}
	if r.look.lsn != 10 || r.later.lsn != 50 {
		t.Errorf("looks at %d and %d wait, not those at 10 and 50", r.look.lsn, r.later.lsn)
	}
}

// TestALookThatHasTheNamesButNotTheRow: the transaction that first writes by a name that changed hands ends behind the look that found it.
func TestALookThatHasTheNamesButNotTheRow(t *testing.T) {
	r := newRig(t, `create table b (id int primary key)`, `create table a (id int primary key)`)
	a, b := knownTable{Schema: "public", Table: "a"}, knownTable{Schema: "public", Table: "b"}
	rd := &reader{
		Source: r.source(), catalog: &catalog{source: r.sourceName(), database: "x", db: r.db}, batch: &batch{}, known: knownTables{1: a, 2: b},
		relations: map[uint32]*relation{}, named: map[uint32]*pglogrepl.RelationMessage{}, early: map[uint32]uint64{}, lost: map[uint32]bool{},
		brought: knownTables{}, strays: map[uint32]bool{}, p: progress{LSN: 100},
	}
	swapped := knownTables{1: b, 2: a}
	rd.look = &look{
		lsn: 150, next: 7, tables: swapped, there: swapped, rows: memberships{},
		fresh: map[uint32]freshTable{1: {rows: true, renamed: true}, 2: {rows: true, renamed: true}},
	}
	rd.tx = &transaction{lsn: 200, wide: 7, xid: "7"}
	if err := rd.settle(t.Context(), &relation{id: 2, streamSchema: "public", streamTable: "a"}); err != nil {
		t.Fatal(err)
	}
	rd.tx, rd.p.LSN = nil, 210
	rd.compare()
	rd.look = &look{lsn: 300, next: 8, tables: swapped, there: swapped, fresh: map[uint32]freshTable{}, rows: memberships{}}
	rd.p.LSN = 310
	rd.compare()
	for _, want := range []string{"public.a gap table_new", "public.b gap table_new"} {
		if lines := briefs(t, rd.batch.events); !slices.Contains(lines, want) {
			t.Errorf("no %q in\n\t%s", want, strings.Join(lines, "\n\t"))
		}
	}
}

// TestANewPartitionIsReadWhileItsRootHasAnotherName for a while, of those that are selected or of others.
func TestANewPartitionIsReadWhileItsRootHasAnotherName(t *testing.T) {
	for _, other := range []string{"tmp_p", "q"} {
		t.Run(other, func(t *testing.T) {
			r := newRig(t, `create table p (id int primary key) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`, `create table last (id int primary key)`)
			r.config.Exclude = []string{"public.tmp_*"}
			stop := r.start()
			r.exec(`insert into p values (1)`)
			r.await(1)
			_ = stop()
			r.exec(`create table p_9 partition of p for values from (90) to (100)`)
			r.exec(`insert into p values (95)`)
			r.exec(`alter table p rename to ` + other)
			r.exec(`insert into last values (5)`)
			stop = r.start()
			r.awaitLast(func(e event.Raw) bool { return e.Stream.Entity() == "public.last" })
			r.exec(`alter table ` + other + ` rename to p`)
			r.compared()
			r.exec(`insert into p values (96), (2)`)
			r.compared()
			_ = stop()
			r.agree("p")
		})
	}
}

// TestTruncateOfAPartitionIsntTheTrees, where the other one isn't in the tree any more, or isn't logged, when it is read.
func TestTruncateOfAPartitionIsntTheTrees(t *testing.T) {
	for _, then := range []string{
		`alter table p detach partition p_1; alter table pool attach partition p_1 for values from (0) to (10)`,
		`alter table p_2 set unlogged`, `drop table p_2`, `alter table p detach partition p_2`,
	} {
		t.Run(then, func(t *testing.T) {
			r := newRig(t, `create table p (id int primary key) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`,
				`create table p_2 partition of p for values from (10) to (20)`, `create table pool (id int primary key) partition by range (id)`)
			stop := r.start()
			r.exec(`insert into p values (1), (11)`)
			r.await(2)
			_ = stop()
			r.exec(`truncate p_1`)
			r.exec(then)
			stop = r.start()
			r.compared()
			_ = stop()
			lines := r.of("public.p")
			if slices.Contains(lines, "truncate -") || !slices.Contains(lines, "gap "+causePartition) {
				t.Errorf("p had a row in the other partition\n\t%s", strings.Join(lines, "\n\t"))
			}
		})
	}
}

// TestAPartitionThatIsMadeWithAnOwnerIsReadOnce: what is done to a new table in its transaction, as pg_partman does, makes it no attached one.
func TestAPartitionThatIsMadeWithAnOwnerIsReadOnce(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			r := newRigOn(t, databaseOn(t, version), `create table p (id int primary key) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`)
			stop := r.start()
			r.exec(`insert into p values (1)`)
			r.await(1)
			r.exec(`begin; create table p_8 partition of p for values from (80) to (90); alter table p_8 owner to pg_monitor; insert into p values (85); commit`)
			r.exec(`begin; create table p_9 partition of p for values from (90) to (100); alter table p_9 rename to p_90; insert into p values (95); commit`)
			r.compared()
			_ = stop()
			r.expectOf("public.p", `insert {"id":1} after {"id":1}`, `insert {"id":85} after {"id":85}`, `insert {"id":95} after {"id":95}`)
		})
	}
}
