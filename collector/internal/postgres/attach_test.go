package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// awaitParts waits until so many partitions that were attached have been read.
func (r *rig) awaitParts(n int) (parts []*backfill.Part) {
	r.t.Helper()
	testrig.Eventually(r.t, 60*time.Second, func() error {
		a := r.account()
		parts = nil
		for _, j := range a.Ended {
			if j.Partial {
				parts = append(parts, j.Parts...)
			}
		}
		if len(a.Jobs) > 0 || len(parts) < n {
			return fmt.Errorf("%d of %d parts, %d are left", len(parts), n, len(a.Jobs))
		}
		return nil
	})
	return parts
}

// TestRowsOfAnAttachedPartitionAreRead: while writes go on, a table that was captured, one that wasn't, and one that was
// made and filled in the same transaction are attached. Each row that came that way is told once, as read, no older image
// follows a newer one, and replay gives the table.
func TestRowsOfAnAttachedPartitionAreRead(t *testing.T) {
	t.Parallel() // it waits most of its time
	for _, follow := range []bool{true, false} {
		t.Run(fmt.Sprintf("follow=%v", follow), func(t *testing.T) { attachWhileWritesGoOn(t, follow) })
	}
}

func attachWhileWritesGoOn(t *testing.T, follow bool) {
	r := newRig(t, `create table p (id int primary key, n int not null) partition by range (id)`,
		`create table p0 partition of p for values from (0) to (100); insert into p select g, 0 from generate_series(0, 99) g`,
		`create table captured (like p including all); insert into captured select g, 0 from generate_series(100, 199) g`,
		`create schema aside; create table aside.plain (like p including all); insert into aside.plain select g, 0 from generate_series(200, 299) g`)
	r.config.Tables = []string{"public.*"}
	r.config.Snapshot = snapshotInitial
	r.install()
	if !follow {
		r.exec(`drop event trigger datawatch_follow`)
	}
	r.limits.chunkRows = 7
	stop := r.start()
	r.awaitEnded(backfill.InitialID)

	ctx, end := context.WithCancel(t.Context())
	defer end()
	var writers errgroup.Group
	for _, table := range []string{"p", "p", "captured", "p0"} {
		db := r.session()
		writers.Go(func() error {
			for ctx.Err() == nil {
				if _, err := db.Exec(t.Context(), "update "+table+" set n = n + 1 where id = $1", rand.N(400)); err != nil {
					return err
				}
				time.Sleep(time.Millisecond)
			}
			return nil
		})
	}
	r.exec(`alter table p attach partition captured for values from (100) to (200)`)
	r.exec(`alter table p attach partition aside.plain for values from (200) to (300)`)
	r.exec(`begin; create table made (like p including all); insert into made select g, 0 from generate_series(300, 399) g;
		alter table p attach partition made for values from (300) to (400); commit`)
	parts := r.awaitParts(3)
	end()
	if err := writers.Wait(); err != nil {
		t.Fatal(err)
	}
	_ = stop()
	for _, p := range parts {
		if p.Problem != "" || p.Rows != 100 || p.Stream != "shop-db/public.p" {
			t.Errorf("%+v", p)
		}
	}
	checkAttached(t, r, r.drained())
}

func checkAttached(t *testing.T, r *rig, events []event.Raw) {
	reads, last := map[string]int{}, map[string]int{}
	for _, e := range events {
		if e.Stream != "shop-db/public.p" || e.Type == event.GapType {
			continue
		}
		c := rowChange(t, e)
		if c.Op == event.Read {
			reads[string(e.Key)]++
		}
		var row struct{ N int }
		if err := json.Unmarshal(c.After, &row); err != nil {
			t.Fatalf("%s: %v", brief(t, e), err)
		}
		if row.N < last[string(e.Key)] {
			t.Errorf("%s: n was %d", brief(t, e), last[string(e.Key)])
		}
		last[string(e.Key)] = row.N
	}
	for id := range 400 {
		key := fmt.Sprintf(`{"id":%d}`, id)
		var n int
		if err := r.db.QueryRow(t.Context(), "select n from p where id = $1", id).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if reads[key] != 1 || last[key] != n {
			t.Errorf("row %d: read %d times, n is %d and was told as %d", id, reads[key], n, last[key])
		}
	}
}

// TestAttachedRowsAreReadBehindWhoWritesUnderTheOldName: where no event trigger tells of ATTACH, a transaction may still
// write to the old stream when the new one is told. Its rows are read when it is over.
func TestAttachedRowsAreReadBehindWhoWritesUnderTheOldName(t *testing.T) {
	r := newRig(t, `create table p (id int primary key, v text) partition by range (id)`,
		`create table apart (id int primary key, v text); insert into apart values (1, 'a'), (2, 'a')`)
	r.install()
	r.exec(`drop event trigger datawatch_follow; alter table p attach partition apart for values from (0) to (10)`)
	other := r.session()
	if _, err := other.Exec(t.Context(), "begin; update apart set v = 'b' where id = 1"); err != nil {
		t.Fatal(err)
	}
	look := func() {
		if err := r.source().install(t.Context(), installTries); err != nil {
			t.Fatal(err)
		}
	}
	look()
	r.exec(`create table beat (id int primary key)`)
	look()
	stop := r.start()
	for i := range 3 { // a tick each
		r.exec(fmt.Sprintf(`insert into beat values (%d)`, i))
		r.await(2 + i)
	}
	expect(t, r.captured()[:1], `public.apart truncate - attach`)
	if rows, _ := r.reads("shop-db/public.p"); len(rows) > 0 {
		t.Errorf("read while somebody writes under the old name: %q", rows)
	}
	if _, err := other.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	r.awaitParts(1)
	_ = stop()
	if rows, _ := r.reads("shop-db/public.p"); !slices.Equal(rows, []string{`{"id":1,"v":"b"}`, `{"id":2,"v":"a"}`}) {
		t.Errorf("read %q", rows)
	}
}

// TestAttachedRowsThatCannotBeReadAreAGap: the reader may not select, and nobody waits for the rows.
func TestAttachedRowsThatCannotBeReadAreAGap(t *testing.T) {
	r := newRig(t, `create table p (id int primary key) partition by range (id)`, `create table apart (id int primary key); insert into apart values (1)`)
	reader := fmt.Sprintf("reader_%d", time.Now().UnixNano())
	r.exec(`create role ` + reader + ` login password 'secret'`)
	t.Cleanup(func() {
		db := r.session0()
		defer func() { _ = db.Close(context.Background()) }()
		_, _ = db.Exec(context.Background(), "drop owned by "+reader)
		_, _ = db.Exec(context.Background(), "drop role "+reader)
	})
	r.config.InstallDSN, r.config.DSN = r.config.DSN, r.as(reader, "secret")
	r.install()
	r.exec(`alter table p attach partition apart for values from (0) to (10)`)
	got := r.wait(2)
	expect(t, got, `public.apart truncate - attach`, `public.p gap table_new`)
	if g := gapOf(t, got[1]); !strings.Contains(g.Remedy, "SELECT") {
		t.Errorf("the remedy: %s", g.Remedy)
	}
}

// TestAReadOfAttachedRowsSurvivesAKill: the request is committed with the events of its tick, and the rows are read once,
// whichever batch fails.
func TestAReadOfAttachedRowsSurvivesAKill(t *testing.T) {
	r := newRig(t, `create table p (id int primary key) partition by range (id)`,
		`create table apart (id int primary key); insert into apart select generate_series(1, 50)`)
	r.install()
	r.exec(`alter table p attach partition apart for values from (0) to (100)`)
	r.limits.chunkRows = 10
	r.fail = func(batch int) (before, after bool) { return batch%3 == 1, batch%3 == 2 }
	for runs := 0; len(r.account().Ended) == 0; runs++ {
		if runs > 50 {
			t.Fatal("it never ends")
		}
		ctx, cancel := r.untilRead()
		err := r.source().Run(ctx, r.progress(), r.emit)
		cancel()
		if !errors.Is(err, errBroker) && len(r.account().Ended) == 0 {
			t.Fatalf("run ended with %v", err)
		}
	}
	_, keys := r.reads("shop-db/public.p")
	slices.Sort(keys)
	if n := len(keys); n != 50 || len(slices.Compact(keys)) != n {
		t.Errorf("%d reads of %d keys", n, len(slices.Compact(keys)))
	}
}

// untilRead is done when a snapshot has ended, or is late.
func (r *rig) untilRead() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	go func() {
		for ctx.Err() == nil && len(r.account().Ended) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
	}()
	return ctx, cancel
}
