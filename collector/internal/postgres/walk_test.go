package postgres

import (
	"slices"
	"testing"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// midway has sql run when so many rows of a table were read by a snapshot, before the next ones are.
func (r *rig) midway(id string, rows int64, sql string) {
	done := false
	r.fail = func(int) (bool, bool) {
		if job := backfillJob(r.committed, id); !done && job != nil && job.Current() != nil && job.Current().Rows >= rows {
			done = true
			r.exec(sql)
		}
		return false, false
	}
}

// distinct are the keys of the reads of a stream.
func (r *rig) distinct(entity string) []string {
	_, keys := r.reads("shop-db/" + event.Stream(entity))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// TestAKeyWhoseOrderIsAlteredIsWalkedAnew: behind the last row in one order there are others than in another.
func TestAKeyWhoseOrderIsAlteredIsWalkedAnew(t *testing.T) {
	r := newRig(t, `create table k (id text collate "C" primary key)`,
		`insert into k select chr(c + g % 26) || g from generate_series(0, 99) g, unnest(array[65, 97]) c`)
	r.install()
	id := r.ask("")
	r.limits.chunkRows = 10
	r.midway(id, 60, `alter table k alter column id type text collate "en-x-icu"`)
	stop := r.start()
	job := r.awaitEnded(id)
	_ = stop()
	if keys := r.distinct("public.k"); len(keys) != 200 {
		t.Errorf("%d of 200 rows were read: %+v", len(keys), job.Parts[0])
	}
}

// TestAConstraintThatIsNotValidMakesNoKey: PostgreSQL 18 knows NOT NULL that rows of before needn't keep, and they are read as well.
func TestAConstraintThatIsNotValidMakesNoKey(t *testing.T) {
	r := newRigOn(t, testrig.PostgresVersion(t, "18").Database(t), `create table k (id int unique, v text)`,
		`insert into k select g, 'v' from generate_series(1, 50) g`, `insert into k select null, 'n' || g from generate_series(1, 20) g`,
		`alter table k add constraint given not null id not valid`)
	r.install()
	r.limits.chunkRows = 10
	snapshot := func(note string, want int) {
		t.Helper()
		before, _ := r.reads("shop-db/public.k")
		id := r.ask("")
		stop := r.start()
		job := r.awaitEnded(id)
		_ = stop()
		if rows, keys := r.reads("shop-db/public.k"); len(rows)-len(before) != want || job.Parts[0].Note != note || keys[len(rows)-1] == "" != (note != "") {
			t.Errorf("%d rows of %d were read, the last one with the key %q: %+v", len(rows)-len(before), want, keys[len(rows)-1], job.Parts[0])
		}
	}
	snapshot(noteKeyless, 70)
	r.exec(`delete from k where id is null; alter table k validate constraint given`)
	snapshot("", 50)
}
