package postgres

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/config"
	"datawatch/pkg/testrig"
	servers "datawatch/pkg/testrig/postgres"
)

// yard has two tables that are alike: plain, and captured, which has our triggers.
type yard struct {
	b   *testing.B
	dsn string
	db  *pgx.Conn
}

func newYard(b *testing.B) *yard { return newYardOn(b, testrig.Postgres(b).Database(b)) }

func newYardOn(b *testing.B, dsn string) *yard {
	y := &yard{b: b, dsn: dsn}
	y.db = y.session()
	for _, table := range []string{"plain", "captured"} {
		y.exec("create table " + table + " (id int primary key, name text, email text, amount numeric(12,2), at timestamptz default now(), note text)")
	}
	var c Config
	c.SetDefaults()
	c.DSN, c.Tables, c.Outbox.WhenFull = config.Secret(y.dsn), []string{"public.captured"}, whenFullGrow
	if err := New("shop-db", c, Options{}).Install(b.Context()); err != nil {
		b.Fatal(err)
	}
	return y
}

func (y *yard) session() *pgx.Conn {
	db, err := pgx.Connect(y.b.Context(), y.dsn)
	if err != nil {
		y.b.Fatal(err)
	}
	y.b.Cleanup(func() { _ = db.Close(context.Background()) })
	return db
}

func (y *yard) exec(sql string) {
	if _, err := y.db.PgConn().Exec(y.b.Context(), sql).ReadAll(); err != nil {
		y.b.Fatalf("%s: %v", sql, err)
	}
}

const rows100000 = ` select g, 'name ' || g, 'u' || g || '@example.com', g * 1.25, now(), repeat('n', 80) from generate_series(1, 100000) g`

// cost is what a statement on a table takes: time, and bytes of WAL.
func (y *yard) cost(table, before, do string) (time.Duration, float64) {
	y.exec("set session_replication_role = replica; truncate " + table + "; " + fmt.Sprintf(before, table) + "; set session_replication_role = origin; " + emptyOutbox + "; checkpoint")
	var from, bytes float64
	where := func(v *float64) {
		if err := y.db.QueryRow(y.b.Context(), "select pg_current_wal_insert_lsn() - '0/0'").Scan(v); err != nil {
			y.b.Fatal(err)
		}
	}
	where(&from)
	started := time.Now()
	y.exec(fmt.Sprintf(do, table))
	took := time.Since(started)
	where(&bytes)
	return took, bytes - from
}

// BenchmarkBulk tells what 100,000 rows by one statement cost, as a multiple of what they cost without capture: the best
// of each, in turns on one server.
func BenchmarkBulk(b *testing.B) {
	fill := "insert into %s" + rows100000
	for _, c := range []struct{ name, before, do string }{
		{"insert", "select 1 /* %s */", fill},
		{"update", fill, "update %s set amount = amount + 1"},
		{"delete", fill, "delete from %s"},
	} {
		b.Run(c.name, func(b *testing.B) {
			y := newYard(b)
			best := map[string]time.Duration{}
			wal := map[string]float64{}
			b.ResetTimer()
			for range max(3, b.N) {
				for _, table := range []string{"plain", "captured"} {
					took, bytes := y.cost(table, c.before, c.do)
					if best[table] == 0 || took < best[table] {
						best[table] = took
					}
					wal[table] += bytes
				}
			}
			b.ReportMetric(best["captured"].Seconds()/best["plain"].Seconds(), "x-time")
			b.ReportMetric(wal["captured"]/wal["plain"], "x-wal")
		})
	}
}

// protocols are how clients send statements: prepared once, which leaves a server the least to do for a statement, and whole
// each time, as psql, pgbench by default and many drivers do.
var protocols = []struct {
	name string
	mode pgx.QueryExecMode
}{{"prepared", pgx.QueryExecModeCacheStatement}, {"simple", pgx.QueryExecModeSimpleProtocol}}

// BenchmarkThousandStatements is of 1,000 statements of a row each, sent by a client one by one in one transaction.
func BenchmarkThousandStatements(b *testing.B) {
	for _, p := range protocols {
		b.Run(p.name, func(b *testing.B) { benchThousandStatements(b, p.mode) })
	}
}

func benchThousandStatements(b *testing.B, mode pgx.QueryExecMode) {
	y := newYard(b)
	best := map[string]time.Duration{}
	for range max(5, b.N) {
		for _, table := range []string{"plain", "captured"} {
			y.exec("truncate " + table + "; " + emptyOutbox)
			started := time.Now()
			err := pgx.BeginFunc(b.Context(), y.db, func(tx pgx.Tx) error {
				for i := range 1000 {
					if _, err := tx.Exec(b.Context(), "insert into "+table+" values ($1, 'n', 'e', 1, now(), 'note')", mode, i); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			if took := time.Since(started); best[table] == 0 || took < best[table] {
				best[table] = took
			}
		}
	}
	b.ReportMetric(best["captured"].Seconds()/best["plain"].Seconds(), "x-time")
	b.ReportMetric(float64(best["plain"].Microseconds())/1000, "us/plain-statement")
}

// BenchmarkSingleRows is of updates of one row each by 8 clients: the rate with capture, as a part of that without. A user's
// server writes through to its disk; one that doesn't shows what the processor has to do.
func BenchmarkSingleRows(b *testing.B) {
	for _, fsync := range []string{"on", "off"} {
		for _, p := range protocols {
			b.Run("fsync="+fsync+"/"+p.name, func(b *testing.B) {
				server := testrig.PrivatePostgres(b, servers.Options{Settings: map[string]string{"fsync": fsync, "shared_buffers": "256MB", "max_wal_size": "4GB"}})
				if err := server.CreateDatabase(b.Context(), "shop"); err != nil {
					b.Fatal(err)
				}
				benchSingleRows(b, newYardOn(b, server.DSN("shop")), p.mode)
			})
		}
	}
}

func benchSingleRows(b *testing.B, y *yard, mode pgx.QueryExecMode) {
	for _, table := range []string{"plain", "captured"} {
		y.exec("insert into " + table + rows100000)
	}
	const clients, turn = 8, 1500 * time.Millisecond
	sessions := make([]*pgx.Conn, clients)
	for i := range sessions {
		sessions[i] = y.session()
	}
	rate := func(table string) float64 {
		ctx, stop := context.WithTimeout(b.Context(), turn)
		defer stop()
		var done atomic.Int64
		var running sync.WaitGroup
		for i, db := range sessions {
			running.Go(func() {
				for n := i; ctx.Err() == nil; n += clients {
					if _, err := db.Exec(b.Context(), "update "+table+" set amount = amount + 1 where id = $1", mode, 1+n*7919%100000); err != nil {
						b.Error(err)
						return
					}
					done.Add(1)
				}
			})
		}
		running.Wait()
		return float64(done.Load()) / turn.Seconds()
	}
	var plain, captured float64
	b.ResetTimer()
	for range max(3, b.N) {
		plain = max(plain, rate("plain"))
		captured = max(captured, rate("captured"))
		y.exec(emptyOutbox)
	}
	b.ReportMetric(captured/plain, "x-rate")
	b.ReportMetric(captured, "updates/s")
}
