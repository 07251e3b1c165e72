package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"time"
)

//go:embed sql/estimate.sql
var estimateSQL string

// Estimate is what capture would write, by the server's statistics of what was written so far.
type Estimate struct {
	BytesPerHour int64     `json:"outbox_bytes_per_hour"` // before compression
	RowsPerHour  int64     `json:"rows_per_hour"`
	Since        time.Time `json:"since"` // of the statistics
}

// Estimate reckons what the selected tables would put into the outbox.
func (s *Source) Estimate(ctx context.Context) (Estimate, error) {
	var e Estimate
	db, err := s.connectInstaller(ctx)
	if err != nil {
		return e, err
	}
	defer closeConn(ctx, db)
	tables, _, err := s.tables(ctx, db)
	if err != nil {
		return e, err
	}
	oids := make([]uint32, len(tables))
	for i, t := range tables {
		oids[i] = t.oid
	}
	if err := db.QueryRow(ctx, estimateSQL, oids).Scan(&e.BytesPerHour, &e.RowsPerHour, &e.Since); err != nil {
		return e, fmt.Errorf("estimate the outbox: %w", err)
	}
	return e, nil
}
