package wal

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/testrig"
)

// hold has another session run something in a transaction that stays open.
func (r *rig) hold(sql string) (other *pgx.Conn) {
	r.t.Helper()
	other = r.session()
	if _, err := other.PgConn().Exec(r.t.Context(), `begin; `+sql).ReadAll(); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
	return other
}

// TestATableThatIsLockedHoldsUpNoOther that loses its replica identity: not a partition tree whose root or partition is locked, which
// had to be taken out itself, nor one that had not.
func TestATableThatIsLockedHoldsUpNoOther(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		for name, one := range map[string]struct{ locked, lost string }{
			"a root that has to go":    {`lock table only tree in share update exclusive mode`, `alter table low replica identity nothing`},
			"a partition of its tree":  {`lock table high in share update exclusive mode`, `alter table low replica identity nothing; update low set v = 2`},
			"a partition, exclusively": {`lock table high`, `alter table low replica identity nothing; update low set v = 2`},
			"a tree that is fine":      {`lock table tree`, ``},
		} {
			t.Run(strings.TrimSpace(name+" "+version), func(t *testing.T) {
				r := newRigOn(t, databaseOn(t, version), `create table keyed (id int primary key, v int)`, `insert into keyed values (1, 1)`,
					`create table tree (id int primary key, v int) partition by range (id)`, `create table low partition of tree for values from (0) to (10)`,
					`create table high partition of tree for values from (10) to (20)`, `insert into tree values (1, 1), (11, 1)`)
				r.install()
				locker := r.hold(one.locked)
				r.exec(one.lost)
				r.exec(`alter table keyed drop constraint keyed_pkey; update keyed set v = 2`)
				stop := r.start()
				r.exec(`create table later (id int primary key)`)
				r.awaitPublished("later", r.source().names.all)
				if _, err := locker.Exec(t.Context(), `commit`); err != nil {
					t.Fatal(err)
				}
				r.awaitPutRight()
				r.exec(`update tree set v = 3`)
				testrig.Eventually(t, time.Minute, func() error {
					want := `public.tree update {"id":11} after {"id":11,"v":3} incomplete {"before":"unavailable"}`
					if lines := strings.Join(briefs(t, r.captured()), "\n"); !strings.Contains(lines, want) {
						return fmt.Errorf("no %s in\n%s", want, lines)
					}
					return nil
				})
				_ = stop()
			})
		}
	}
}

// TestATruncateIsReadThoughAPartitionIsLocked: nobody who reads the catalog waits for it.
func TestATruncateIsReadThoughAPartitionIsLocked(t *testing.T) {
	r := newRig(t, `create table tree (id int primary key) partition by range (id)`, `create table low partition of tree for values from (0) to (10)`,
		`create table high partition of tree for values from (10) to (20)`)
	stop := r.start()
	_ = stop()
	r.exec(`truncate tree; truncate low`)
	r.hold(`lock table high in access exclusive mode`)
	expect(t, r.wait(2), `public.tree truncate -`, `public.tree gap partition_changed`)
}

// TestANewTableThatIsLockedIsFollowedLikeAnyOther, though its size can't be asked for.
func TestANewTableThatIsLockedIsFollowedLikeAnyOther(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	stop := r.start()
	_ = stop()
	r.exec(`create table u (id int primary key); alter publication ` + r.source().names.all + ` add table u; insert into u values (1)`)
	r.hold(`lock table u in access exclusive mode`)
	expect(t, r.wait(2), `public.u insert {"id":1} after {"id":1}`, `public.u gap table_new`)
}

// TestNobodyHoldsUpPublishing who takes the lock by which those who install wait for one another: it takes no right.
func TestNobodyHoldsUpPublishing(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.hold(`set role ` + r.role("_a", "") + `; select pg_advisory_lock(hashtext('datawatch'))`)
	stop := r.start()
	r.exec(`create table u (id int primary key)`)
	r.awaitPublished("u", r.source().names.all)
	_ = stop()
	if err := r.source().Remove(t.Context()); err != nil {
		t.Error(err)
	}
}
