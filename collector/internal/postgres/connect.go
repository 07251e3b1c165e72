package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datawatch/pkg/config"
	"datawatch/pkg/reason"
)

// applicationName is how our sessions show in pg_stat_activity.
const applicationName = "datawatch-collector"

const connectTimeout = 10 * time.Second

// querier is a connection or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// connect opens a session whose settings don't depend on the role's or the database's.
func connect(ctx context.Context, dsn config.Secret) (*pgx.Conn, error) {
	c, err := pgx.ParseConfig(dsn.Reveal())
	if err != nil { // it may quote the password
		return nil, reason.New(reason.NoAddress.With())
	}
	for name, value := range map[string]string{
		"application_name":                    applicationName,
		"search_path":                         "pg_catalog",
		"client_encoding":                     "UTF8",
		"timezone":                            "UTC",
		"datestyle":                           "ISO, YMD",
		"standard_conforming_strings":         "on",
		"idle_in_transaction_session_timeout": "60s",
		"statement_timeout":                   "0",
		"synchronous_commit":                  "local", // what we note waits for no standby
		"jit":                                 "off",   // queries of the catalog are quick, and seem expensive where it is large
	} {
		c.RuntimeParams[name] = value
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	db, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, reason.Wrap(err, reason.NotConnected.With())
	}
	return db, nil
}

// closeConn says goodbye also when ctx is done.
func closeConn(ctx context.Context, db *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = db.Close(ctx) // the server notices either way
}

func (s *Source) connectReader(ctx context.Context) (*pgx.Conn, error) {
	return connect(ctx, s.config.DSN)
}

func (s *Source) connectInstaller(ctx context.Context) (*pgx.Conn, error) {
	if s.config.InstallDSN != "" {
		return connect(ctx, s.config.InstallDSN)
	}
	return s.connectReader(ctx)
}

// readerRole is the role that reads, or "" where it is the installer's.
func (s *Source) readerRole(ctx context.Context, installer querier) (string, error) {
	if s.config.InstallDSN == "" {
		return "", nil
	}
	db, err := s.connectReader(ctx)
	if err != nil {
		return "", err
	}
	defer closeConn(ctx, db)
	var reads, installs string
	if err := db.QueryRow(ctx, "select current_user").Scan(&reads); err != nil {
		return "", fmt.Errorf("ask who reads: %w", err)
	}
	if err := installer.QueryRow(ctx, "select current_user").Scan(&installs); err != nil {
		return "", fmt.Errorf("ask who installs: %w", err)
	}
	if reads == installs {
		return "", nil
	}
	return reads, nil
}

// isHotStandby tells whether the server only replays another's changes.
func isHotStandby(ctx context.Context, db querier) (bool, error) {
	var standby bool
	if err := db.QueryRow(ctx, "select pg_is_in_recovery()").Scan(&standby); err != nil {
		return false, fmt.Errorf("ask whether the server is a standby: %w", err)
	}
	return standby, nil
}

// message is an error of PostgreSQL in few words.
func message(err error) string {
	return strings.TrimPrefix(err.Error(), "ERROR: ")
}
