package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/source"
)

// checkpoint is a snapshot of the database: what it sees was committed before.
type checkpoint struct {
	db       *pgx.Conn
	snapshot string
}

var _ source.Checkpointer = (*Source)(nil)

// Checkpoint implements source.Checkpointer.
func (s *Source) Checkpoint(ctx context.Context) (source.Checkpoint, error) {
	db, err := s.connectReader(ctx)
	if err != nil {
		return nil, err
	}
	c := &checkpoint{db: db}
	if err := db.QueryRow(ctx, "select pg_current_snapshot()::text").Scan(&c.snapshot); err != nil {
		closeConn(ctx, db)
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return c, nil
}

// Reached implements source.Checkpoint: no pack is in the outbox that the checkpoint sees and the progress doesn't.
func (c *checkpoint) Reached(ctx context.Context, committed source.Progress) (bool, error) {
	p, err := parseProgress(committed)
	if err != nil || p == nil || p.Capture != "" || p.Open != nil {
		return false, err
	}
	var waiting bool
	var w whereabouts
	if err := c.db.QueryRow(ctx, "select version, tableoid from datawatch.meta").Scan(&w.version, &w.meta); err != nil {
		return false, fmt.Errorf("ask what is installed: %w", err)
	}
	if p.remade(w) {
		return false, nil
	}
	err = c.db.QueryRow(ctx, `select exists (
		select from `+packsOf(w.version)+`
		where pg_visible_in_snapshot(txid, $1::text::pg_snapshot) and not pg_visible_in_snapshot(txid, $2::text::pg_snapshot))`,
		c.snapshot, p.Snapshot.String()).Scan(&waiting)
	if err != nil {
		return false, fmt.Errorf("look for what is before the checkpoint: %w", err)
	}
	return !waiting, nil
}

// Close implements source.Checkpoint.
func (c *checkpoint) Close(ctx context.Context) { closeConn(ctx, c.db) }
