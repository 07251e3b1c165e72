package wal

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/model"
)

// changes are events as a replay takes them.
func changes(t *testing.T, events []event.Raw) []model.Change {
	t.Helper()
	all := make([]model.Change, len(events))
	for i, e := range events {
		var err error
		if all[i], err = model.OfRaw(e); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// replay gives the rows that events leave behind, of tables that were empty, or of which nothing is known at first.
func replay(t *testing.T, events []event.Raw, unknown bool) map[event.Stream]map[string]string {
	t.Helper()
	all := changes(t, events)
	if err := model.Whole(all); err != nil {
		t.Fatal(err)
	}
	state, err := model.Replay{Unknown: unknown, Partial: true}.Tables(all)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// holds compares the model's tables with what a replay of their events gave.
func (r *rig) holds(state map[event.Stream]map[string]string) {
	r.t.Helper()
	for _, table := range model.Tables {
		rows, err := model.Contents(r.t.Context(), r.db, table)
		if err == nil {
			err = model.Equal(rows, state[r.stream(table)])
		}
		if err != nil {
			r.t.Errorf("%s: %v", table, err)
		}
	}
}

// TestKilledCollectorLosesNothing: several sessions write whatever they like while the collector is stopped, its sessions
// are cut and its broker fails at random; replaying the events then gives each table exactly, and each change once.
func TestKilledCollectorLosesNothing(t *testing.T) {
	r := newRig(t, append(slices.Clone(model.DDL), model.Identities)...)
	r.install()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var mu sync.Mutex
	r.fail = func(int) (bool, bool) {
		mu.Lock()
		defer mu.Unlock()
		n := rng.IntN(30)
		return n == 0, n == 1
	}
	writing, stopWriting := context.WithTimeout(t.Context(), testrig.Soak())
	var writers sync.WaitGroup
	defer func() { stopWriting(); writers.Wait() }()
	for i := range 6 {
		db := r.session()
		writers.Go(func() {
			if err := (model.Writer{Bulk: 400}).Run(writing, db, rand.New(rand.NewPCG(seed, uint64(i+1)))); err != nil {
				t.Error(err)
			}
		})
	}
	runs, cut := 0, 0
	for writing.Err() == nil {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(200+rng.IntN(1500))*time.Millisecond)
		r.limits.batchEvents = 1 + rng.IntN(500)
		if rng.IntN(3) == 0 {
			cut++
			go r.cut(ctx)
		}
		err := r.source().Run(ctx, r.progress(), r.emit)
		cancel()
		runs++
		if err == nil {
			t.Fatal("run ended with nothing")
		}
	}
	writers.Wait()
	mu.Lock()
	r.fail = nil
	mu.Unlock()

	r.limits = defaultLimits
	r.exec(`insert into a values (-1, 'done')`)
	stop := r.start()
	r.awaitLast(func(e event.Raw) bool { return string(e.Key) == `{"id":-1}` })
	_ = stop()
	events := r.captured()
	r.holds(replay(t, events, false))
	t.Logf("%d events in %d batches of %d runs, %d of them cut", len(events), r.batches, runs, cut)
}

// cut ends the source's sessions, as a network does that breaks.
func (r *rig) cut(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(300 * time.Millisecond):
	}
	db := r.session0()
	if db == nil {
		return
	}
	defer func() { _ = db.Close(context.Background()) }()
	_, _ = db.Exec(context.Background(), `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = $1`, applicationName)
}

// session0 is a session of a goroutine's own; nil where there is none to be had.
func (r *rig) session0() *pgx.Conn {
	db, err := pgx.Connect(context.Background(), r.dsn)
	if err != nil {
		r.t.Error(err)
		return nil
	}
	return db
}
