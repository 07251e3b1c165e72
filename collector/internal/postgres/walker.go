package postgres

import (
	"context"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
)

// Walker reads tables in chunks for capture from the WAL (package wal).
type Walker struct{ s *Source }

// NewWalker reads what the configuration allows.
func NewWalker(name string, c Config, o Options) *Walker { return &Walker{s: New(name, c, o)} }

// Tracker keeps account of the source's snapshots.
func (w *Walker) Tracker(committed source.Progress, requests <-chan source.SnapshotRequest) (*backfill.Tracker, error) {
	w.s.requests = requests
	return w.s.newTracker(committed)
}

// Check finds out whether the initial snapshot, where one is configured, could read all tables, and mask hides what it names.
func (w *Walker) Check(ctx context.Context, db *pgx.Conn) []daemon.Finding {
	return append(w.s.snapshotable(ctx, db), w.s.maskable(ctx, db)...)
}

// ChunkRows bounds what is read at a time; 0 leaves it as it is.
func (w *Walker) ChunkRows(n int) { w.s.limits.chunkRows = n }

// Chunk is a run of a table's rows, as one database snapshot has them.
type Chunk struct {
	Columns []event.Column
	Rows    []WalkedRow
	Bytes   int64
	Next    json.RawMessage // the cursor behind it
	Done    bool            // there are no more

	seen snapshot
}

// WalkedRow is a row as to_json prints it; nil where it is larger than a record may be.
type WalkedRow struct {
	At  []string // its key, or its place
	Row []byte
}

// Sees tells whether the chunk's snapshot sees what a transaction did.
func (c *Chunk) Sees(xid uint64) bool { return c.seen.over(xid) }

// Read reads on in a table. Within, and in the same transaction, is run before the rows are read.
func (w *Walker) Read(ctx context.Context, db *pgx.Conn, part *backfill.Part, within func(context.Context) error) (*Chunk, error) {
	at, err := parsePlace(part.Place)
	if err != nil {
		return nil, err
	}
	var out *Chunk
	err = w.s.withRelation(ctx, db, at.oid, func(rel *relation) error {
		var text string
		if err := db.QueryRow(ctx, "select pg_current_snapshot()::text").Scan(&text); err != nil {
			return err
		}
		seen, err := parseSnapshot(text)
		if err != nil {
			return err
		}
		if err := within(ctx); err != nil {
			return err
		}
		c, err := w.s.rowsOf(ctx, db, rel, part)
		if err != nil {
			return err
		}
		out = &Chunk{Columns: rel.parsed.columns, Bytes: c.bytes, Next: c.next, Done: c.done, seen: seen}
		for _, row := range c.rows {
			out.Rows = append(out.Rows, WalkedRow{At: row.at, Row: row.row})
		}
		return nil
	})
	return out, err
}

// RowKey is the key of a row that was read. It fails where no event can be made of the row.
func RowKey(columns []event.Column, key []string, row []byte) (json.RawMessage, error) {
	if !utf8.Valid(row) {
		return nil, errEncoding
	}
	return normalize.RowKey(columns, key, row)
}

// Refused is why a table isn't read.
type Refused = refused

// Obstacle is what an error in reading a table means, while the session lives: the table is read again after a while, or it
// is left out, which is said why. It is neither where the error isn't the database's.
func (w *Walker) Obstacle(err error) (why Refused, wait time.Duration) { return w.s.obstacle(err) }

// Part is that of a table, by its oid.
func Part(stream event.Stream, oid uint32, estimate int64, keyless bool) *backfill.Part {
	return partAt(stream, place{oid: oid}, estimate, keyless)
}

// PartOID is the table of a part.
func PartOID(p *backfill.Part) (uint32, error) {
	at, err := parsePlace(p.Place)
	return at.oid, err
}
