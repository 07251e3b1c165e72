package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
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

// TestAReinstallUnderWhoReadsEndsHim, and he goes on behind the gap.
func TestAReinstallUnderWhoReadsEndsHim(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`insert into t values (1)`)
	ended := r.reading()
	r.await(1)
	if err := r.source().Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.install()
	r.exec(`insert into t values (2)`)
	r.awaitEnd(ended)
	expect(t, r.wait(3)[1:], `public.t gap reinstalled`, `public.t insert {"id":2} after {"id":2}`)
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

// TestProgressOfBeforeIsOfTheSchemaThatIsThere: nothing is known of another, and from the start on it is.
func TestProgressOfBeforeIsOfTheSchemaThatIsThere(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`insert into t values (1)`)
	r.wait(1)
	p, err := parseProgress(r.progress())
	if err != nil {
		t.Fatal(err)
	}
	p.Meta = 0
	if r.committed, err = p.source(); err != nil {
		t.Fatal(err)
	}
	stop := r.start()
	testrig.Eventually(t, 20*time.Second, func() error {
		p, err := parseProgress(r.progress())
		if here := r.number(`select 'datawatch.meta'::regclass::oid::bigint`); err == nil && int64(p.Meta) != here {
			err = fmt.Errorf("progress is of datawatch.meta %d, which is %d", p.Meta, here)
		}
		return err
	})
	r.exec(`insert into t values (2)`)
	r.await(2)
	_ = stop()
	expect(t, r.captured()[1:], `public.t insert {"id":2} after {"id":2}`)
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

// emptied fills the outbox until what was read of it has been taken away, and gives the id of the last row.
func (r *rig) emptied() (last int) {
	r.t.Helper()
	testrig.Eventually(r.t, time.Minute, func() error {
		r.exec(fmt.Sprintf(`insert into t select %d + g, repeat(md5(g::text), 12) from generate_series(1, 500) g`, last))
		last += 500
		if slot := r.number(`select current from datawatch.queue`); slot < 2 {
			return fmt.Errorf("triggers write to table %d", slot)
		}
		return nil
	})
	testrig.Eventually(r.t, time.Minute, func() error {
		if n := r.number(`select ` + bytesSQL("slot < '2'")); n > 0 {
			return fmt.Errorf("%d bytes aren't emptied", n)
		}
		return nil
	})
	return last
}

// TestWhatTheBrokerLostIsAGap: the database was told of more than the broker knows now, and the outbox emptied.
func TestWhatTheBrokerLostIsAGap(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.limits.rotateBytes = 64 << 10
	r.install()
	stop := r.start()
	r.exec(`insert into t values (-1)`)
	r.await(1)
	r.awaitTold()
	known, before := r.progress(), r.captured()
	lost := r.clock()
	last := r.emptied()
	r.await(1 + last)
	r.awaitTold()
	_ = stop()
	r.mu.Lock()
	r.committed, r.events = known, before
	r.mu.Unlock()
	stop = r.start()
	r.await(2)
	r.exec(`insert into t values (-2)`)
	testrig.Eventually(t, time.Minute, func() error {
		if got := r.captured(); string(got[len(got)-1].Key) != `{"id":-2}` {
			return fmt.Errorf("%d events", len(got))
		}
		return nil
	})
	r.awaitTold()
	_ = stop()
	got := r.captured()
	expect(t, got[1:2], `public.t gap read_further`)
	if g := gapOf(t, got[1]); g.From.After(lost) || g.To.Before(lost) || epochOf(got[1]) <= epochOf(got[0]) {
		t.Errorf("the gap is from %v to %v, and what was lost was written from %v on", g.From, g.To, lost)
	}
	r.exec(`insert into t values (-3)`)
	if again := r.wait(len(got) + 1); epochOf(again[len(got)]) != epochOf(got[1]) {
		t.Errorf("another epoch: %s", again[len(got)].Position())
	}
}

// TestASecondDatawatchEndsTheFirstWhichTellsTheGap: each has a broker of its own, and the one that begins later has the outbox emptied.
// While it reads, the first one refuses to; once it has been silent, the first one goes on behind a gap.
func TestASecondDatawatchEndsTheFirstWhichTellsTheGap(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.limits.rotateBytes = 64 << 10
	r.install()
	r.exec(`insert into t values (-1)`)
	stop := r.start()
	r.await(1)
	r.awaitTold()
	_ = stop()
	var held sync.Mutex // the first one's broker is slow meanwhile
	ended := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		ended <- r.source().Run(ctx, r.progress(), func(ctx context.Context, b source.Batch) error {
			held.Lock()
			defer held.Unlock()
			return r.emit(ctx, b)
		})
	}()
	held.Lock()
	r.exec(`insert into t values (-2)`)
	other := newRigOn(t, r.dsn)
	other.limits = r.limits
	stop = other.start()
	other.await(1)
	expect(t, other.captured()[:1], `public.t gap progress_lost`)
	lost := r.clock()
	other.emptied()
	held.Unlock()
	if err := <-ended; !errors.Is(err, errShared) {
		t.Errorf("the first one ended with %v", err)
	}
	if err := r.source().Run(t.Context(), r.progress(), r.emit); !errors.Is(err, errShared) {
		t.Errorf("while the other one reads it ended with %v", err)
	}
	_ = stop()
	n := r.count()
	r.exec(`update datawatch.progress set told_at = told_at - interval '3 minutes'`)
	stop = r.start()
	r.await(n + 1)
	r.claimed()
	_ = stop()
	got := r.captured()
	expect(t, got[n:n+1], `public.t gap read_further`)
	if g := gapOf(t, got[n]); g.From.After(lost) || g.To.Before(lost) {
		t.Errorf("the gap is from %v to %v, and what the other one has was written from %v on", g.From, g.To, lost)
	}
	again, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	if err := other.source().Run(again, other.progress(), other.emit); !errors.Is(err, errShared) {
		t.Errorf("the other one ended with %v", err)
	}
}

// claimed waits until the database was told of the rig's epoch, which is after the gap that begins it.
func (r *rig) claimed() {
	r.t.Helper()
	p, err := parseProgress(r.progress())
	if err != nil {
		r.t.Fatal(err)
	}
	testrig.Eventually(r.t, 20*time.Second, func() error {
		if r.number(`select count(*) from datawatch.progress where epoch = '`+string(p.Epoch)+`'`) == 0 {
			return errors.New("the database wasn't told of the epoch")
		}
		return nil
	})
}

// TestWhatWasLeftOutBeforeTheFirstStartIsAGapSinceTheInstallation: nobody knows since when it is.
func TestWhatWasLeftOutBeforeTheFirstStartIsAGapSinceTheInstallation(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.exec(`update datawatch.queue set expires = now() - interval '1 hour'`)
	lost := r.clock()
	r.exec(`insert into t select generate_series(1, 3)`)
	got := r.wait(1)
	expect(t, got, `public.t gap outbox_full`)
	if g := gapOf(t, got[0]); g.From.After(lost) || g.To.Before(lost) {
		t.Errorf("the gap is from %v to %v, and what was left out was written at %v", g.From, g.To, lost)
	}
}
