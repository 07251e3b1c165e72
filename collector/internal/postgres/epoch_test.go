package postgres

import (
	"fmt"
	"slices"
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

// TestWhatTheDatabaseWasToldTellsWhetherItIsEarlier: the last pack that was told is in the outbox until the database was told of
// its tick; ticks without packs don't count, nor does what another epoch was told.
func TestWhatTheDatabaseWasToldTellsWhetherItIsEarlier(t *testing.T) {
	const epoch, other event.Epoch = "20261122T101500Z", "20261121T101500Z"
	for name, one := range map[string]struct {
		p    progress
		w    whereabouts
		want bool
	}{
		"told of all":                 {progress{Tick: 7, Last: &lastPack{Tick: 7}}, whereabouts{tick: 7}, false},
		"not told, and it is there":   {progress{Tick: 7, Last: &lastPack{Tick: 7}}, whereabouts{tick: 6, holds: true}, false},
		"not told, and it is gone":    {progress{Tick: 7, Last: &lastPack{Tick: 7}}, whereabouts{tick: 6}, true},
		"told of its tick, reclaimed": {progress{Tick: 9, Last: &lastPack{Tick: 7}}, whereabouts{tick: 7}, false},
		"told in another epoch":       {progress{Tick: 7, Last: &lastPack{Tick: 7}}, whereabouts{tick: 8, epoch: other}, true},
		"of an earlier program":       {progress{Tick: 7}, whereabouts{tick: 6}, false},
		"in an open tick, and there":  {progress{Tick: 7, Last: &lastPack{Tick: 7}, Open: &openTick{Last: &lastPack{Tick: 8}}}, whereabouts{tick: 7, holds: true}, false},
		"in an open tick, and gone":   {progress{Tick: 7, Last: &lastPack{Tick: 7}, Open: &openTick{Last: &lastPack{Tick: 8}}}, whereabouts{tick: 7}, true},
		"another timeline":            {progress{Tick: 7, Timeline: 1, Last: &lastPack{Tick: 7}}, whereabouts{tick: 6, timeline: 2, holds: true}, true},
		"another timeline, told":      {progress{Tick: 7, Timeline: 1, Last: &lastPack{Tick: 7}}, whereabouts{tick: 7, timeline: 2}, false},
		"earlier transaction ids":     {progress{Tick: 7, Snapshot: snapshot{xmax: 11}}, whereabouts{tick: 7}, true},
	} {
		one.p.Epoch = epoch
		if one.w.epoch == "" {
			one.w.epoch = epoch
		}
		if got := one.p.rewound(one.w, snapshot{xmax: 10}); got != one.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestAMarkWhoseIDMayBeAnothersIsForgotten: a crash gives out again the ids that no snapshot has seen end.
func TestAMarkWhoseIDMayBeAnothersIsForgotten(t *testing.T) {
	from := progress{Install: "one", Tick: 7, Snapshot: snapshot{xmin: 9, xmax: 9}, Marks: marks{{xid: 3, seq: 30}, {xid: 8, seq: 80}, {xid: 9, seq: 90}}}
	p, missing := begin(&from, whereabouts{install: "one", tick: 7}, snapshot{xmin: 20, xmax: 20}, time.Now())
	if missing != nil || !slices.Equal(p.Marks, marks{{xid: 3, seq: 30}, {xid: 8, seq: 80}}) {
		t.Errorf("%v, %v", p.Marks, missing)
	}
	if low := p.Marks.before(9); low != 80 {
		t.Errorf("what the next transaction wrote is looked for behind %d", low)
	}
}
