package wal

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/postgres"
	"datawatch/pkg/daemon"
)

//go:embed sql/keep.sql
var keepSQL string

//go:embed sql/keep_body.sql
var keepBodySQL string

//go:embed sql/updates.sql
var updatesSQL string

// updatesOf is SQL that tells of c, a row of pg_class, whether its updates could be published; computed is SQL that tells
// whether the server publishes stored generated columns.
func updatesOf(computed string) string {
	return strings.ReplaceAll(strings.TrimSpace(updatesSQL), "{{computed}}", computed)
}

// keepBody is the text of the event trigger's function.
func (n names) keepBody(server server) string {
	return "\n" + strings.NewReplacer("{{all}}", n.all, "{{inserts}}", n.inserts,
		"{{updates}}", updatesOf(strconv.FormatBool(server.version >= 180000))).Replace(keepBodySQL)
}

// keeperSQL names who has the event triggers' schema and is no superuser.
const keeperSQL = `select o.rolname from pg_namespace n join pg_roles o on o.oid = n.nspowner where n.nspname = 'datawatch_wal' and not o.rolsuper`

// checkKeeping tells of a stranger's schema, in which no event trigger is made.
func (s *Source) checkKeeping(ctx context.Context, db *pgx.Conn) []daemon.Finding {
	f := daemon.Finding{What: "source " + s.name + " event trigger"}
	var owner string
	switch err := db.QueryRow(ctx, keeperSQL).Scan(&owner); {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		f.Err = fmt.Errorf("look for its schema: %w", err)
	default:
		f.Err = fmt.Errorf("the schema datawatch_wal is of %s, who is no superuser and could change what superusers run: none is made in it, and a table that loses its replica identity can't be updated until the collector sees it", pgx.Identifier{owner}.Sanitize())
		f.Remedy = "drop schema datawatch_wal cascade"
	}
	return []daemon.Finding{f}
}

// planKeeping makes the event triggers by which a table that loses its replica identity can still be updated, where the role may
// have them and they aren't there as they are to be. In a schema of somebody who is no superuser it makes none: he could change what
// superusers run.
func (s *Source) planKeeping(ctx context.Context, db *pgx.Conn, server server) ([]postgres.Statement, error) {
	body := s.names.keepBody(server)
	var wanted bool
	err := db.QueryRow(ctx, `select (select rolsuper from pg_roles where rolname = current_user) and not exists (`+keeperSQL+`) and 2 > (
		select count(*) from pg_event_trigger e join pg_proc p on p.oid = e.evtfoid
		where e.evtname::text in ($1::text, $1::text || '_drop') and e.evtenabled <> 'D' and p.pronamespace = to_regnamespace('datawatch_wal') and p.prosrc = $2)`, s.names.all, body).Scan(&wanted)
	if err != nil {
		return nil, fmt.Errorf("look for the event trigger: %w", err)
	}
	if !wanted {
		return nil, nil
	}
	return []postgres.Statement{{
		SQL: strings.NewReplacer("{{all}}", s.names.all, "{{body}}", body).Replace(strings.TrimSpace(keepSQL)), Lock: lockNone, Optional: true,
		Why: "needs a superuser; without it a table that loses its primary key or replica identity can't be updated until the collector sees it, within seconds",
	}}, nil
}

// dropKeeping takes the event triggers away, and the schema with the last one.
func (s *Source) dropKeeping() []postgres.Statement {
	return []postgres.Statement{{SQL: "drop function if exists datawatch_wal." + s.names.all + "() cascade"}, {SQL: `do $$ begin
	if to_regnamespace('datawatch_wal') is not null and not exists (select from pg_proc where pronamespace = to_regnamespace('datawatch_wal')) then
		drop schema datawatch_wal;
	end if;
end $$`}}
}
