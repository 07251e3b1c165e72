package wal

import (
	"context"
	"encoding/json"
	"errors"
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

// replay applies events in the order in which they came, by stream and key, and fails on one that doesn't follow from what
// was there before it. Rows without a key are counted.
func replay(t *testing.T, events []event.Raw) map[event.Stream]map[string]string {
	t.Helper()
	seen := map[string]bool{}
	last := ""
	state := map[event.Stream]map[string]string{}
	for _, e := range events {
		if seen[e.ID] || e.Position() <= last {
			t.Fatalf("%s came twice, or behind %s", e.ID, last)
		}
		seen[e.ID], last = true, e.Position()
		if e.Type == event.GapType {
			t.Fatalf("a gap: %s", e.Value)
		}
		if state[e.Stream] == nil {
			state[e.Stream] = map[string]string{}
		}
		apply(t, state[e.Stream], e)
	}
	return state
}

func apply(t *testing.T, rows map[string]string, e event.Raw) {
	t.Helper()
	c := rowChange(t, e)
	before, there := rows[string(e.Key)]
	wanted := c.Op == event.Update || c.Op == event.Delete
	switch {
	case c.Op == event.Truncate:
		clear(rows)
		return
	case there != wanted:
		t.Fatalf("%s at %s: the row's presence is %v", brief(t, e), e.ID, there)
	case wanted && c.Incomplete == nil && before != string(c.Before):
		t.Fatalf("%s at %s: the row was %s", brief(t, e), e.ID, before)
	case wanted && c.Incomplete != nil && (c.Incomplete.Before == "" || len(c.Incomplete.Fields) > 0):
		t.Fatalf("%s at %s: too much is incomplete", brief(t, e), e.ID)
	}
	if c.Op == event.Delete {
		delete(rows, string(e.Key))
	} else {
		rows[string(e.Key)] = string(c.After)
	}
}

// contents are the rows of a table, by key.
func contents(t *testing.T, db *pgx.Conn, table string) map[string]string {
	t.Helper()
	rows, err := db.Query(t.Context(), `select '{"id":' || id || '}', to_json(t.*)::text from `+table+` t`)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	var key, row string
	if _, err := pgx.ForEachRow(rows, []any{&key, &row}, func() error { all[key] = row; return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

var errRollback = errors.New("roll back")

// writer does random transactions until ctx is done.
func writer(ctx context.Context, db *pgx.Conn, rng *rand.Rand) error {
	for ctx.Err() == nil {
		err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
			for range 1 + rng.IntN(6) {
				if err := randomStatement(ctx, tx, rng); err != nil {
					return err
				}
				if rng.IntN(40) == 0 {
					time.Sleep(time.Duration(rng.IntN(150)) * time.Millisecond) // a long transaction overlaps many others
				}
			}
			if rng.IntN(6) == 0 {
				return errRollback
			}
			return nil
		})
		var server interface{ SQLState() string }
		switch {
		case err == nil, errors.Is(err, errRollback), ctx.Err() != nil:
		case errors.As(err, &server) && slices.Contains([]string{"40P01", "40001", "23505", "57014", "55P03"}, server.SQLState()):
		default:
			return err
		}
	}
	return nil
}

func randomStatement(ctx context.Context, tx pgx.Tx, rng *rand.Rand) error {
	table := []string{"a", "b", "p", "k"}[rng.IntN(4)]
	id := func() int { return rng.IntN(60) }
	do := func(sql string, args ...any) error { _, err := tx.Exec(ctx, sql, args...); return err }
	switch n := rng.IntN(100); {
	case n < 30:
		return do(`insert into `+table+` values ($1, $2) on conflict (id) do update set v = excluded.v || '+'`, id(), fmt.Sprint(rng.Int64()))
	case n < 55:
		return do(`update `+table+` set v = $2 where id = $1`, id(), fmt.Sprint(rng.Int64()))
	case n < 70:
		return do(`delete from `+table+` where id = $1`, id())
	case n < 80:
		return do(`update `+table+` set id = $2 where id = $1`, id(), 60+rng.IntN(40))
	case n < 86:
		return do(`insert into `+table+` select g, $2 from generate_series($1::int, $1::int + 400) g on conflict do nothing`, 1000*(1+id()), "bulk")
	case n < 90:
		return do(`delete from ` + table + ` where id >= 1000`)
	case n < 96:
		return savepoint(ctx, tx, rng)
	case n < 97:
		return do(`truncate ` + table)
	case n < 98: // the row's shape stays for who reads the table later; pgoutput tells it anew
		return do(`set local lock_timeout = '100ms'; alter table ` + table + ` alter v set default 'x'`)
	default:
		return do(`with gone as (delete from a where id < 5 returning id, v) insert into b select id + 200, v from gone on conflict do nothing`)
	}
}

func savepoint(ctx context.Context, tx pgx.Tx, rng *rand.Rand) error {
	inner, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	if err := randomStatement(ctx, inner, rng); err != nil {
		return errors.Join(err, inner.Rollback(ctx))
	}
	if rng.IntN(2) == 0 {
		return inner.Rollback(ctx)
	}
	return inner.Commit(ctx)
}

// TestKilledCollectorLosesNothing: several sessions write whatever they like while the collector is stopped, its sessions
// are cut and its broker fails at random; replaying the events then gives each table exactly, and each change once.
func TestKilledCollectorLosesNothing(t *testing.T) {
	r := newRig(t,
		`create table a (id int primary key, v text); alter table a replica identity full`,
		`create table b (id int primary key, v text); alter table b replica identity full`,
		`create table k (id int primary key, v text)`,
		`create table p (id int primary key, v text) partition by range (id)`,
		`create table p_low partition of p for values from (minvalue) to (50)`,
		`create table p_high partition of p for values from (50) to (maxvalue); alter table p_high replica identity full`,
		`create function again() returns trigger language plpgsql as $$ begin update b set v = v || '!' where id = new.id; return null; end $$;
		create trigger again after insert or update on b for each row when (pg_trigger_depth() = 0) execute function again()`)
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
			if err := writer(writing, db, rand.New(rand.NewPCG(seed, uint64(i+1)))); err != nil {
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
	state := replay(t, events)
	for _, table := range []string{"a", "b", "p", "k"} {
		want, got := contents(t, r.db, table), state[event.StreamOf(r.sourceName(), "public."+table)]
		if !maps.Equal(want, got) && len(want)+len(got) > 0 {
			t.Errorf("%s: %d rows in the table, %d by replay", table, len(want), len(got))
		}
	}
	checkIndexes(t, events)
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

// checkIndexes: the events of a transaction count from zero, without holes.
func checkIndexes(t *testing.T, events []event.Raw) {
	t.Helper()
	next := map[string]int64{}
	for _, e := range events {
		var c struct {
			Transaction string `json:"transaction"`
			Index       int64  `json:"transaction_index"`
		}
		if err := json.Unmarshal(e.Value, &c); err != nil {
			t.Fatal(err)
		}
		if c.Index != next[c.Transaction] {
			t.Fatalf("%s is number %d of transaction %s, not %d", e.ID, c.Index, c.Transaction, next[c.Transaction])
		}
		next[c.Transaction]++
	}
}
