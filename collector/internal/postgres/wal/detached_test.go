package wal

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
)

// bare is a partition tree whose root has no primary key, so that its partitions are published by themselves; with another one.
var bare = []string{
	`create table p (id int, v int) partition by range (id)`, `create table p_1 partition of p (primary key (id)) for values from (0) to (10)`,
	`create table p_2 partition of p (primary key (id)) for values from (10) to (20)`,
	`create table branch partition of p for values from (20) to (40) partition by range (id)`, `create table branch_1 partition of branch (primary key (id)) for values from (20) to (30)`,
	`create table q (id int, v int) partition by range (id)`, `create table q_2 partition of q (primary key (id)) for values from (10) to (20)`,
	`create table noise (id int primary key)`,
}

// toAnother has another partition hold the rows of the one that was detached.
const toAnother = `create table p_1b partition of p (primary key (id)) for values from (0) to (10); insert into p select * from p_1; `

// TestWhatIsWrittenToADetachedPartitionIsntTheTrees, where it is published by itself, or by where it is attached now; also in the
// transaction that detaches it, and where it is read before, or long after, a look finds it detached.
func TestWhatIsWrittenToADetachedPartitionIsntTheTrees(t *testing.T) {
	for name, c := range map[string]struct {
		then  []string
		since int // the version
	}{
		"detached":               {then: []string{`begin; alter table p detach partition p_1; ` + toAnother + `commit`, `delete from p_1`}},
		"in its transaction":     {then: []string{`begin; alter table p detach partition p_1; ` + toAnother + `insert into p_1 values (7); delete from p_1; commit`}},
		"a branch":               {then: []string{`begin; alter table p detach partition branch; create table p_3 partition of p (primary key (id)) for values from (20) to (40); insert into p select * from branch; commit`, `delete from branch`}},
		"written to before":      {then: []string{`begin; insert into p values (2, 1); update p set v = 2; alter table p detach partition p_1; ` + toAnother + `delete from p_1; commit`}},
		"concurrently":           {then: []string{`alter table p detach partition p_1 concurrently`, toAnother, `delete from p_1`}, since: 140000},
		"truncated":              {then: []string{`alter table p detach partition p_1`, toAnother, `truncate p_1`}},
		"dropped":                {then: []string{`alter table p detach partition p_1`, toAnother, `delete from p_1`, `drop table p_1`}},
		"attached elsewhere":     {then: []string{`begin; alter table p detach partition p_1; ` + toAnother + `alter table q attach partition p_1 for values from (0) to (10); commit`, `delete from q`}},
		"attached again":         {then: []string{`alter table p detach partition p_1`, `insert into p_1 values (7)`, `delete from p_1 where id = 7`, `alter table p attach partition p_1 for values from (0) to (10)`}},
		"attached again at once": {then: []string{`begin; alter table p detach partition p_1; insert into p_1 values (7); delete from p_1 where id = 7; alter table p attach partition p_1 for values from (0) to (10); commit`}},
	} {
		for _, running := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, running %t", name, running), func(t *testing.T) {
				r := newRig(t, bare...)
				if r.version() < c.since {
					t.Skipf("PostgreSQL %d has no such thing", r.version())
				}
				stop := r.start()
				r.exec(`insert into p values (1, 1), (5, 1), (25, 1)`)
				r.await(3)
				if !running {
					_ = stop()
				}
				for _, sql := range c.then {
					r.exec(sql)
				}
				if !running {
					stop = r.start()
				}
				r.compared()
				_ = stop()
				lines := strings.Join(r.of("public.p"), "\n\t")
				if strings.Contains(lines, "delete") || strings.Contains(lines, "truncate") || strings.Contains(lines, `{"id":7}`) {
					t.Errorf("p has rows 1, 5 and 25, and was told\n\t%s", lines)
				}
				if n := strings.Count(lines, "gap "+causePartition); n != 1 {
					t.Errorf("%d gaps in\n\t%s", n, lines)
				}
			})
		}
	}
}

// TestWhatIsWrittenToAPartitionOfAWholeTreeThatWasDetachedIsntTheTrees, also where it is attached to another one that is published whole. Servers
// up to version 14 go on to publish it as before.
func TestWhatIsWrittenToAPartitionOfAWholeTreeThatWasDetachedIsntTheTrees(t *testing.T) {
	for name, attached := range map[string]string{"attached elsewhere": `alter table q attach partition p_1 for values from (0) to (10);`, "detached": ``} {
		for _, running := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, running %t", name, running), func(t *testing.T) {
				r := newRig(t, `create table p (id int primary key) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`,
					`create table p_2 partition of p for values from (10) to (20)`, `create table q (id int primary key) partition by range (id)`,
					`create table q_2 partition of q for values from (10) to (20)`)
				stop := r.start()
				r.exec(`insert into p values (1), (5)`)
				r.await(2)
				if !running {
					_ = stop()
				}
				r.exec(`begin; alter table p detach partition p_1; create table p_1b partition of p for values from (0) to (10); insert into p select * from p_1; ` + attached + ` commit`)
				r.exec(`delete from p_1 where id = 1`)
				r.exec(`insert into p_1 values (7)`)
				if !running {
					stop = r.start()
				}
				r.compared()
				r.exec(`insert into p values (11); insert into q values (12)`)
				r.awaitLast(func(e event.Raw) bool { return e.Stream.Entity() == "public.q" && string(e.Key) == `{"id":12}` })
				_ = stop()
				if lines := strings.Join(r.of("public.p"), "\n\t"); strings.Contains(lines, "delete") || strings.Contains(lines, `{"id":7}`) || strings.Count(lines, "gap "+causePartition) != 1 {
					t.Errorf("p has rows 1 and 5, and was told\n\t%s", lines)
				}
				if left, _ := r.leftBehind("public.q"); attached != "" && (left[`{"id":1}`] || !left[`{"id":5}`] || !left[`{"id":7}`]) {
					t.Errorf("q has rows 5, 7 and 12, its stream %v", left)
				}
			})
		}
	}
}

// TestWhatWasWrittenBeforeAPartitionWasDetachedIsToldOfTheTree, though it isn't its partition any more when it is read: the server told of the
// partition before, or hasn't published it by itself.
func TestWhatWasWrittenBeforeAPartitionWasDetachedIsToldOfTheTree(t *testing.T) {
	t.Run("told of before", func(t *testing.T) {
		r := newRig(t, bare...)
		r.limits.batchEvents = 2
		stop := r.start()
		r.exec(`insert into p values (1, 1), (5, 1)`)
		r.await(2)
		release := r.holdBroker()
		for i := range 20 { // more than what is on its way
			time.Sleep(20 * time.Millisecond)
			r.exec(fmt.Sprintf(`insert into noise values (%d)`, i))
		}
		r.exec(`insert into p values (2, 1)`)
		r.exec(`alter table p detach partition p_1; ` + toAnother)
		r.exec(`delete from p_1`)
		release()
		r.compared()
		_ = stop()
		lines := strings.Join(r.of("public.p"), "\n\t")
		if strings.Contains(lines, "delete") || strings.Count(lines, `insert {"id":2}`) != 2 || strings.Count(lines, "gap "+causePartition) != 1 {
			t.Errorf("p was told\n\t%s", lines)
		}
	})
	t.Run("published with the tree", func(t *testing.T) {
		r := newRig(t, `create table p (id int primary key) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`,
			`create table p_2 partition of p for values from (10) to (20)`)
		stop := r.start()
		_ = stop()
		r.exec(`insert into p values (1)`)
		r.exec(`alter table p detach partition p_1`)
		r.exec(`insert into p_1 values (2)`)
		stop = r.start()
		r.compared()
		r.exec(`insert into p_1 values (3)`)
		r.compared()
		_ = stop()
		r.expectOf("public.p", `insert {"id":1} after {"id":1}`, "gap "+causePartition)
		if lines := r.of("public.p_1"); !slices.Equal(lines, []string{`insert {"id":3} after {"id":3}`}) {
			t.Errorf("p_1 was told\n\t%s", strings.Join(lines, "\n\t"))
		}
	})
}
