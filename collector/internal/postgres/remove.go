package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	if err := refuseStandby(ctx, db); err != nil {
		return err
	}
	var ours, there bool
	if err := db.QueryRow(ctx, "select to_regnamespace('datawatch') is not null, to_regclass('datawatch.meta') is not null").Scan(&there, &ours); err != nil {
		return fmt.Errorf("look for what is installed: %w", err)
	}
	if there && !ours {
		return errors.New("the schema datawatch has no table meta: it isn't datawatch's, and stays as it is")
	}
	if _, err := db.Exec(ctx, "drop event trigger if exists datawatch_follow; drop event trigger if exists datawatch_follow_partitions; drop event trigger if exists datawatch_follow_drops"); err != nil {
		return fmt.Errorf("remove the event triggers: %w", err)
	}
	rows, err := db.Query(ctx, `select p.oid::regprocedure::text, (select greatest(count(distinct t.tgrelid) - 1, 0) from pg_trigger t where t.tgfoid = p.oid),
			coalesce((select t.tgrelid::regclass::text from pg_trigger t where t.tgfoid = p.oid and t.tgname = '_datawatch_insert' and has_table_privilege(t.tgrelid, 'update, delete, truncate')), '')
		from pg_proc p join pg_namespace n on n.oid = p.pronamespace
		where n.nspname = 'datawatch' and p.prorettype = 'trigger'::regtype order by 1`)
	if err != nil {
		return fmt.Errorf("list functions: %w", err)
	}
	type function struct {
		Name       string
		Partitions int
		Table      string // that may be locked
	}
	functions, err := pgx.CollectRows(rows, pgx.RowToStructByPos[function])
	if err != nil {
		return fmt.Errorf("list functions: %w", err)
	}
	var failed []error
	for _, f := range functions {
		// The function's owner may drop it, and the triggers with it, without owning the table.
		steps := []Statement{{SQL: "drop function " + f.Name + " cascade", Partitions: f.Partitions}}
		if f.Partitions > 0 && f.Table != "" { // quicker than trigger by trigger: between two transactions of each writer
			steps = slices.Insert(steps, 0, Statement{SQL: "lock table " + f.Table + " in access exclusive mode", Partitions: f.Partitions})
		}
		if err := Apply(ctx, db, lockTries, beforeSteps, steps); err != nil {
			failed = append(failed, fmt.Errorf("remove %s: %w", strings.TrimSuffix(f.Name, "()"), err))
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
