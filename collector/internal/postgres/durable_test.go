package postgres

import (
	"fmt"
	"slices"
	"testing"

	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/postgres"
)

// TestWhatACrashUndoesIsNotTold: a commit that doesn't wait for the disk is seen before it is safe. What was told of it is there
// after a crash of the server, and once; the ids that the crash gives out again aren't taken for a restored backup.
func TestWhatACrashUndoesIsNotTold(t *testing.T) {
	private := testrig.PrivatePostgres(t, postgres.Options{Settings: map[string]string{"wal_writer_delay": "10s", "autovacuum": "off"}})
	if err := private.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, private.DSN("shop"), `create table t (id int primary key)`)
	r.install()
	for round := range 5 {
		stop := r.start()
		for i := range 3 { // the last is told between two rounds of maintenance, which waits for the disk
			told := r.count()
			r.exec(fmt.Sprintf(`set synchronous_commit = off; insert into t values (%d)`, 10*round+i))
			r.exec(`begin; insert into t values (-1); rollback`)
			r.await(told + 1)
		}
		if err := private.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = stop()
		if err := private.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.db = r.session()
		r.isTold(t, false)
	}
	stop := r.start()
	r.await(int(r.number(`select count(*) from t`)))
	_ = stop()
	r.isTold(t, true)
}

// TestAReaderThatMayNotHaveTheWALWrittenWaitsForIt: the right is everybody's where nobody revoked it.
func TestAReaderThatMayNotHaveTheWALWrittenWaitsForIt(t *testing.T) {
	private := testrig.PrivatePostgres(t, postgres.Options{Settings: map[string]string{"wal_writer_delay": "1s", "autovacuum": "off"}})
	if err := private.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, private.DSN("shop"), `create table t (id int primary key)`, `create role reader login password 'x'`,
		`do $$ begin execute (select string_agg(format('revoke execute on function %s from public', oid::regprocedure), ';')
			from pg_proc where proname = 'pg_logical_emit_message'); end $$`)
	r.config.InstallDSN, r.config.DSN = r.config.DSN, r.as("reader", "x")
	r.install()
	_ = r.start()
	for i := range 5 {
		r.exec(fmt.Sprintf(`set synchronous_commit = off; insert into t values (%d)`, i))
		r.await(i + 1)
	}
}

// isTold compares what was told with what the table t has: all of it, or no more than that.
func (r *rig) isTold(t *testing.T, all bool) {
	t.Helper()
	var want []string
	for id := range r.number(`select coalesce(max(id) + 1, 0) from t`) {
		if r.number(fmt.Sprintf(`select count(*) from t where id = %d`, id)) == 1 {
			want = append(want, fmt.Sprintf(`public.t insert {"id":%d} after {"id":%d}`, id, id))
		}
	}
	var got []string
	for _, e := range r.captured() {
		got = append(got, brief(t, e))
	}
	slices.Sort(got)
	slices.Sort(want)
	if all && !slices.Equal(got, want) {
		t.Fatalf("told %q of %q", got, want)
	}
	for _, one := range got {
		if !slices.Contains(want, one) {
			t.Fatalf("told %s, which the database hasn't: it has %q", one, want)
		}
	}
}

// TestAServerThatDoesntTellPlacesIsRefused: nothing is installed that would fail in the application's sessions. A role that may not ask
// meets what all do of a service without such functions.
func TestAServerThatDoesntTellPlacesIsRefused(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `drop role if exists dw_test_unplaced; create role dw_test_unplaced login password 'x'; grant trigger on t to dw_test_unplaced`,
		`do $$ begin execute format('grant create on database %I to dw_test_unplaced', current_database()); end $$`,
		`revoke execute on function pg_current_wal_insert_lsn() from public`)
	r.config.DSN = r.as("dw_test_unplaced", "x")
	for what, err := range map[string]error{
		"install": r.source().Install(t.Context()),
		"run":     r.source().Run(t.Context(), r.progress(), r.emit),
		"check":   r.source().Check(t.Context())[1].Err,
	} {
		if why, do := reason.Of(err); why.Code != reason.NoPlaces || do.Code != reason.DoNoPlaces {
			t.Errorf("%s: %v", what, err)
		}
	}
	if r.number(`select count(*) from pg_namespace where nspname = 'datawatch'`) != 0 {
		t.Error("something is installed")
	}
}
