package postgres

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

// replay gives the rows that events leave behind, of tables that were empty.
func replay(t *testing.T, events []event.Raw) map[event.Stream]map[string]string {
	t.Helper()
	state, err := model.Replay{}.Tables(changes(t, events))
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// checkIndexes: the events of a transaction count from zero, without holes.
func checkIndexes(t *testing.T, events []event.Raw) {
	t.Helper()
	if err := model.Whole(changes(t, events)); err != nil {
		t.Fatal(err)
	}
}

// contents are the rows of a table, by key.
func contents(t *testing.T, db *pgx.Conn, table string) map[string]string {
	t.Helper()
	all, err := model.Contents(t.Context(), db, table)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// holds compares tables with what a replay of their events gave.
func (r *rig) holds(state map[event.Stream]map[string]string, tables ...string) {
	r.t.Helper()
	for _, table := range tables {
		if err := model.Equal(contents(r.t, r.db, table), state[event.StreamOf("shop-db", "public."+table)]); err != nil {
			r.t.Errorf("%s: %v", table, err)
		}
	}
}

// TestKilledCollectorLosesNothing: several sessions write whatever they like while the collector is stopped and its broker
// fails at random; replaying the events then gives each table exactly, and each change once.
func TestKilledCollectorLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, append(slices.Clone(model.DDL), model.Swaps)...)
	r.install()
	r.exec(model.StockSwaps)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var mu sync.Mutex
	r.fail = func(int) (bool, bool) {
		mu.Lock()
		defer mu.Unlock()
		n := rng.IntN(20)
		return n == 0, n == 1
	}

	writing, stopWriting := context.WithTimeout(t.Context(), testrig.Soak())
	var writers sync.WaitGroup
	defer func() { stopWriting(); writers.Wait() }()
	for i := range 6 {
		db := r.session()
		writers.Go(func() {
			if err := (model.Writer{Swaps: true, Bulk: 400}).Run(writing, db, rand.New(rand.NewPCG(seed, uint64(i+1)))); err != nil {
				t.Error(err)
			}
		})
	}
	runs := 0
	for writing.Err() == nil {
		r.limits = limits{pagePacks: 1 + rng.IntN(50), pageBytes: 4 << 20, batchEvents: 1 + rng.IntN(500), batchBytes: 1 << 20, rotateBytes: 128 << 10}
		r.runFor(time.Duration(50+rng.IntN(1500)) * time.Millisecond)
		runs++
	}
	writers.Wait()
	mu.Lock()
	r.fail = nil
	mu.Unlock()

	r.limits = defaultLimits
	events := r.drained()
	r.holds(replay(t, events), append(slices.Clone(model.Tables), "swaps")...)
	checkIndexes(t, events)
	// Numbers of the files: what was emptied has another.
	emptied := r.number(`select count(*) from pg_class where relnamespace = 'datawatch'::regnamespace and relname ~ '^(outbox|single)_[0-9]$' and relfilenode <> oid`)
	t.Logf("%d events in %d batches of %d runs, %d tables were emptied", len(events), r.batches, runs, emptied)
}
