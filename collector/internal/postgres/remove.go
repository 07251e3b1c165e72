package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Remove takes away everything that an installation added, table by table with short locks, and leaves the database as it
// was. What wasn't read yet is lost.
func (s *Source) Remove(ctx context.Context) error {
	db, err := s.connectInstaller(ctx)
	if err != nil {
		return err
	}
	defer closeConn(ctx, db)
	var ours, there bool
	if err := db.QueryRow(ctx, "select to_regnamespace('datawatch') is not null, to_regclass('datawatch.meta') is not null").Scan(&there, &ours); err != nil {
		return fmt.Errorf("look for what is installed: %w", err)
	}
	if there && !ours {
		return errors.New("the schema datawatch has no table meta: it isn't datawatch's, and stays as it is")
	}
	if _, err := db.Exec(ctx, "drop event trigger if exists datawatch_follow"); err != nil {
		return fmt.Errorf("remove the event trigger: %w", err)
	}
	rows, err := db.Query(ctx, `select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
		where n.nspname = 'datawatch' and p.prorettype = 'trigger'::regtype order by 1`)
	if err != nil {
		return fmt.Errorf("list functions: %w", err)
	}
	functions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("list functions: %w", err)
	}
	var failed []error
	for _, f := range functions {
		// The function's owner may drop it, and the triggers with it, without owning the table.
		step := []Statement{{SQL: "drop function " + f + " cascade"}}
		if err := Apply(ctx, db, lockTries, beforeSteps, step); err != nil {
			failed = append(failed, fmt.Errorf("remove %s: %w", strings.TrimSuffix(f, "()"), err))
		}
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	step := []Statement{{SQL: "drop schema if exists datawatch cascade"}}
	if err := Apply(ctx, db, lockTries, beforeSteps, step); err != nil {
		return fmt.Errorf("remove the schema datawatch: %w", err)
	}
	return nil
}
