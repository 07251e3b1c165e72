package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/config"
	"datawatch/pkg/event"
)

// What capture by triggers and capture from the WAL (package wal) have in common.

// CapturesWAL tells whether the source is to be captured from the WAL.
func (c *Config) CapturesWAL() bool { return c.Capture == captureWAL }

// Selects tells whether a table, or a partition tree by its root, is to be captured.
func (c *Config) Selects(schema, table string) bool { return c.selects(schema, table) }

// SameDatabase tells whether two connection strings name one database of one server, as far as they show it.
func SameDatabase(a, b config.Secret) bool {
	one, err := pgx.ParseConfig(a.Reveal())
	if err != nil {
		return false
	}
	other, err := pgx.ParseConfig(b.Reveal())
	return err == nil && one.Host == other.Host && one.Port == other.Port && one.Database == other.Database
}

// Connect opens a session whose settings don't depend on the role's or the database's, by the DSN that the configuration has under a key.
func Connect(ctx context.Context, key string, dsn config.Secret) (*pgx.Conn, error) {
	return connect(ctx, key, dsn)
}

// CloseConn says goodbye also when ctx is done.
func CloseConn(ctx context.Context, db *pgx.Conn) { closeConn(ctx, db) }

// InstallTries is how often a command tries to get a lock; a running collector tries again later.
const InstallTries = lockTries

// Apply runs statements in one transaction, behind what it begins with: again, at most so many times, where a lock can't be had in time.
func Apply(ctx context.Context, db *pgx.Conn, tries int, begin string, steps []Statement) error {
	return retryLocked(ctx, tries, func() error {
		return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
			if _, err := tx.Conn().PgConn().Exec(ctx, begin).ReadAll(); err != nil {
				return err
			}
			for _, step := range steps {
				sql := []string{step.SQL}
				if bound := step.Bound(); bound != "" {
					sql = []string{bound, step.SQL, Unbound}
				}
				for _, sql := range sql {
					_, err := tx.Conn().PgConn().Exec(ctx, sql).ReadAll()
					if step.Partitions > 0 && isCanceled(err) {
						return fmt.Errorf("%w: %w", errPartitions, err)
					}
					if err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}

// Groups divides a plan into what is to be run in one transaction each.
func Groups(steps []Statement) [][]Statement {
	var groups [][]Statement
	for begin := 0; begin < len(steps); {
		end := begin + 1
		for end < len(steps) && steps[end].Table == steps[begin].Table && !steps[end].Optional {
			end++
		}
		groups = append(groups, steps[begin:end])
		begin = end
	}
	return groups
}

// ParseColumns reads columns, with the types that they refer to, as sql/describe.sql gives them.
func ParseColumns(text []byte) ([]event.Column, error) {
	var d described
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("read columns: %w", err)
	}
	return d.columns(d.Columns, 0), nil
}

// RowHead gives the stream of a table and what all its rows' changes begin with: the members of an event.RowChange from
// "database" to "key_columns".
func RowHead(source, database, schema, table string, columns []event.Column, key []string) (event.Stream, []byte, error) {
	s, err := (&shape{schema: schema, table: table, columns: columns, key: key}).complete(source, database)
	if err != nil {
		return "", nil, err
	}
	return s.stream, s.head, nil
}
