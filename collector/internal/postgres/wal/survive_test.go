package wal

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	servers "datawatch/pkg/testrig/postgres"
)

// TestATransactionThatIsPreparedIsToldWhenItIsCommitted, also where the collector and the server were started anew in between; one that is
// rolled back never, nor what a savepoint undid.
func TestATransactionThatIsPreparedIsToldWhenItIsCommitted(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			server := testrig.PrivatePostgres(t, servers.Options{Version: version, Settings: map[string]string{
				"wal_level": "logical", "max_prepared_transactions": "4", "logical_decoding_work_mem": "64kB", "fsync": "off",
			}})
			if err := server.CreateDatabase(t.Context(), "shop"); err != nil {
				t.Fatal(err)
			}
			r := newRigOn(t, server.DSN("shop"), `create table t (id int primary key, v text)`)
			stop := r.start()
			r.exec(`begin; insert into t select g, repeat('x', 100) from generate_series(1, 2000) g; prepare transaction 'kept'`)
			r.exec(`begin; insert into t select g, repeat('x', 100) from generate_series(10000, 12000) g; prepare transaction 'dropped'`)
			r.exec(`begin; insert into t values (5000, 'a'); savepoint s; insert into t select g, repeat('x', 100) from generate_series(20000, 120000) g; rollback to s; insert into t values (5001, 'b'); commit`)
			r.await(2)
			_ = stop()
			if err := server.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.db = r.session()
			stop = r.start()
			r.exec(`rollback prepared 'dropped'`)
			r.exec(`commit prepared 'kept'`)
			r.exec(`insert into t values (9999, 'last')`)
			r.awaitLast(func(e event.Raw) bool { return string(e.Key) == `{"id":9999}` })
			_ = stop()
			got := r.captured()
			if len(got) != 2003 || string(got[1].Key) != `{"id":5001}` || string(got[2].Key) != `{"id":1}` || string(got[2001].Key) != `{"id":2000}` {
				t.Errorf("%d events", len(got))
			}
		})
	}
}

// TestAServerThatCrashesInALargeTransactionLosesNothing.
func TestAServerThatCrashesInALargeTransactionLosesNothing(t *testing.T) {
	server := testrig.PrivatePostgres(t, servers.Options{Settings: map[string]string{"wal_level": "logical", "logical_decoding_work_mem": "64kB"}})
	if err := server.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, server.DSN("shop"), `create table t (id int primary key, v text)`)
	r.limits.batchEvents = 500
	r.install()
	const rows = 30000
	r.exec(fmt.Sprintf(`insert into t select g, repeat('x', 100) from generate_series(1, %d) g`, rows))
	stop := r.start()
	r.await(1000)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = stop() // one run at a time: it still has what came before
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.db = r.session()
	stop = r.start()
	r.exec(`insert into t values (0, 'last')`)
	r.awaitLast(func(e event.Raw) bool { return string(e.Key) == `{"id":0}` })
	_ = stop()
	got := r.captured()
	if len(got) != rows+1 {
		t.Fatalf("%d events", len(got))
	}
	for i, e := range got[:rows] {
		if string(e.Key) != fmt.Sprintf(`{"id":%d}`, i+1) {
			t.Fatalf("event %d is %s", i, brief(t, e))
		}
	}
}

// TestASnapshotGoesOnBehindARowThatCantBeRead: JSON that is nested deeper than anybody reads.
func TestASnapshotGoesOnBehindARowThatCantBeRead(t *testing.T) {
	const deep = `(repeat('[', 12000) || repeat(']', 12000))::json`
	r := newRig(t, `create table t (id int primary key, v json)`, `insert into t values (1, null), (2, `+deep+`), (3, null)`)
	r.config.Snapshot = "initial"
	stop := r.start()
	testrig.Eventually(t, time.Minute, func() error {
		if lines := strings.Join(briefs(t, r.captured()), "\n"); !strings.Contains(lines, `read {"id":3}`) {
			return fmt.Errorf("%.500s", lines)
		}
		return nil
	})
	r.exec(`insert into t values (4, ` + deep + `), (5, null)`)
	r.awaitLast(func(e event.Raw) bool { return string(e.Key) == `{"id":5}` })
	_ = stop()
	expect(t, r.captured(), `public.t read {"id":1} after {"id":1,"v":null}`, `public.t gap unreadable`, `public.t read {"id":3} after {"id":3,"v":null}`,
		`public.t gap unreadable`, `public.t insert {"id":5} after {"id":5,"v":null}`)
}
