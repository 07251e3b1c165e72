package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datawatch/pkg/reason"
)

//go:embed sql/lacking.sql
var lackingSQL string

// mostShown is how many tables are named.
const mostShown = 5

// ungranted are tables on which a role lacks a right, and what gives it.
type ungranted struct {
	role           string
	tables, grants []string
}

// lacking finds out on which of these tables a role lacks a right, or that to use their schema.
func lacking(ctx context.Context, db querier, role, right string, tables []uint32) (ungranted, error) {
	var u ungranted
	var schemas, without []string
	rows, err := db.Query(ctx, lackingSQL, tables, right, role)
	if err != nil {
		return u, fmt.Errorf("ask for rights: %w", err)
	}
	var schema, table string
	var uses, has bool
	_, err = pgx.ForEachRow(rows, []any{&schema, &table, &u.role, &uses, &has}, func() error {
		if !uses && !slices.Contains(schemas, schema) {
			schemas = append(schemas, schema)
		}
		if !has {
			without = append(without, table)
		}
		u.tables = append(u.tables, table)
		return nil
	})
	if err != nil {
		return u, fmt.Errorf("ask for rights: %w", err)
	}
	if len(schemas) > 0 {
		u.grants = append(u.grants, "grant usage on schema "+strings.Join(schemas, ", ")+" to "+u.role)
	}
	if len(without) > 0 {
		u.grants = append(u.grants, "grant "+right+" on "+few(without)+" to "+u.role)
	}
	return u, nil
}

// lackingOf is what a session's role lacks.
func lackingOf(ctx context.Context, db querier, right string, tables []uint32) (ungranted, error) {
	var role string
	if err := db.QueryRow(ctx, "select current_user").Scan(&role); err != nil {
		return ungranted{}, fmt.Errorf("ask for the role: %w", err)
	}
	return lacking(ctx, db, role, right, tables)
}

// sql is what gives the rights.
func (u ungranted) sql() string { return strings.Join(u.grants, "; ") }

// few are the names of the first tables, and how many more there are.
func few(tables []string) string {
	if more := len(tables) - mostShown; more > 0 {
		return strings.Join(tables[:mostShown], ", ") + fmt.Sprintf(", and %d more", more)
	}
	return strings.Join(tables, ", ")
}

// remedied is an error of the installation on a table, with what gives the rights for it where whoever installs lacks them.
func remedied(ctx context.Context, installer querier, table string, err error) error {
	server, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || server.Code != codeInsufficientPrivilege {
		return err
	}
	var oids []uint32 // not by to_regclass, which needs USAGE
	if installer.QueryRow(ctx, `select array(select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where array[n.nspname, c.relname]::text[] = parse_ident($1))`, table).Scan(&oids) != nil {
		return err
	}
	if lacks, unknown := lackingOf(ctx, installer, "trigger", oids); unknown == nil && len(lacks.tables) > 0 {
		return reason.Wrap(err, reason.Ungranted.With(lacks.sql()))
	}
	return err
}
