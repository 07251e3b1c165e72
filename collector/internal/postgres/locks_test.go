package postgres

import (
	"slices"
	"strings"
	"testing"
)

// TestALockOfATreesRowTriggerIsToldOfEachPartition: PostgreSQL makes a row trigger of a root on each of its partitions too, with the lock.
func TestALockOfATreesRowTriggerIsToldOfEachPartition(t *testing.T) {
	r := newRig(t, `create table tree (id int primary key, p int references tree on delete cascade) partition by range (id); create table tree0 partition of tree for values from (0) to (10)`)
	look := r.session()
	check := func() {
		t.Helper()
		steps, err := r.source().Plan(t.Context())
		if err != nil || len(steps) == 0 {
			t.Fatal(steps, err)
		}
		for _, group := range Groups(steps) {
			var before []string
			r.exec(`begin`)
			for _, s := range group {
				r.exec(s.SQL)
				var held []string
				if err := look.QueryRow(t.Context(), `select coalesce(array_agg(distinct c.relname::text order by c.relname::text), '{}') from pg_locks l join pg_class c on c.oid = l.relation
					where l.pid = $1 and c.relnamespace = 'public'::regnamespace and l.mode in ('ShareRowExclusiveLock', 'AccessExclusiveLock') and c.relkind in ('r', 'p')`, r.db.PgConn().PID()).Scan(&held); err != nil {
					t.Fatal(err)
				}
				for _, table := range held {
					if !slices.Contains(before, table) && !strings.Contains(s.Lock, `"`+table+`"`) {
						t.Errorf("%.60q locks %s, and tells %q", s.SQL, table, s.Lock)
					}
					if !slices.Contains(before, table) && s.Table != `"public"."`+table+`"` && s.Bound() == "" {
						t.Errorf("%.60q locks %s without a bound", s.SQL, table)
					}
				}
				before = held
			}
			r.exec(`commit`)
		}
	}
	check()
	r.exec(`alter table tree drop constraint tree_p_fkey`)
	check()
}
