package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"datawatch/pkg/reason"
)

const (
	// flushSQL has the server write the WAL to disk: our sessions' commits wait for that.
	flushSQL = `select pg_logical_emit_message(true, '` + applicationName + `', '')`
	// flushPause is how long a role that may not have it written waits before it asks again whether it is.
	flushPause = 10 * time.Millisecond

	codeInsufficientPrivilege = "42501"
)

var errNoPlaces = reason.New(reason.NoPlaces.With())

// tellsPlaces finds out whether the server, which is no standby, tells where its WAL ends: not all do that speak PostgreSQL's protocol.
func tellsPlaces(ctx context.Context, db querier) error {
	var tells *bool
	if err := db.QueryRow(ctx, "select case when not pg_is_in_recovery() then pg_current_wal_flush_lsn() <= pg_current_wal_insert_lsn() end").Scan(&tells); err != nil {
		return reason.Wrap(err, errNoPlaces.Why).Advise(reason.DoNoPlaces.With())
	}
	return nil
}

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
