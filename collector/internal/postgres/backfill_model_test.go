package postgres

import (
	"context"
	"errors"
	"fmt"
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
	t.Parallel()
	r := newRig(t, append(slices.Clone(model.DDL), model.Swaps, model.StockSwaps,
		`create table c (k text, n int, v text, primary key (k, n))`,
		`insert into a select g, 'old' from generate_series(0, 99) g`, `insert into b select g, 'old' from generate_series(0, 99) g`,
		`insert into p select g, 'old' from generate_series(0, 99) g`, `insert into kids select g, 'old', g from generate_series(0, 99) g`,
		`insert into c select chr(97 + g / 100), g % 100, 'old' from generate_series(0, 1999) g`)...)
	r.install()
	// What was there before the triggers is told as read by the snapshot, and so is no gap here.
	r.exec(emptyOutbox)
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
		db, write := r.session(), model.Writer{Swaps: true, Bulk: 400}.Run
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
			ask := []func(event.Stream) string{r.ask, r.askReplacing}[rng.IntN(2)]
			ask([]event.Stream{"", "shop-db/public.c", "shop-db/public.c", "shop-db/public.p"}[rng.IntN(4)])
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
	stop := r.start()
	testrig.Eventually(t, time.Minute, func() error {
		if jobs := r.account().Jobs; len(jobs) > 0 {
			return fmt.Errorf("snapshot %s", jobs[0])
		}
		return nil
	})
	_ = stop()
	events := r.drained()
	state, err := model.Replay{Unknown: true}.Tables(changes(t, events))
	if err != nil {
		t.Fatal(err)
	}
	r.holds(state, append(slices.Clone(model.Tables), "swaps")...)
	if err := model.Equal(composites(t, r.db), state["shop-db/public.c"]); err != nil {
		t.Errorf("c: %v", err)
	}
	reads := 0
	for _, e := range events {
		if rowChange(t, e).Op == event.Read {
			reads++
		}
	}
	t.Logf("%d events, %d of them read by %d snapshots", len(events), reads, len(r.account().Ended))
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
