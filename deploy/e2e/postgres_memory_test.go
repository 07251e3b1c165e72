package e2e_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/deploy/telegramsim"
	"datawatch/pkg/testrig"
)

// bulk is a table of the company's database that is written by large statements.
type bulk struct {
	t  testing.TB
	db *pgx.Conn
}

func newBulk(t testing.TB, w *world) *bulk {
	t.Helper()
	db, err := pgx.Connect(t.Context(), w.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(context.WithoutCancel(t.Context())) })
	b := &bulk{t, db}
	b.exec(`create table bulk (id int primary key, customer text, total numeric(12,2), at timestamptz default now(), note text)`)
	return b
}

func (b *bulk) exec(sql string, args ...any) {
	b.t.Helper()
	if _, err := b.db.Exec(b.t.Context(), sql, args...); err != nil {
		b.t.Fatal(err)
	}
}

// write writes the rows behind one number up to another, with a note of so many bytes.
func (b *bulk) write(from, to, note int) {
	b.t.Helper()
	b.exec(`insert into bulk select g, 'customer ' || g, g * 1.01, now(), repeat('x', $3::int) from generate_series($1::int, $2::int) g`, from+1, to, note)
}

// bulkCapture are the table's lines in the configuration.
func bulkCapture(capture string) string {
	return `tables: ["public.bulk"], capture: ` + capture + `, allow_unbounded_wal: true`
}

// TestPostgresIsCapturedWithinLittleMemory has statements of very many rows, and of rows as large as they are packed in
// PostgreSQL's binary form, captured as fast as it goes.
func TestPostgresIsCapturedWithinLittleMemory(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("the peak of a process is read from /proc")
	}
	const most, small, large, note = 130 << 20, 100_000, 500, 90_000
	servers := places{DSN: testrig.Postgres(t).Database(t), Company: testrig.Embedded(t), Internal: testrig.Kafka(t)}
	w := newWorldOf(t, servers, servers, telegramsim.Limits{})
	db := newBulk(t, w)
	_, topics := w.broker()
	n, tables := 0, `tables: ["public.*"]`
	for _, capture := range []string{"triggers", "wal"} {
		w.configure(tables, bulkCapture(capture))
		tables = bulkCapture(capture)
		w.start("collector")
		already := w.sum(topics.Raw)
		db.write(n, n+small, 140)
		db.write(n+small, n+small+large, note)
		n += small + large
		testrig.Eventually(t, 5*time.Minute, func() error { return w.hasRaw(already + small + large) })
		peak := highWater(t, w.processes["collector"].PID())
		t.Logf("%s: the collector held %d MB at most", capture, peak>>20)
		if peak >= most {
			t.Errorf("%s: the collector held %d MB at most, not less than %d", capture, peak>>20, most>>20)
		}
		w.end("collector")
	}
}
