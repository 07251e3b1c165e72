package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"time"
)

//go:embed sql/estimate.sql
var estimateSQL string

// Estimate is what capture would write, by the server's statistics of what was written so far. How many bytes these are
// depends on how many rows a statement changes, which statistics don't tell: two figures bound it. Values that compress well take
// less.
type Estimate struct {
	BytesPerHour     int64     `json:"outbox_bytes_per_hour"`      // where each statement changes one row
	BulkBytesPerHour int64     `json:"bulk_outbox_bytes_per_hour"` // where statements change hundreds
	RowsPerHour      int64     `json:"rows_per_hour"`
	Since            time.Time `json:"since"` // of the statistics
}

// Estimate reckons what the selected tables would put into the outbox.
func (s *Source) Estimate(ctx context.Context) (Estimate, error) {
	var e Estimate
	db, err := s.connectInstaller(ctx)
	if err != nil {
		return e, err
	}
	defer closeConn(ctx, db)
	state, err := s.installedState(ctx, db, "")
	if err != nil {
		return e, err
	}
	tables, _, err := s.tables(ctx, db)
	if err != nil {
		return e, err
	}
	oids, sent := make([]uint32, len(tables)), make([]bool, len(tables))
	for i, t := range tables {
		oids[i], sent[i] = t.oid, state.followed() && sendableShape(t.shape)
	}
	if err := db.QueryRow(ctx, estimateSQL, oids, sent).Scan(&e.BytesPerHour, &e.BulkBytesPerHour, &e.RowsPerHour, &e.Since); err != nil {
		return e, fmt.Errorf("estimate the outbox: %w", err)
	}
	return e, nil
}
