package wal

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/postgres"
	"datawatch/collector/internal/source"
	"datawatch/pkg/config"
	"datawatch/pkg/testrig"
	servers "datawatch/pkg/testrig/postgres"
)

// benchServer is one that is set up as a user's is, so that a commit costs what it does there.
func benchServer(b *testing.B) (dsn string, db *pgx.Conn, s *Source) {
	b.Helper()
	server := testrig.PrivatePostgres(b, servers.Options{Settings: map[string]string{"shared_buffers": "256MB", "max_wal_size": "4GB"}})
	if err := server.CreateDatabase(b.Context(), "shop"); err != nil {
		b.Fatal(err)
	}
	dsn = server.DSN("shop")
	db, err := pgx.Connect(b.Context(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close(context.Background()) })
	var c postgres.Config
	c.SetDefaults()
	c.DSN, c.Capture, c.AllowUnboundedWAL = config.Secret(dsn), "wal", true
	return dsn, db, New("shop-db", c, Options{})
}

func benchExec(b *testing.B, db *pgx.Conn, sql string) {
	b.Helper()
	if _, err := db.PgConn().Exec(b.Context(), sql).ReadAll(); err != nil {
		b.Fatal(err)
	}
}

const benchTable = `create table t (id int primary key, customer text, total numeric(12,2), at timestamptz default now(), note text)`

// BenchmarkBacklog reads rows of about 200 bytes that one transaction wrote, from the WAL to events.
func BenchmarkBacklog(b *testing.B) {
	const rows = 200_000
	_, db, s := benchServer(b)
	benchExec(b, db, benchTable)
	if err := s.Install(b.Context()); err != nil {
		b.Fatal(err)
	}
	benchExec(b, db, fmt.Sprintf(`insert into t select g, 'customer ' || g, g * 1.01, now(), repeat('x', 140) from generate_series(1, %d) g`, rows))
	b.ResetTimer()
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		n := 0
		err := s.Run(ctx, nil, func(_ context.Context, batch source.Batch) error {
			if n += len(batch.Events); n >= rows {
				cancel()
				return context.Canceled // the slot stays where it is, for the next round
			}
			return nil
		})
		cancel()
		if n < rows {
			b.Fatal(err)
		}
	}
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkUpdates has 8 clients update single rows, in turns with and without a collector that reads, and gives the ratio.
func BenchmarkUpdates(b *testing.B) {
	const clients, turns, turn = 8, 6, 3 * time.Second
	dsn, db, s := benchServer(b)
	benchExec(b, db, benchTable+`; insert into t select g, 'customer ' || g, g * 1.01, now(), repeat('x', 140) from generate_series(1, 100000) g; vacuum analyze t`)
	var rates [2]float64
	for b.Loop() {
		for i := range 2 * turns {
			with := i % 2
			stop := func() {}
			if with == 1 {
				stop = benchCapture(b, s)
			}
			rates[with] += benchUpdates(b, dsn, clients, turn)
			stop()
			if err := s.Remove(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(rates[1]/rates[0], "ratio")
	b.ReportMetric(rates[0]/float64(turns*b.N), "without/s")
	b.ReportMetric(rates[1]/float64(turns*b.N), "with/s")
}

// benchCapture runs the source until it is stopped.
func benchCapture(b *testing.B, s *Source) (stop func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	done, begun := make(chan struct{}), make(chan struct{})
	var once sync.Once
	go func() {
		defer close(done)
		_ = s.Run(ctx, nil, func(context.Context, source.Batch) error {
			once.Do(func() { close(begun) })
			return nil
		})
	}()
	<-begun
	return func() {
		cancel()
		<-done
	}
}

func benchUpdates(b *testing.B, dsn string, clients int, turn time.Duration) (rate float64) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), turn)
	defer cancel()
	var n atomic.Int64
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			db, err := pgx.Connect(b.Context(), dsn)
			if err != nil {
				b.Error(err)
				return
			}
			defer func() { _ = db.Close(context.Background()) }()
			for ctx.Err() == nil {
				if _, err := db.Exec(b.Context(), "update t set total = total + 1 where id = $1", 1+rand.IntN(100_000)); err != nil {
					b.Error(err)
					return
				}
				n.Add(1)
			}
		})
	}
	began := time.Now()
	group.Wait()
	return float64(n.Load()) / time.Since(began).Seconds()
}
