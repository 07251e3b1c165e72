package postgres

import (
	"fmt"
	"maps"
	"testing"
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
