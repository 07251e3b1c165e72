package e2e_test

import (
	"testing"
	"time"

	"datawatch/deploy/telegramsim"
	"datawatch/pkg/testrig"
)

// BenchmarkPostgresToRaw is of 200,000 rows of 200 bytes that one statement writes: what a collector captures a second from
// its commit on, and the most memory that it takes.
func BenchmarkPostgresToRaw(b *testing.B) {
	for _, capture := range []string{"triggers", "wal"} {
		b.Run(capture, func(b *testing.B) { benchPostgresToRaw(b, capture) })
	}
}

func benchPostgresToRaw(b *testing.B, capture string) {
	const rows = 200_000
	servers := places{DSN: testrig.Postgres(b).Database(b), Company: testrig.Embedded(b), Internal: benchKafka(b).Addr()}
	w := newWorldOf(b, servers, servers, telegramsim.Limits{})
	db := newBulk(b, w)
	w.configure(`tables: ["public.*"]`, bulkCapture(capture))
	w.start("collector")
	_, topics := w.broker()
	var count int64
	var took time.Duration
	n := 0
	for b.Loop() {
		already := w.sum(topics.Raw)
		c, t := capturing(b, w, topics.Raw, already, rows, func() { db.write(n, n+rows, 140) })
		count, took, n = count+c, took+t, n+rows
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(count)/took.Seconds(), "events/s")
	b.ReportMetric(float64(highWater(b, w.processes["collector"].PID()))/(1<<20), "peak-MB")
}
