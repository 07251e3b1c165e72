package postgres

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"datawatch/pkg/testrig"
)

// TestWhatPiledUpWhileNobodyReadIsWorkedOffInOrderInBoundedMemory: 50 MB of many transactions, of sessions that overlap, which
// change the same rows again and again.
func TestWhatPiledUpWhileNobodyReadIsWorkedOffInOrderInBoundedMemory(t *testing.T) {
	const sessions, rounds, rows = 4, 18, 200
	r := newRig(t, `create table t (id int primary key, n int not null, v text)`,
		// digits, which compression leaves about as long as they are
		`create schema aside; create table aside.noise as select g as id, (select string_agg(md5(random()::text), '') from generate_series(1, 60) where g > 0) as v from generate_series(0, 99) g`)
	r.config.Exclude = []string{"aside.*"}
	r.exec(fmt.Sprintf(`insert into t select g, 0, '' from generate_series(0, %d) g`, sessions*rows-1))
	r.install()
	var writers errgroup.Group
	for session := range sessions {
		db := r.session()
		writers.Go(func() error {
			for range rounds {
				if _, err := db.Exec(t.Context(), `update t set n = n + 1, v = (select s.v from aside.noise s where s.id = (t.id + t.n) % 100) where id / $1 = $2`, rows, session); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := writers.Wait(); err != nil {
		t.Fatal(err)
	}
	const changes = sessions * rounds * rows
	waiting, err := outboxBytes(t.Context(), r.db)
	if err != nil || waiting < 45<<20 {
		t.Fatalf("%d MiB wait, %v", waiting>>20, err)
	}
	told, last := 0, map[string]int{}
	var peak uint64
	r.fail = func(int) (bool, bool) {
		for _, e := range r.events {
			var row struct{ N int }
			if err := json.Unmarshal(rowChange(t, e).After, &row); err != nil {
				t.Error(err)
			}
			if row.N != last[string(e.Key)]+1 {
				t.Errorf("%s: change %d comes behind %d", e.Key, row.N, last[string(e.Key)])
			}
			last[string(e.Key)] = row.N
		}
		told += len(r.events)
		r.events = nil
		runtime.GC() // what is alive counts
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
		return false, false
	}
	stop := r.start()
	testrig.WhileMoving(t, time.Minute, func() (n int, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if n = told + len(r.events); n < changes {
			err = fmt.Errorf("%d changes of %d", n, changes)
		}
		return n, err
	})
	_ = stop()
	t.Logf("%d MiB waited, at most %d MiB were alive", waiting>>20, peak>>20)
	if peak > 36<<20 {
		t.Errorf("%d MiB were alive", peak>>20)
	}
}
