package wal

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// BenchmarkUpdates has 8 clients update single rows, in turns with and without a reader of the slot on the same host, and
// gives the ratio: the median of the turns, since others may be at work there. PostgreSQL's own pg_recvlogical, which throws
// away what it reads, is the bound; a slot that nobody reads shows what the writers themselves pay, the rest being what
// decodes and reads beside them. Clients send prepared statements, or whole ones by the simple protocol.
func BenchmarkUpdates(b *testing.B) {
	readers := []struct {
		name string
		read func(*testing.B, *Source) func()
	}{{"datawatch", benchCapture}, {"nobody", benchNobody}}
	if program := receiver(); program != "" {
		readers = append(readers, struct {
			name string
			read func(*testing.B, *Source) func()
		}{"pg_recvlogical", func(b *testing.B, s *Source) func() { return benchReceive(b, s, program) }})
	}
	for _, r := range readers {
		b.Run(r.name+"/prepared", func(b *testing.B) { benchRatio(b, pgx.QueryExecModeCacheStatement, r.read) })
		b.Run(r.name+"/simple", func(b *testing.B) { benchRatio(b, pgx.QueryExecModeSimpleProtocol, r.read) })
	}
}

// benchNobody has a slot that nobody reads.
func benchNobody(b *testing.B, s *Source) (stop func()) {
	b.Helper()
	if err := s.Install(b.Context()); err != nil {
		b.Fatal(err)
	}
	return func() {}
}

// receiver is where pg_recvlogical is, "" where it isn't installed.
func receiver() string {
	if program, err := exec.LookPath("pg_recvlogical"); err == nil {
		return program
	}
	installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_recvlogical") // the pattern is well-formed
	if len(installed) == 0 {
		return ""
	}
	return installed[len(installed)-1]
}

// benchReceive has PostgreSQL's program read the slot.
func benchReceive(b *testing.B, s *Source, program string) (stop func()) {
	b.Helper()
	if err := s.Install(b.Context()); err != nil {
		b.Fatal(err)
	}
	c := exec.CommandContext(b.Context(), program, "-d", s.config.DSN.Reveal(), "--slot", s.names.slot, "--start", "-f", "/dev/null",
		"-o", "proto_version=1", "-o", "publication_names="+s.names.inserts+","+s.names.all)
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	return func() {
		_ = c.Process.Signal(os.Interrupt)
		_ = c.Wait() // it says that it was interrupted
	}
}

func benchRatio(b *testing.B, mode pgx.QueryExecMode, read func(*testing.B, *Source) func()) {
	const clients, turns, turn = 8, 5, 2 * time.Second
	dsn, db, s := benchServer(b)
	benchExec(b, db, benchTable+`; insert into t select g, 'customer ' || g, g * 1.01, now(), repeat('x', 140) from generate_series(1, 100000) g`)
	benchExec(b, db, `vacuum analyze t`)
	var ratios, rates []float64
	for b.Loop() {
		before := benchUpdates(b, dsn, mode, clients, turn)
		for range turns {
			stop := read(b, s)
			with := benchUpdates(b, dsn, mode, clients, turn)
			stop()
			if err := s.Remove(b.Context()); err != nil {
				b.Fatal(err)
			}
			after := benchUpdates(b, dsn, mode, clients, turn)
			ratios, rates = append(ratios, with/((before+after)/2)), append(rates, with)
			before = after
		}
	}
	slices.Sort(ratios)
	slices.Sort(rates)
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(rates[len(rates)/2], "updates/s")
}

// benchCapture runs the source until it is stopped. Its broker takes 10 ms a batch, as a transaction of Kafka does.
func benchCapture(b *testing.B, s *Source) (stop func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	done, begun := make(chan struct{}), make(chan struct{})
	var once sync.Once
	go func() {
		defer close(done)
		_ = s.Run(ctx, nil, func(context.Context, source.Batch) error {
			once.Do(func() { close(begun) })
			time.Sleep(10 * time.Millisecond)
			return nil
		})
	}()
	<-begun
	return func() {
		cancel()
		<-done
	}
}

func benchUpdates(b *testing.B, dsn string, mode pgx.QueryExecMode, clients int, turn time.Duration) (rate float64) {
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
				if _, err := db.Exec(b.Context(), "update t set total = total + 1 where id = $1", mode, 1+rand.IntN(100_000)); err != nil {
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
