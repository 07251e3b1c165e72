package wal

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/reason"
)

//go:embed sql/owner.sql
var ownerSQL string

// refuseOwner refuses a publication of our names that somebody made whom nobody has trusted with the tables. Whoever owns it may alter
// it, so that changes aren't published for a moment, or updates are that PostgreSQL refuses then; and anybody with CREATE on the database
// may make one.
func (s *Source) refuseOwner(ctx context.Context, db *pgx.Conn, tables []*table) error {
	dsn := s.config.DSN
	if s.config.InstallDSN != "" {
		dsn = s.config.InstallDSN
	}
	installer, err := pgx.ParseConfig(dsn.Reveal())
	if err != nil { // it may quote the password
		return reason.New(reason.NoAddress.With())
	}
	var selected []uint32
	for _, t := range tables {
		if t.wantAll || t.wantInserts {
			selected = append(selected, t.oid)
		}
	}
	var publication, owner string
	switch err := db.QueryRow(ctx, ownerSQL, s.names.all, s.names.inserts, installer.User, selected).Scan(&publication, &owner); {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("look at the publications' owners: %w", err)
	}
	return reason.New(reason.PublicationOwner.With(publication, pgx.Identifier{owner}.Sanitize(), pgx.Identifier{installer.User}.Sanitize()))
}
