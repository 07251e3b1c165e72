package wal

import (
	"slices"
	"testing"

	"datawatch/collector/internal/source/backfill"
)

// TestSnapshotHasTheKeyOfTheStream, also of a primary key on a stored generated column, which servers from 18 on send.
func TestSnapshotHasTheKeyOfTheStream(t *testing.T) {
	r := newRigOn(t, databaseOn(t, "18"), `create table t (a int, k int generated always as (a * 10) stored primary key); insert into t values (1), (2)`)
	r.config.Snapshot = "initial"
	stop := r.start()
	r.awaitEnded(backfill.InitialID)
	r.exec(`update t set a = 3 where a = 2`)
	r.await(4)
	_ = stop()
	expect(t, r.captured(), `public.t read {"k":10} after {"a":1,"k":10}`, `public.t read {"k":20} after {"a":2,"k":20}`,
		`public.t delete {"k":20} before {"k":20} after {"a":3,"k":30} moved_to incomplete {"before":"unavailable"}`,
		`public.t insert {"k":30} before {"k":20} after {"a":3,"k":30} moved_from incomplete {"before":"unavailable"}`)
}

// TestSnapshotPassesATableThatTheStreamSendsNoColumnOf, since they are all generated, or there are none.
func TestSnapshotPassesATableThatTheStreamSendsNoColumnOf(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			r := newRigOn(t, databaseOn(t, version), `create table a (c int generated always as (1) stored); insert into a default values`,
				`create table b (); insert into b default values`, `create table t (id int primary key); insert into t values (1)`)
			r.config.Snapshot = "initial"
			stop := r.start()
			job := r.awaitEnded(backfill.InitialID)
			_ = stop()
			if problems := job.Problems(); len(problems) > 0 {
				t.Error(problems)
			}
			for table, want := range map[string]string{"public.a": `- after {"c":1}`, "public.b": `- after {}`, "public.t": `{"id":1} after {"id":1}`} {
				if got := r.reads(table); !slices.Equal(got, []string{want}) {
					t.Errorf("%s: %q", table, got)
				}
			}
		})
	}
}
