package postgres

import (
	"fmt"
	"testing"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

func epochOf(e event.Raw) string { return e.Position()[:16] }

func TestAReinstallIsANewEpochWithAGap(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`insert into t values (1)`)
	first := r.wait(1)[0]
	if err := r.source().Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.install()
	r.exec(`insert into t values (2)`)
	got := r.wait(3)
	expect(t, got[1:], `public.t gap reinstalled`, `public.t insert {"id":2} after {"id":2}`)
	if epochOf(got[1]) <= epochOf(first) || got[2].Position() <= got[1].Position() {
		t.Errorf("positions %s, %s, %s", first.Position(), got[1].Position(), got[2].Position())
	}
}

func TestADatabaseThatWentBackIsANewEpochWithAGap(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`insert into t values (1)`)
	r.wait(1)
	p, err := parseProgress(r.progress())
	if err != nil {
		t.Fatal(err)
	}
	p.Snapshot.xmax += 1000000 // seen by a server that is no more
	if r.committed, err = p.source(); err != nil {
		t.Fatal(err)
	}
	stop := r.start()
	r.await(2)
	r.exec(`insert into t values (2)`)
	r.await(3)
	_ = stop()
	expect(t, r.captured()[1:], `public.t gap restored`, `public.t insert {"id":2} after {"id":2}`)
}

func TestADumpOnAnotherServerIsNotTakenForItsOwn(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`insert into t values (1)`)
	r.wait(1)
	r.exec(`insert into t values (2)`)
	r.exec(`update datawatch.meta set server = '1/1'`) // as in a dump of another server's database
	stop := r.start()
	r.await(2)
	r.exec(`insert into t values (3)`)
	r.await(3)
	_ = stop()
	expect(t, r.captured()[1:], `public.t gap reinstalled`, `public.t insert {"id":3} after {"id":3}`)
}

func TestLostProgressGoesOnWhereTheDatabaseWasTold(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`insert into t values (1)`)
	stop := r.start()
	testrig.Eventually(t, 10*time.Second, func() error {
		var tick int64
		if err := r.db.QueryRow(t.Context(), `select tick from datawatch.progress`).Scan(&tick); err != nil || tick == 0 {
			return fmt.Errorf("told tick %d, %w", tick, err)
		}
		return nil
	})
	_ = stop()
	r.exec(`insert into t values (2)`)
	r.committed = source.Progress{}
	expect(t, r.wait(3)[1:], `public.t gap progress_lost`, `public.t insert {"id":2} after {"id":2}`)
}
