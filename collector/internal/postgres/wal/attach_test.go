package wal

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// TestRowsThatCameWithAPartitionAreRead, also where it was made in the transaction that attached it, and where what was attached is a branch whose
// partitions were made as such; what a partition got that was made in the tree is told once.
func TestRowsThatCameWithAPartitionAreRead(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			r := newRigOn(t, databaseOn(t, version), `create table p (id int primary key, v text default 'x') partition by range (id)`,
				`create table p_1 partition of p for values from (0) to (10)`,
				`create table branch (id int primary key, v text) partition by range (id)`, `create table branch_1 partition of branch for values from (20) to (30)`,
				`insert into branch values (20, 'x')`)
			r.config.Tables = []string{"public.p"}
			stop := r.start()
			r.exec(`insert into p values (1)`)
			r.await(1)
			r.exec(`begin; create table p_2 (id int primary key, v text); insert into p_2 values (10, 'x'); alter table p attach partition p_2 for values from (10) to (20); commit`)
			r.exec(`alter table p attach partition branch for values from (20) to (40)`)
			r.exec(`begin; create table p_4 partition of p for values from (40) to (50); insert into p values (40); commit`)
			r.exec(`begin; create table deep partition of p for values from (50) to (60) partition by range (id); create table deep_1 partition of deep for values from (50) to (55);
				insert into p values (50); commit`)
			testrig.Eventually(t, time.Minute, func() error {
				got := briefs(t, r.captured())
				for _, id := range []int{10, 20} {
					if want := fmt.Sprintf(`public.p read {"id":%[1]d} after {"id":%[1]d,"v":"x"}`, id); !slices.Contains(got, want) {
						return fmt.Errorf("no %s in\n\t%s", want, strings.Join(got, "\n\t"))
					}
				}
				return nil
			})
			r.exec(`create table branch_2 partition of branch for values from (30) to (40); insert into p values (30)`)
			r.awaitKnown("branch_2")
			r.exec(`insert into p values (2)`)
			r.awaitLast(func(e event.Raw) bool { return string(e.Key) == `{"id":2}` })
			_ = stop()
			told := map[string]int{}
			for _, e := range r.captured() {
				told[string(e.Key)]++
			}
			for _, id := range []int{1, 10, 20, 30, 40, 50, 2} {
				if key := fmt.Sprintf(`{"id":%d}`, id); told[key] != 1 {
					t.Errorf("%s was told %d times", key, told[key])
				}
			}
		})
	}
}

// awaitKnown waits until progress knows of a table.
func (r *rig) awaitKnown(table string) {
	r.t.Helper()
	var oid uint32
	if err := r.db.QueryRow(r.t.Context(), `select $1::text::regclass::oid`, table).Scan(&oid); err != nil {
		r.t.Fatal(err)
	}
	testrig.Eventually(r.t, time.Minute, func() error {
		s, err := parseProgress(r.progress())
		if _, known := s.tables[oid]; err == nil && !known {
			err = fmt.Errorf("%s isn't among %v", table, s.tables)
		}
		return err
	})
}
