package wal

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// shuffle writes to tables that it drops, makes, renames and swaps meanwhile, each row once.
type shuffle struct {
	names []string
	there map[string]bool
	row   int
}

func (s *shuffle) some(rng *rand.Rand, there bool) (name string) {
	for _, i := range rng.Perm(len(s.names)) {
		if s.there[s.names[i]] == there {
			return s.names[i]
		}
	}
	return ""
}

// next is the SQL of a transaction.
func (s *shuffle) next(rng *rand.Rand) string {
	is, free := s.some(rng, true), s.some(rng, false)
	switch n := rng.IntN(20); {
	case is == "":
		s.there[free] = true
		return "create table " + free + " (id int primary key)"
	case n == 0:
		s.there[is] = false
		return "drop table " + is
	case n == 1 && free != "":
		s.there[free] = true
		return "create table " + free + " (id int primary key)"
	case n == 2 && free != "":
		s.there[is], s.there[free] = false, true
		return "alter table " + is + " rename to " + free
	case n == 3:
		s.row++
		return fmt.Sprintf("drop table %[1]s; create table %[1]s (id int primary key); insert into %[1]s values (%[2]d)", is, s.row)
	case n == 4:
		if other := s.some(rng, true); other != is {
			return fmt.Sprintf("alter table %[1]s rename to aside; alter table %[2]s rename to %[1]s; alter table aside rename to %[2]s", is, other)
		}
	}
	s.row++
	return fmt.Sprintf("insert into %s values (%d)", is, s.row)
}

// TestNamesThatChangeHandsLeaveNoRowsBehind, whoever is stopped or slow meanwhile: a stream has the rows that its table has, or, behind a gap,
// some of them.
func TestNamesThatChangeHandsLeaveNoRowsBehind(t *testing.T) {
	r := newRig(t)
	r.install()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := &shuffle{names: []string{"a", "b", "c", "d"}, there: map[string]bool{}}
	writing, stopWriting := context.WithTimeout(t.Context(), testrig.Soak())
	defer stopWriting()
	var writer sync.WaitGroup
	db := r.session()
	writer.Go(func() {
		rng := rand.New(rand.NewPCG(seed, 1))
		for writing.Err() == nil {
			sql := s.next(rng)
			if _, err := db.PgConn().Exec(context.Background(), sql).ReadAll(); err != nil {
				t.Errorf("%s: %v", sql, err)
				return
			}
			time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
		}
	})
	rng := rand.New(rand.NewPCG(seed, 2))
	for writing.Err() == nil {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(500+rng.IntN(8000))*time.Millisecond)
		r.limits.batchEvents = 1 + rng.IntN(5)
		slow := time.Duration(rng.IntN(3)*100) * time.Millisecond
		r.mu.Lock()
		r.fail = func(int) (bool, bool) { time.Sleep(slow); return false, false }
		r.mu.Unlock()
		if err := r.source().Run(ctx, r.progress(), r.emit); err == nil {
			t.Fatal("run ended with nothing")
		}
		cancel()
	}
	writer.Wait()
	r.fail, r.limits = nil, defaultLimits
	r.limits.heartbeat = 200 * time.Millisecond
	r.exec(`create table last (id int primary key)`)
	stop := r.start()
	r.awaitPublished("last", r.source().names.all)
	r.exec(`insert into last values (1)`)
	r.awaitLast(func(e event.Raw) bool { return e.Stream.Entity() == "public.last" })
	r.awaitKnown("last")
	_ = stop()
	told, gaps := map[string]map[string]bool{}, map[string]bool{}
	for _, e := range r.captured() {
		name := e.Stream.Entity()
		if e.Type == event.GapType {
			gaps[name] = true
			continue
		}
		switch rowChange(t, e).Op {
		case event.Truncate:
			delete(told, name)
			delete(gaps, name)
		case event.Insert:
			if told[name] == nil {
				told[name] = map[string]bool{}
			}
			told[name][string(e.Key)] = true
		default:
			t.Errorf("%s", brief(t, e))
		}
	}
	for _, name := range s.names {
		held := map[string]bool{}
		if s.there[name] {
			rows, err := r.db.Query(t.Context(), "select '{\"id\":' || id || '}' from "+name)
			if err != nil {
				t.Fatal(err)
			}
			keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range keys {
				held[key] = true
			}
		}
		for _, key := range slices.Sorted(maps.Keys(told["public."+name])) {
			if !held[key] {
				t.Errorf("%s has no row %s that was told", name, key)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(held)) {
			if !told["public."+name][key] && !gaps["public."+name] {
				t.Errorf("%s has a row %s that wasn't told, and no gap", name, key)
			}
		}
	}
	t.Logf("%d events, %d rows", r.count(), s.row)
}
