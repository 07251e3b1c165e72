package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/deploy/telegramsim"
	"datawatch/pkg/testrig"
)

// BenchmarkPostgresToRaw is of 200,000 rows of 200 bytes that one statement writes: what a collector captures a second from
// its commit on, and the most memory that it takes.
func BenchmarkPostgresToRaw(b *testing.B) {
	const rows = 200_000
	servers := places{DSN: testrig.Postgres(b).Database(b), Company: testrig.Embedded(b), Internal: benchKafka(b).Addr()}
	w := newWorldOf(b, servers, servers, telegramsim.Limits{})
	db, err := pgx.Connect(b.Context(), servers.DSN)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close(context.Background()) }()
	if _, err := db.Exec(b.Context(), `create table bulk (id int primary key, customer text, total numeric(12,2), at timestamptz default now(), note text)`); err != nil {
		b.Fatal(err)
	}
	w.start("collector")
	_, topics := w.broker()
	var count int64
	var took time.Duration
	n := 0
	for b.Loop() {
		already := w.sum(topics.Raw)
		c, t := capturing(b, w, topics.Raw, already, rows, func() {
			if _, err := db.Exec(b.Context(), `insert into bulk select g, 'customer ' || g, g * 1.01, now(), repeat('x', 140) from generate_series($1::int, $2::int) g`, n+1, n+rows); err != nil {
				b.Fatal(err)
			}
		})
		count, took, n = count+c, took+t, n+rows
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(count)/took.Seconds(), "events/s")
	b.ReportMetric(float64(highWater(b, w.processes["collector"].PID()))/(1<<20), "peak-MB")
}
