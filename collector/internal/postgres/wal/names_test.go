package wal

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
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

// shuffled has one session write what next gives, in transactions, while the source is stopped and begun again and its broker is slow at
// times, and then reads all of it.
func (r *rig) shuffled(next func(rng *rand.Rand) string) {
	r.t.Helper()
	seed := uint64(time.Now().UnixNano())
	r.t.Logf("seed %d", seed)
	writing, stopWriting := context.WithTimeout(r.t.Context(), testrig.Soak())
	defer stopWriting()
	var writer sync.WaitGroup
	db := r.session()
	writer.Go(func() {
		rng := rand.New(rand.NewPCG(seed, 1))
		for writing.Err() == nil {
			sql := next(rng)
			if _, err := db.PgConn().Exec(context.Background(), sql).ReadAll(); err != nil {
				r.t.Errorf("%s: %v", sql, err)
				return
			}
			time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
		}
	})
	rng := rand.New(rand.NewPCG(seed, 2))
	for writing.Err() == nil {
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Duration(500+rng.IntN(8000))*time.Millisecond)
		r.limits.batchEvents = 1 + rng.IntN(5)
		slow := time.Duration(rng.IntN(3)*100) * time.Millisecond
		r.mu.Lock()
		r.fail = func(int) (bool, bool) { time.Sleep(slow); return false, false }
		r.mu.Unlock()
		if err := r.source().Run(ctx, r.progress(), r.emit); err == nil {
			r.t.Fatal("run ended with nothing")
		}
		cancel()
	}
	writer.Wait()
	r.fail, r.limits.batchEvents = nil, defaultLimits.batchEvents
	r.exec(`create table last (id int primary key)`)
	stop := r.start()
	r.awaitKnown("last")
	r.exec(`insert into last values (1)`)
	r.awaitLast(func(e event.Raw) bool { return e.Stream.Entity() == "public.last" })
	_ = stop()
}

// keys are those of a table's rows, as events have them.
func (r *rig) keys(table string) []string {
	r.t.Helper()
	rows, err := r.db.Query(r.t.Context(), `select '{"id":' || id || '}' from `+table+` order by id`)
	if err != nil {
		r.t.Fatal(err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		r.t.Fatal(err)
	}
	return keys
}

// leftBehind are the keys of rows that a stream's events leave behind; gap: more may have been there, since the stream was ended last.
func (r *rig) leftBehind(entity string) (left map[string]bool, gap bool) {
	r.t.Helper()
	left = map[string]bool{}
	for _, e := range r.captured() {
		switch {
		case e.Stream.Entity() != entity:
		case e.Type == event.GapType:
			gap = gap || !strings.HasSuffix(brief(r.t, e), causePartition)
		case rowChange(r.t, e).Op == event.Truncate:
			left, gap = map[string]bool{}, false
		default:
			left[string(e.Key)] = true
		}
	}
	return left, gap
}

// TestNamesThatChangeHandsLeaveNoRowsBehind, whoever is stopped or slow meanwhile: a stream has the rows that its table has, or, behind a gap,
// some of them.
func TestNamesThatChangeHandsLeaveNoRowsBehind(t *testing.T) {
	r := newRig(t)
	r.install()
	s := &shuffle{names: []string{"a", "b", "c", "d"}, there: map[string]bool{}}
	r.shuffled(s.next)
	for _, name := range s.names {
		var held []string
		if s.there[name] {
			held = r.keys(name)
		}
		left, gap := r.leftBehind("public." + name)
		for _, key := range held {
			if !left[key] && !gap {
				t.Errorf("%s has a row %s that wasn't told, and no gap", name, key)
			}
			delete(left, key)
		}
		if len(left) > 0 {
			t.Errorf("%s has none of the rows %v", name, slices.Sorted(maps.Keys(left)))
		}
	}
	t.Logf("%d events, %d rows", r.count(), s.row)
}

// comeAndGo writes to partitions that it makes, attaches, detaches and drops meanwhile, each row once.
type comeAndGo struct {
	state  [6]byte // of a partition: 0 where there is none, 'p' where it is one, 's' where it stands by itself
	row    [6]int
	branch int
}

// next is the SQL of a transaction.
func (c *comeAndGo) next(rng *rand.Rand) string {
	const size = 1_000_000
	k := rng.IntN(len(c.state))
	name := fmt.Sprintf("p_%d", k)
	bounds := fmt.Sprintf("for values from (%d) to (%d)", k*size, (k+1)*size)
	insert := func(into string) string {
		c.row[k]++
		return fmt.Sprintf("insert into %s values (%d); ", into, k*size+c.row[k])
	}
	attach, detach := "alter table p attach partition "+name+" "+bounds+"; ", "alter table p detach partition "+name+"; "
	n, was := rng.IntN(10), c.state[k]
	switch {
	case was == 0 && n < 4:
		c.state[k] = 'p'
		return "create table " + name + " partition of p " + bounds + "; " + insert("p")
	case was == 0 && n < 8:
		c.state[k] = 'p'
		return "create table " + name + " (id int primary key); " + insert(name) + attach
	case was == 0:
		c.state[k] = 's'
		c.branch++
		return fmt.Sprintf("create table %s (id int primary key) partition by range (id); create table branch_%d partition of %[1]s %[3]s; ", name, c.branch, bounds) + insert(name)
	case n == 0:
		c.state[k] = 0
		return "drop table " + name
	case was == 'p' && n == 1:
		c.state[k] = 's'
		return detach + insert(name)
	case was == 'p' && n == 2:
		return detach + insert(name) + attach
	case was == 's' && n < 5:
		c.state[k] = 'p'
		return attach + insert("p")
	case was == 's':
		return insert(name)
	default:
		return insert("p")
	}
}

// TestPartitionsThatComeAndGoLoseNoRows, whoever is stopped or slow meanwhile.
func TestPartitionsThatComeAndGoLoseNoRows(t *testing.T) {
	r := newRig(t, `create table p (id int primary key) partition by range (id)`)
	r.config.Tables = []string{"public.p", "public.last"}
	r.install()
	r.shuffled(new(comeAndGo).next)
	left, gap := r.leftBehind("public.p")
	for _, key := range r.keys("p") {
		if !left[key] && !gap {
			t.Errorf("p has a row %s that wasn't told, and no gap", key)
		}
	}
	for _, e := range r.captured() {
		if entity := e.Stream.Entity(); entity != "public.p" && entity != "public.last" {
			t.Errorf("told of what isn't selected: %s", brief(t, e))
		}
	}
	t.Logf("%d events, of %d rows", r.count(), len(left))
}
