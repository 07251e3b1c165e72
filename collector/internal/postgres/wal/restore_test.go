package wal

import (
	"maps"
	"slices"
	"testing"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	servers "datawatch/pkg/testrig/postgres"
)

// TestAServerWithoutItsLastChangesIsANewEpochWithAGap: one that was restored from an earlier copy of its files, and a standby,
// with the slot, that is promoted without the last changes. A standby that has everything goes on where the other one was.
func TestAServerWithoutItsLastChangesIsANewEpochWithAGap(t *testing.T) {
	dir := testrig.PostgresDir(t)
	primary := testrig.PrivatePostgres(t, servers.Options{Dir: dir})
	if err := primary.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, primary.DSN("shop"), `create table t (id int primary key)`)
	r.exec(`insert into t values (0)`)
	r.install()
	r.exec(`insert into t values (1)`)
	r.wait(1)
	if err := primary.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	earlier, earlierStandby := testrig.CopyPostgres(t, dir, false), testrig.CopyPostgres(t, dir, true)
	if err := primary.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.db = r.session()
	r.exec(`insert into t select generate_series(2, 1001)`)
	r.wait(1001)
	if err := primary.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	complete := testrig.CopyPostgres(t, dir, true)
	before := r.captured()
	for name, one := range map[string]struct {
		dir      string
		promoted bool
		gap      bool
	}{
		"restore":                    {earlier, false, true},
		"failover":                   {earlierStandby, true, true},
		"failover that lost nothing": {complete, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := testrig.PrivatePostgres(t, servers.Options{Dir: one.dir})
			r2 := newRigOn(t, server.DSN("shop"))
			r2.committed = maps.Clone(r.committed)
			if one.promoted {
				r2.exec(`select pg_promote()`)
			}
			stop := r2.start()
			if one.gap {
				r2.awaitLast(func(e event.Raw) bool { return e.Type == event.GapType })
			}
			r2.exec(`insert into t values (2000)`)
			r2.awaitLast(func(e event.Raw) bool { return string(e.Key) == `{"id":2000}` })
			_ = stop()
			// The slot may have begun with what the copy had not noted as read: that is told again, in the new epoch.
			got := slices.DeleteFunc(r2.captured(), func(e event.Raw) bool { return string(e.Key) == `{"id":1}` })
			want := []string{`public.t insert {"id":2000} after {"id":2000}`}
			if one.gap {
				want = append([]string{`public.t gap ` + causeRestored}, want...)
			}
			expect(t, got, want...)
			if later := epochOf(got[0].Position()) > epochOf(before[0].Position()); later != one.gap {
				t.Errorf("positions %s, %s", before[0].Position(), got[0].Position())
			}
		})
	}
}
