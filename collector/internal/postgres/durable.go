package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// flushSQL has the server write the WAL to disk: our sessions' commits wait for that.
	flushSQL = `select pg_logical_emit_message(true, '` + applicationName + `', '')`
	// flushPause is how long a role that may not have it written waits before it asks again whether it is.
	flushPause = 10 * time.Millisecond

	codeInsufficientPrivilege = "42501"
)

// durable waits until the server's disk has what was polled. Others see a transaction with synchronous_commit off before that,
// and a crash undoes it: told by then, it would be a change that never was. So would the ids of transactions that were rolled
// back be given out again, which progress takes for over.
func (r *reader) durable(ctx context.Context) error {
	for forbidden := false; r.unflushed != ""; {
		var flushed bool
		if err := r.db.QueryRow(ctx, "select pg_current_wal_flush_lsn() >= $1::text::pg_lsn", r.unflushed).Scan(&flushed); err != nil {
			return fmt.Errorf("ask what the server's disk has: %w", err)
		}
		if !flushed && !forbidden {
			_, err := r.db.Exec(ctx, flushSQL)
			var server *pgconn.PgError
			forbidden = errors.As(err, &server) && server.Code == codeInsufficientPrivilege
			if err != nil && !forbidden {
				return fmt.Errorf("have the server write its WAL: %w", err)
			}
			flushed = err == nil
		}
		if flushed {
			r.unflushed = ""
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(flushPause):
		}
	}
	return nil
}
