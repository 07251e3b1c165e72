package wal

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATEs (https://www.postgresql.org/docs/current/errcodes-appendix.html).
const (
	codeInUse     = "55006" // the slot is read by another session
	codeLocked    = "55P03" // lock_timeout
	codeNoFile    = "58P01" // a file isn't there
	codeLimit     = "54000" // a text is larger than PostgreSQL can make
	codeInternal  = "XX000"
	codeUndefined = "42704" // a publication isn't there
	codeRefused   = "0A000" // of two publications with a table, one leaves columns out
	classData     = "22"    // of codes: a value can't be printed, as text that isn't UTF-8 or isn't in its encoding
)

// streamError is one that the server ended the stream with.
type streamError struct{ err error }

func (e *streamError) Error() string { return "read the WAL: " + e.err.Error() }
func (e *streamError) Unwrap() error { return e.err }

// undecodable tells whether the server will answer the same for ever: WAL is gone, or was written while a publication
// wasn't there, or published other columns of a table than the other one. An invalidated slot says so itself.
func undecodable(err error) bool {
	var stream *streamError
	return errors.As(err, &stream) && (hasCode(err, codeUndefined, codeRefused) || removed(err))
}

// removed tells whether WAL isn't there any more that the slot needs. Other files that the server doesn't find have the same code, and
// messages may be in any language.
func removed(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && server.Code == codeNoFile && slices.Contains([]string{"WalSndSegmentOpen", "CheckXLogRemoved"}, server.Routine)
}

// unsendable tells whether a row's text, or all of it, is larger than the server can make (a bytea of 512 MB is twice as long), or can't be
// printed.
func unsendable(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && (server.Code == codeLimit || strings.HasPrefix(server.Code, classData) ||
		server.Code == codeInternal && strings.HasPrefix(server.Message, "invalid memory alloc request size"))
}

func hasCode(err error, codes ...string) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && slices.Contains(codes, server.Code)
}

const (
	retryFor   = 20 * time.Second
	retryPause = 100 * time.Millisecond
	// seenWithin is how long a commit that the WAL has is waited for that others don't see yet.
	seenWithin = 3 * time.Second
)

// retry tries again while the server answers with this code, for a while.
func retry(ctx context.Context, do func() error, code string) error {
	for deadline := time.Now().Add(retryFor); ; {
		err := do()
		if err == nil || !hasCode(err, code) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryPause + rand.N(retryPause)):
		}
	}
}
