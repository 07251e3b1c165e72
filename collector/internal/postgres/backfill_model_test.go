package postgres

import (
	"context"
	"errors"
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

// replayRead applies events to tables of which nothing is known at first. It fails where an image contradicts what is known
// by then: a read of a row that was deleted, or as it was before a change that stands before the read.
func replayRead(t *testing.T, events []event.Raw) map[event.Stream]map[string]string {
	t.Helper()
	seen := map[string]bool{}
	for _, e := range events {
		if seen[e.ID] {
			t.Fatalf("%s came twice", e.ID)
		}
		seen[e.ID] = true
	}
	if !slices.IsSortedFunc(events, func(a, b event.Raw) int { return strings.Compare(a.Position(), b.Position()) }) {
		t.Fatal("positions don't ascend")
	}
	const gone = ""
	known := map[event.Stream]map[string]string{} // a row that was deleted is known to be gone
	emptied := map[event.Stream]bool{}            // since then, what isn't known is gone
	for _, e := range events {
		if e.Type == event.GapType {
			t.Fatalf("a gap: %s", e.Value)
		}
		rows := known[e.Stream]
		if rows == nil {
			rows = map[string]string{}
			known[e.Stream] = rows
		}
		c := rowChange(t, e)
		before, is := rows[string(e.Key)]
		is = is || emptied[e.Stream]
		switch c.Op {
		case event.Truncate:
			clear(rows)
			emptied[e.Stream] = true
		case event.Read:
			if is && before != string(c.After) {
				t.Fatalf("%s at %s: the row was %q", brief(t, e), e.ID, before)
			}
			rows[string(e.Key)] = string(c.After)
		case event.Delete:
			if is && before != string(c.Before) {
				t.Fatalf("%s at %s: the row was %q", brief(t, e), e.ID, before)
			}
			rows[string(e.Key)] = gone
		case event.Update:
			if is && before != string(c.Before) {
				t.Fatalf("%s at %s: the row was %q", brief(t, e), e.ID, before)
			}
			rows[string(e.Key)] = string(c.After)
		default:
			if is && before != gone {
				t.Fatalf("%s at %s: the row was %q", brief(t, e), e.ID, before)
			}
			rows[string(e.Key)] = string(c.After)
		}
	}
	for _, rows := range known {
		maps.DeleteFunc(rows, func(_, row string) bool { return row == gone })
	}
	return known
}

// keyWriter writes to a table with a key of two columns until ctx is done.
func keyWriter(ctx context.Context, db *pgx.Conn, rng *rand.Rand) error {
	for ctx.Err() == nil {
		k, n := string(rune('a'+rng.IntN(20))), rng.IntN(100)
		if rng.IntN(2) == 0 {
			n = rng.IntN(5) // some rows of every chunk change all the time
		}
		sql := []string{
			`update c set v = $3 where k = $1 and n = $2`,
			`insert into c values ($1, $2, $3) on conflict (k, n) do update set v = excluded.v`,
			`delete from c where k = $1 and n = $2 and v <> $3`,
			`update c set n = n + 1000, v = $3 where k = $1 and n = $2`,
			`update c set v = $3 where k = $1 and n % 10 = $2 % 10`,
		}[rng.IntN(5)]
		_, err := db.Exec(ctx, sql, k, n, fmt.Sprint(rng.Int64()))
		var server interface{ SQLState() string }
		if err != nil && ctx.Err() == nil && (!errors.As(err, &server) || !slices.Contains([]string{"40P01", "23505"}, server.SQLState())) {
			return err
		}
	}
	return nil
}

// TestSnapshotUnderWritesGivesTheTables: snapshots are read while several sessions write whatever they like, and the
// collector is killed and its broker fails at random. No image that is read is older than one before it, and replaying all
// gives each table exactly, also rows that were there before capture.
func TestSnapshotUnderWritesGivesTheTables(t *testing.T) {
	r := newRig(t,
		`create table a (id int primary key, v text)`, `create table b (id int primary key, v text)`,
		`create table swaps (id int primary key deferrable, v text)`,
		`create table c (k text, n int, v text, primary key (k, n))`,
		`create table p (id int primary key, v text) partition by range (id)`,
		`create table p_low partition of p for values from (minvalue) to (50)`,
		`create table p_high partition of p for values from (50) to (maxvalue)`,
		`insert into a select g, 'old' from generate_series(0, 99) g`, `insert into b select g, 'old' from generate_series(0, 99) g`,
		`insert into p select g, 'old' from generate_series(0, 99) g`, `insert into swaps select g, 's' from generate_series(0, 350) g`,
		`insert into c select chr(97 + g / 100), g % 100, 'old' from generate_series(0, 1999) g`)
	r.install()
	// What was there before the triggers is told as read by the snapshot, and so is no gap here.
	r.exec(`delete from datawatch.outbox`)
	r.config.Snapshot, r.config.SnapshotRate = snapshotInitial, 0
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var mu sync.Mutex
	r.fail = func(int) (bool, bool) {
		mu.Lock()
		defer mu.Unlock()
		n := rng.IntN(60)
		return n == 0, n == 1
	}
	writing, stopWriting := context.WithTimeout(t.Context(), testrig.Soak())
	var writers sync.WaitGroup
	defer func() { stopWriting(); writers.Wait() }()
	for i := range 5 {
		db, write := r.session(), writer
		if i > 1 {
			write = keyWriter
		}
		writers.Go(func() {
			if err := write(writing, db, rand.New(rand.NewPCG(seed, uint64(i+1)))); err != nil {
				t.Error(err)
			}
		})
	}
	for writing.Err() == nil {
		if len(r.account().Jobs) == 0 && r.account().Initial {
			r.ask([]event.Stream{"", "shop-db/public.c", "shop-db/public.c", "shop-db/public.p"}[rng.IntN(4)])
		}
		r.limits = limits{
			pagePacks: 100 + rng.IntN(2000), pageBytes: 4 << 20, batchEvents: 50 + rng.IntN(1000), batchBytes: 1 << 20,
			chunkRows: 20 + rng.IntN(200),
		}
		r.runFor(time.Duration(800+rng.IntN(2500)) * time.Millisecond)
	}
	writers.Wait()
	r.fail = nil
	r.limits = limits{pagePacks: 5000, pageBytes: 4 << 20, batchEvents: 5000, batchBytes: 1 << 20, chunkRows: 500}
	events := r.drained()
	state := replayRead(t, events)
	for _, table := range []string{"a", "b", "p", "swaps"} {
		equalContents(t, table, contents(t, r.db, table), state[event.StreamOf("shop-db", "public."+table)])
	}
	equalContents(t, "c", composites(t, r.db), state["shop-db/public.c"])
	reads := 0
	for _, e := range events {
		if rowChange(t, e).Op == event.Read {
			reads++
		}
	}
	t.Logf("%d events, %d of them read by %d snapshots", len(events), reads, len(r.account().Ended))
}

func equalContents(t *testing.T, table string, want, got map[string]string) {
	t.Helper()
	if !maps.Equal(want, got) && len(want)+len(got) > 0 {
		t.Errorf("%s: %d rows in the table, %d by replay", table, len(want), len(got))
	}
}

func composites(t *testing.T, db *pgx.Conn) map[string]string {
	t.Helper()
	rows, err := db.Query(t.Context(), `select '{"k":"' || k || '","n":' || n || '}', to_json(c.*)::text from c`)
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
