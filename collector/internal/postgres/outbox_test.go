package postgres

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/postgres"
)

func TestALargeTickIsResumedInTheMiddle(t *testing.T) {
	const n = 60000
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.install()
	r.exec(`insert into t select g, repeat('x', 50) from generate_series(1, 60000) g`)
	r.limits.pagePacks, r.limits.batchEvents, r.limits.batchBytes = 20, 700, 1<<20
	r.fail = func(batch int) (bool, bool) { return batch%11 == 5, batch%11 == 0 }
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	emit := func(ctx context.Context, b source.Batch) error {
		err := r.emit(ctx, b)
		if r.count() >= n {
			stop()
		}
		return err
	}
	runs := 0
	for ; ctx.Err() == nil; runs++ {
		if err := r.source().Run(ctx, r.progress(), emit); !errors.Is(err, errBroker) && ctx.Err() == nil {
			t.Fatal(err)
		}
	}
	if rows := replay(t, r.captured())["shop-db/public.t"]; len(rows) != n || len(r.captured()) != n || runs < 3 {
		t.Errorf("%d rows by %d events in %d runs", len(rows), len(r.captured()), runs)
	}
}

// TestABacklogOfStatementsOfSeveralPacksIsReadOnce: the moves of each come before its other rows, and are looked for in what was read.
func TestABacklogOfStatementsOfSeveralPacksIsReadOnce(t *testing.T) {
	const statements, rows = 200, 300
	r := newRig(t, `create table t (id int primary key, v int)`, `insert into t select g, 0 from generate_series(1, 300) g`)
	r.install()
	r.exec(`do $$ begin for i in 1..200 loop update t set v = v + 1; commit; end loop; end $$`)
	packs := r.number(`select count(*) from datawatch.outbox`)
	if packs < 2*statements {
		t.Fatalf("%d packs", packs)
	}
	read := func() int64 {
		return r.number(`select sum(coalesce(idx_tup_fetch, 0) + seq_tup_read) from pg_stat_user_tables where schemaname = 'datawatch' and relname = 'outbox_0'`)
	}
	before := read()
	r.wait(statements * rows)
	testrig.Eventually(t, time.Minute, func() error { // the server counts a moment later
		n := read() - before
		if n < packs {
			return fmt.Errorf("%d packs were read", n)
		}
		if n > 20*packs {
			t.Errorf("%d packs were read, of %d", n, packs)
		}
		return nil
	})
}

func TestReadOutboxTablesAreEmptiedAndNothingIsLost(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.config.Outbox.MaxBytes = 16 << 20 // switches at 4 MiB
	r.install()
	stop := r.start()
	n := 0
	used := map[int]bool{}
	testrig.Eventually(t, 60*time.Second, func() error {
		for range 20 {
			r.exec(fmt.Sprintf(`insert into t select %d + g, md5(g::text) || md5((g * 7)::text) from generate_series(1, 200) g`, n))
			n += 200
		}
		var slot int
		if err := r.db.QueryRow(t.Context(), `select current from datawatch.queue`).Scan(&slot); err != nil {
			return err
		}
		used[slot] = true
		if len(used) < 3 || slot != 0 {
			return fmt.Errorf("tables %v were used", used)
		}
		return nil
	})
	r.await(n)
	_ = stop()
	if rows := replay(t, r.captured())["shop-db/public.t"]; len(rows) != n {
		t.Errorf("%d rows of %d", len(rows), n)
	}
	bytes, err := outboxBytes(t.Context(), r.db)
	if err != nil || bytes > 16<<20 {
		t.Errorf("the outbox has %d bytes, %v", bytes, err)
	}
}

// TestAnOutboxThatWasFullIsWrittenToAgain: with no collector there it filled to its cap, all of it in one of its tables. Once that is
// read nothing follows it, with which the progress would come that it waits for.
func TestAnOutboxThatWasFullIsWrittenToAgain(t *testing.T) {
	for name, fill := range map[string]string{
		"many rows":   `insert into t select n + g, noise() from generate_series(1, 300) g`,
		"single rows": `for g in 1..300 loop insert into t values (n + g, noise()); end loop`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits most of its time
			r := newRig(t, `create table t (id int primary key, v text)`,
				`create function noise() returns text language sql volatile as $$ select string_agg(md5(random()::text), '') from generate_series(1, 60) $$`)
			r.config.Outbox.MaxBytes = 16 << 20
			r.install()
			r.exec(`do $$ begin for n in 1000..50000 by 1000 loop ` + fill + `; end loop; end $$`)
			if n := r.number(`select last_value from datawatch.skipped`); n == 0 {
				t.Fatal("the outbox wasn't full")
			}
			stop := r.start()
			n := 0
			testrig.Eventually(t, 30*time.Second, func() error {
				n++
				r.exec(fmt.Sprintf(`insert into t values (%d, 'again')`, n))
				if got := r.captured(); !slices.ContainsFunc(got, func(e event.Raw) bool { return strings.Contains(string(e.Value), "again") }) {
					return fmt.Errorf("%d events, and none is new", len(got))
				}
				return nil
			})
			_ = stop()
			gaps := slices.DeleteFunc(r.captured(), func(e event.Raw) bool { return e.Type != event.GapType })
			if len(gaps) != 1 { // the next one would have come after a minute, with progress
				t.Errorf("%d gaps", len(gaps))
			}
		})
	}
}

// TestTablesOfSingleRowsAreEmptiedAndNothingIsLost: statements of single rows find the slot by the gate, and go on through all of them.
func TestTablesOfSingleRowsAreEmptiedAndNothingIsLost(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.limits.rotateBytes = 256 << 10
	r.install()
	stop := r.start()
	n := 0
	used := map[int64]bool{}
	testrig.Eventually(t, 2*time.Minute, func() error {
		r.exec(fmt.Sprintf(`do $$ begin for i in %d..%d loop insert into t values (i, repeat(md5(i::text), 30)); end loop; end $$`, n+1, n+100))
		n += 100
		for slot := range int64(slots) {
			if r.number(fmt.Sprintf(`select count(*) from datawatch.single_%d`, slot)) > 0 {
				used[slot] = true
			}
		}
		if slot := r.number(`select last_value from datawatch.gate`); len(used) < slots || slot != 0 {
			return fmt.Errorf("tables %v were used, the gate is at %d", used, slot)
		}
		return nil
	})
	r.await(n)
	_ = stop()
	if rows := replay(t, r.captured())["shop-db/public.t"]; len(rows) != n || r.count() != n {
		t.Errorf("%d rows of %d by %d events", len(rows), n, r.count())
	}
	if left := r.number(`select count(*) from datawatch.packs`); left >= int64(n) {
		t.Errorf("all of %d packs are still there", left)
	}
}

// TestAnOldTransactionElsewhereDoesNotKeepTheOutboxFull: one of another database, or of this one that wrote nothing into the tables that are
// to be emptied, is in every snapshot until it ends.
func TestAnOldTransactionElsewhereDoesNotKeepTheOutboxFull(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`, `create table other (id int)`)
	r.config.Outbox.MaxBytes = 16 << 20
	r.config.Exclude = []string{"public.other"}
	r.limits.rotateBytes = 1 << 20
	r.install()
	newRig(t).exec(`begin; select pg_current_xact_id()`)
	here := r.session()
	r.run(here, `begin; insert into other values (1)`)
	stop := r.start()
	n := 0
	used := map[int64]bool{}
	testrig.Eventually(t, time.Minute, func() error {
		r.exec(fmt.Sprintf(`insert into t select %d + g, repeat(md5(g::text), 12) from generate_series(1, 2000) g`, n))
		n += 2000
		if slot := r.number(`select current from datawatch.queue`); slot != 0 || len(used) < slots {
			used[slot] = true
			return fmt.Errorf("tables %v were used", used)
		}
		return nil
	})
	// What a transaction wrote that is at work still isn't read, and isn't taken away.
	r.run(here, `insert into t values (-1, 'late')`)
	was := r.number(`select current from datawatch.queue`)
	testrig.Eventually(t, time.Minute, func() error {
		r.exec(fmt.Sprintf(`insert into t select %d + g, repeat(md5(g::text), 12) from generate_series(1, 2000) g`, n))
		n += 2000
		if slot := r.number(`select current from datawatch.queue`); slot != (was+2)%slots {
			return fmt.Errorf("the current table is %d, and was %d", slot, was)
		}
		return nil
	})
	r.await(n)
	testrig.Eventually(t, time.Minute, func() error {
		if bytes := r.number("select " + bytesSQL(fmt.Sprintf("slot = '%d'", (was+1)%slots))); bytes > 0 {
			return fmt.Errorf("%d bytes are left in what was read", bytes)
		}
		return nil
	})
	r.run(here, `commit`)
	r.await(n + 1)
	_ = stop()
	if rows := replay(t, r.captured())["shop-db/public.t"]; len(rows) != n+1 || r.count() != n+1 {
		t.Errorf("%d rows of %d by %d events", len(rows), n+1, r.count())
	}
}

// TestPacksOfASwitchThatWasUndoneAreEmptied: writers see it at once, and write to a table that wasn't switched away from.
func TestPacksOfASwitchThatWasUndoneAreEmptied(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.limits.rotateBytes = 1 << 20
	r.install()
	r.exec(`begin; update datawatch.slots set switched_xid = pg_current_xact_id(), switched_seq = 1 where slot = 0; update datawatch.queue set current = 1; rollback`)
	r.writesSingles(`insert into t select coalesce(max(id), 0) + 1, 'a' from t`)
	if n := r.number(`select count(*) from datawatch.single_1`); n == 0 {
		t.Fatal("nothing is in the next table")
	}
	stop := r.start()
	n := 20
	testrig.Eventually(t, time.Minute, func() error {
		r.exec(fmt.Sprintf(`insert into t select %d + g, repeat(md5(g::text), 12) from generate_series(1, 2000) g`, n))
		n += 2000
		if slot := r.number(`select current from datawatch.queue`); slot == 0 {
			return errors.New("triggers write to the first table still")
		}
		return nil
	})
	r.await(n)
	_ = stop()
}

func TestALargeStatementNeedsBoundedMemory(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.install()
	r.exec(`insert into t select g, 'row number ' || g from generate_series(1, 300000) g`)
	count := 0
	var peak uint64
	r.fail = func(int) (bool, bool) {
		count += len(r.events)
		r.events = nil // only counted
		runtime.GC()   // what is alive counts
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
		return false, false
	}
	end := r.start()
	testrig.WhileMoving(t, time.Minute, func() (got int, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if got = count + len(r.events); got < 300000 {
			err = fmt.Errorf("%d events", got)
		}
		return got, err
	})
	_ = end()
	if peak > 64<<20 {
		t.Errorf("%d MiB were alive", peak>>20)
	}
	t.Logf("at most %d MiB were alive", peak>>20)
}

// TestPacksAreBoundedByRowsAndBytes, of whatever form and statement: the collector holds one as a whole.
func TestPacksAreBoundedByRowsAndBytes(t *testing.T) {
	r := newRig(t, `create table sent (id int primary key, v text)`, `create table printed (id int primary key, v text, p point)`)
	r.install()
	for _, table := range []string{"sent", "printed"} {
		r.exec(strings.ReplaceAll(`insert into T select generate_series(1, 2000); update T set v = 'x'; delete from T where id > 100; update T set v = repeat('y', 60000); update T set v = v || 'z'; delete from T`, "T", table))
	}
	var packs, rows, most, bytes int64
	if err := r.db.QueryRow(t.Context(), `select count(*), sum(rows), max(rows), max(octet_length(before::text) + octet_length(after::text) + (select coalesce(sum(octet_length(o)), 0) from unnest(olds) o) + (select coalesce(sum(octet_length(n)), 0) from unnest(news) n))
		from (select rows, coalesce(before, '') as before, coalesce(after, '') as after, olds, news from datawatch.outbox) packs`).Scan(&packs, &rows, &most, &bytes); err != nil {
		t.Fatal(err)
	}
	if want := int64(2 * (2000 + 2000 + 1900 + 3*100)); rows != want || packs < 100 || most > 200 || bytes > 5<<18 {
		t.Errorf("%d rows of %d in %d packs, of at most %d rows and %d bytes", rows, want, packs, most, bytes)
	}
}

// TestAStatementHasItsNumberBehindItsTransactionsID: a mark made in between would have the reader begin above it. With wal_level minimal,
// TRUNCATE takes an id when it is captured, and not before.
func TestAStatementHasItsNumberBehindItsTransactionsID(t *testing.T) {
	private := testrig.PrivatePostgres(t, postgres.Options{Settings: map[string]string{"wal_level": "minimal", "max_wal_senders": "0"}})
	const rows = 250000
	r := newRigOn(t, private.DSN("postgres"), `create table m (id int primary key, v text) partition by range (id)`, `create table m_1 partition of m for values from (0) to (10000000)`,
		`create table other (id int)`, fmt.Sprintf(`insert into m select g, 'v' from generate_series(1, %d) g`, rows))
	r.install()
	_ = r.start()
	n := 0
	write := func() {
		n++
		r.exec(fmt.Sprintf(`insert into other values (%d)`, n))
		time.Sleep(markEvery / 2)
	}
	for range 10 {
		write()
	}
	other := r.session()
	done := make(chan error, 1)
	go func() {
		_, err := other.Exec(t.Context(), `truncate m_1`)
		done <- err
	}()
	for ended := false; !ended; {
		select {
		case err := <-done:
			if ended = true; err != nil {
				t.Fatal(err)
			}
		default:
			write()
		}
	}
	r.await(n + rows)
}

// TestAPageOfWideRowsIsChosenWithoutTemporaryFiles: of many wide rows that wait a page has few.
func TestAPageOfWideRowsIsChosenWithoutTemporaryFiles(t *testing.T) {
	for _, kind := range []string{"int", "float"} { // whose rows are sent, and JSON
		r := newRig(t, `create table t (id `+kind+` primary key, v text)`)
		r.install()
		r.exec(`do $$ begin for i in 1..600 loop insert into t select i, string_agg(md5(g::text || i), '') from generate_series(1, 2200) g; end loop; end $$`)
		const written = `select temp_bytes >> 20 from pg_stat_database where datname = current_database()`
		before := r.number(written)
		if got := r.wait(600); len(got[0].Value) < 70000 {
			t.Errorf("the first one is %.100s", got[0].Value)
		}
		testrig.Eventually(t, 10*time.Second, func() error { // sessions tell of it when they are idle or end
			if n := r.number(`select count(*) from pg_stat_activity where datname = current_database()`); n > 1 {
				return fmt.Errorf("%d sessions", n)
			}
			return nil
		})
		if n := r.number(written) - before; n > 40 {
			t.Errorf("%s: %d MB of temporary files for 40 MB of rows", kind, n)
		}
	}
}
