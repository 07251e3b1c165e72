package wal

import (
	"context"
	"fmt"

	"github.com/jackc/pglogrepl"

	"datawatch/collector/internal/postgres"
	"datawatch/collector/internal/source"
)

// checkpoint is a place in a server's WAL: what committed before the checkpoint is before it.
type checkpoint struct {
	system string
	lsn    pglogrepl.LSN
}

var _ source.Checkpointer = (*Source)(nil)

// checkpointPrefix is that of messages which have whoever reads the slot commit how far it is, also where it found nothing
// that is captured.
const checkpointPrefix = "datawatch.checkpoint"

// Checkpoint implements source.Checkpointer.
func (s *Source) Checkpoint(ctx context.Context) (source.Checkpoint, error) {
	db, err := s.connectReader(ctx)
	if err != nil {
		return nil, err
	}
	defer postgres.CloseConn(ctx, db)
	about, err := askServer(ctx, db)
	if err != nil {
		return nil, err
	}
	if about.standby {
		return nil, errStandby
	}
	var text string
	if err := db.QueryRow(ctx, "select pg_current_wal_insert_lsn()::text").Scan(&text); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	lsn, err := pglogrepl.ParseLSN(text)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if _, err := db.PgConn().Exec(ctx, flushSQL(checkpointPrefix)).ReadAll(); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return &checkpoint{about.system, lsn}, nil
}

// Reached implements source.Checkpoint.
func (c *checkpoint) Reached(_ context.Context, committed source.Progress) (bool, error) {
	p, err := parseProgress(committed)
	if err != nil || p.read == nil || p.read.System != c.system {
		return false, err
	}
	return p.read.LSN >= c.lsn, nil
}

// Close implements source.Checkpoint.
func (c *checkpoint) Close(context.Context) {}
