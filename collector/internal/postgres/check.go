package postgres

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// Check finds out whether the source could work.
func (s *Source) Check(ctx context.Context) []daemon.Finding {
	what := "source " + s.name
	db, err := s.connectReader(ctx)
	if err != nil {
		return []daemon.Finding{{What: what + " connection", Err: err}}
	}
	defer closeConn(ctx, db)
	var version string
	if err := db.QueryRow(ctx, "show server_version").Scan(&version); err != nil {
		return []daemon.Finding{{What: what + " connection", Err: err}}
	}
	findings := []daemon.Finding{{What: what + " connection", Detail: "PostgreSQL " + version}}
	if err := refuseStandby(ctx, db); err != nil {
		return append(findings, daemon.Finding{What: what, Err: err, Remedy: "set dsn to the primary's address"})
	}
	if err := tellsPlaces(ctx, db); err != nil {
		return append(findings, daemon.Finding{What: what + " WAL", Err: err, Remedy: reason.DoNoPlaces.With().String()})
	}
	status, err := s.status(ctx, db)
	if err != nil {
		return append(findings, daemon.Finding{What: what + " triggers", Err: err, Remedy: "`collector triggers plan` prints what is to be installed, with its rights"})
	}
	findings = append(findings, s.installable(ctx, status))
	findings = append(findings, s.truncatable(ctx, db, status)...)
	if status.Off != nil {
		findings = append(findings, daemon.Finding{
			What: what + " capture", Err: fmt.Errorf("switched off in the database since %s", status.Off.UTC().Format(time.RFC3339)), Remedy: "select datawatch.on()",
		})
	}
	for _, g := range status.Idle {
		findings = append(findings, daemon.Finding{
			What: what + " tables", Err: fmt.Errorf("no table matches %q, or exclude takes away all that do", g),
			Remedy: "tables is a list of schema.table globs; names are case-sensitive",
		})
	}
	if all, err := publishedWhole(ctx, db); err != nil {
		findings = append(findings, daemon.Finding{What: what + " publications", Err: err})
	} else if len(all) > 0 {
		findings = append(findings, daemon.Finding{What: what + " publications", Detail: fmt.Sprintf(
			"FOR ALL TABLES, and so of datawatch's tables too: %s. A subscriber that lacks these stops, and its slot holds back the WAL: publish tables or schemas by name", strings.Join(all, ", "))})
	}
	findings = append(findings, s.subscribed(ctx, db, status)...)
	findings = append(findings, s.snapshotable(ctx, db)...)
	findings = append(findings, s.maskable(ctx, db)...)
	findings = append(findings, s.deferrable(ctx, db, status)...)
	for _, t := range status.Tables {
		if len(t.Key) == 0 {
			findings = append(findings, daemon.Finding{What: what + " " + t.Table, Detail: "no primary key, replica identity or unique not null index: its events have no key"})
		}
	}
	return findings
}

// deferrable names the tables whose key is that of a constraint which two rows may break between two statements.
func (s *Source) deferrable(ctx context.Context, db querier, status *Status) []daemon.Finding {
	f := daemon.Finding{What: "source " + s.name + " keys"}
	var oids []uint32
	for _, t := range status.Tables {
		if !t.partition {
			oids = append(oids, t.oid)
		}
	}
	var tables []string
	err := db.QueryRow(ctx, `select array(select c.conrelid::regclass::text from pg_constraint c where c.contype = 'p' and c.condeferrable and c.conparentid = 0 and c.conrelid = any ($1) order by 1)`, oids).Scan(&tables)
	switch {
	case err != nil:
		f.Err = fmt.Errorf("look for deferrable keys: %w", err)
	case len(tables) == 0:
		return nil
	default:
		f.Detail = "deferrable, of " + few(tables) + ": where rows exchange keys by several statements of one transaction, a replay by the key lacks one of them; by one statement all is right"
	}
	return []daemon.Finding{f}
}

// truncatable names the partitions whose TRUNCATE can't be told as a delete of their rows: whose functions are ours may not read them.
func (s *Source) truncatable(ctx context.Context, db querier, status *Status) []daemon.Finding {
	f := daemon.Finding{What: "source " + s.name + " partitions"}
	var partitions []uint32
	for _, t := range status.Tables {
		if t.partition {
			partitions = append(partitions, t.oid)
		}
	}
	owner, err := s.functionsOwner(ctx, db)
	if err != nil {
		f.Err = err
		return []daemon.Finding{f}
	}
	if owner == "" || len(partitions) == 0 {
		return nil
	}
	lacks, err := lacking(ctx, db, owner, "select", partitions)
	if err != nil {
		f.Err = err
		return []daemon.Finding{f}
	}
	if len(lacks.tables) == 0 {
		return nil
	}
	becomes := "is a gap"
	if s.config.OnError == onErrorStrict {
		becomes = "fails"
	}
	f.Detail = fmt.Sprintf("a TRUNCATE of one of them alone %s, since %s, whose datawatch's functions are, may not read its rows: %s. Where that is done: %s",
		becomes, lacks.role, few(lacks.tables), lacks.sql())
	return []daemon.Finding{f}
}

// snapshotable names the tables that the initial snapshot, which is tried once, would leave out: whoever reads may not read them, or not all
// of their rows.
func (s *Source) snapshotable(ctx context.Context, db querier) []daemon.Finding {
	if s.config.Snapshot != snapshotInitial {
		return nil
	}
	f := daemon.Finding{What: "source " + s.name + " snapshot"}
	tables, err := s.tablesOfParts(ctx, db)
	if err != nil {
		f.Err = err
		return []daemon.Finding{f}
	}
	lacks, err := lackingOf(ctx, db, "select", tables)
	if err != nil {
		f.Err = err
		return []daemon.Finding{f}
	}
	var role string
	var guarded []string
	err = db.QueryRow(ctx, `select current_user, array(
		select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.oid = any ($1) and row_security_active(c.oid) order by 1)`, tables).Scan(&role, &guarded)
	switch {
	case err != nil:
		f.Err = fmt.Errorf("ask for row security: %w", err)
	case len(lacks.tables) > 0:
		f.Err = fmt.Errorf("the role %s may not read %s: snapshot: initial would leave out what is there, once and for all", lacks.role, few(lacks.tables))
		f.Remedy = lacks.sql() + ", or set snapshot: never"
	case len(guarded) > 0:
		f.Err = fmt.Errorf("row security may hide rows of %s from the role %s: snapshot: initial would leave out what is there, once and for all", few(guarded), role)
		f.Remedy = "alter role " + pgx.Identifier{role}.Sanitize() + " bypassrls, or set snapshot: never"
	default:
		f.Detail = "initial: all tables may be read"
	}
	return []daemon.Finding{f}
}

// tablesOfParts are the tables that a snapshot of all that is captured reads.
func (s *Source) tablesOfParts(ctx context.Context, db querier) ([]uint32, error) {
	parts, err := s.partsOf(ctx, db, func(event.Stream) bool { return true })
	if err != nil {
		return nil, err
	}
	tables := make([]uint32, len(parts))
	for i, p := range parts {
		at, err := parsePlace(p.Place)
		if err != nil {
			return nil, err
		}
		tables[i] = at.oid
	}
	return tables, nil
}

// maskable names what mask's entries for this source hide nothing of: tables and columns that aren't there.
func (s *Source) maskable(ctx context.Context, db querier) []daemon.Finding {
	var findings []daemon.Finding
	var tables []*table
	for i, m := range s.options.Mask {
		if source, _, _ := strings.Cut(m.Stream, "/"); source != s.name {
			continue
		}
		f := daemon.Finding{What: fmt.Sprintf("source %s mask[%d]", s.name, i)}
		if tables == nil {
			if tables, _, f.Err = s.tables(ctx, db); f.Err != nil {
				return append(findings, f)
			}
		}
		if f.Detail = nothingHidden(s.name, m, tables); f.Detail != "" {
			findings = append(findings, f)
		}
	}
	return findings
}

// nothingHidden says which of an entry's fields are in none of the tables that it is about, "" where all are. Of a path, its first column counts.
func nothingHidden(source string, m config.Mask, tables []*table) string {
	missing, met := slices.Clone(m.Fields), false
	for _, t := range tables {
		if of, _ := path.Match(m.Stream, string(event.StreamOf(source, event.TableEntity(t.rootSchema, t.rootName)))); !of { // Check has read the globs before
			continue
		}
		met = true
		missing = slices.DeleteFunc(missing, func(field string) bool {
			return slices.ContainsFunc(t.all.Columns, func(c describedColumn) bool { return field == c.Name || strings.HasPrefix(field, c.Name+".") })
		})
	}
	switch {
	case !met:
		return "no table that is captured is of the stream " + m.Stream + ": it hides nothing"
	case len(missing) > 0:
		return m.Stream + " has no column " + strings.Join(missing, ", ")
	}
	return ""
}

// functionsOwner is whose datawatch's functions are, or will be; "" where that isn't known.
func (s *Source) functionsOwner(ctx context.Context, db querier) (owner string, err error) {
	err = db.QueryRow(ctx, `select coalesce((select pg_get_userbyid(proowner)::text from pg_proc
		where pronamespace = to_regnamespace('datawatch') and proname = 'capture_truncate' limit 1), '')`).Scan(&owner)
	if err != nil {
		return "", fmt.Errorf("ask whose datawatch's functions are: %w", err)
	}
	if owner != "" || !s.config.ManageTriggers {
		return owner, nil
	}
	installer, err := s.connectInstaller(ctx)
	if err != nil {
		return "", nil // installable tells it
	}
	defer closeConn(ctx, installer)
	if err := installer.QueryRow(ctx, "select current_user").Scan(&owner); err != nil {
		return "", fmt.Errorf("ask who installs: %w", err)
	}
	return owner, nil
}

// publishedWhole are the publications that have every table in them, those of the schema datawatch too.
func publishedWhole(ctx context.Context, db querier) (names []string, err error) {
	if err := db.QueryRow(ctx, "select array(select pubname::text from pg_publication where puballtables order by 1)").Scan(&names); err != nil {
		return nil, fmt.Errorf("look at publications: %w", err)
	}
	return names, nil
}

// subscribed names the tables that a subscription writes to: what is applied fires no triggers of statements, be they ENABLE ALWAYS
// (https://www.postgresql.org/docs/current/logical-replication-architecture.html).
func (s *Source) subscribed(ctx context.Context, db querier, status *Status) []daemon.Finding {
	f := daemon.Finding{What: "source " + s.name + " subscriptions"}
	captured := make([]uint32, len(status.Tables))
	for i, t := range status.Tables {
		captured[i] = t.oid
	}
	var subscriptions, tables []string
	// Not all may read pg_subscription.
	err := db.QueryRow(ctx, `select array_agg(distinct quote_ident(s.subname)), array_agg(distinct format('%I.%I', n.nspname, c.relname))
		from pg_subscription_rel r join pg_stat_subscription s on s.subid = r.srsubid join pg_class c on c.oid = r.srrelid join pg_namespace n on n.oid = c.relnamespace
		where c.oid = any ($1)`, captured).Scan(&subscriptions, &tables)
	switch {
	case err != nil:
		f.Err = fmt.Errorf("look at subscriptions: %w", err)
	case len(tables) == 0:
		return nil
	default:
		f.Detail = fmt.Sprintf("what %s applies fires no triggers, and isn't captured: %s. With capture: wal it is",
			strings.Join(subscriptions, ", "), few(tables))
	}
	return []daemon.Finding{f}
}

// installable tells what is missing, and whether the collector may install it.
func (s *Source) installable(ctx context.Context, status *Status) daemon.Finding {
	f := daemon.Finding{What: "source " + s.name + " triggers"}
	var open []string
	var missing []uint32
	for _, t := range status.Tables {
		if !t.Complete() {
			open = append(open, t.Table)
		}
		if len(t.Missing) > 0 {
			missing = append(missing, t.oid)
		}
	}
	if f.Err = status.Half(); f.Err != nil {
		return f
	}
	if status.Version > 0 && len(open) == 0 {
		f.Detail = fmt.Sprintf("installed on %d tables", len(status.Tables))
		return f
	}
	if !s.config.ManageTriggers {
		f.Err = fmt.Errorf("not installed as configured: %s", strings.Join(open, ", "))
		f.Remedy = "`collector triggers install`, or have a DBA run what `collector triggers plan` prints"
		return f
	}
	db, err := s.connectInstaller(ctx)
	if err != nil {
		f.Err = err
		return f
	}
	defer closeConn(ctx, db)
	var may bool
	if err := db.QueryRow(ctx, "select has_database_privilege(current_database(), 'create') or to_regnamespace('datawatch') is not null").Scan(&may); err != nil {
		f.Err = err
		return f
	}
	if !may {
		f.Err = errors.New("the role may not create the schema datawatch")
		f.Remedy = "grant create on database … to it, or name a role that may in install_dsn"
		return f
	}
	lacks, err := lackingOf(ctx, db, "trigger", missing)
	switch {
	case err != nil:
		f.Err = err
	case len(lacks.tables) > 0:
		f.Err = fmt.Errorf("the role %s may not make triggers on %s", lacks.role, few(lacks.tables))
		f.Remedy = lacks.sql() + ", or name a role that may in install_dsn"
	default:
		f.Detail = fmt.Sprintf("to be installed at start on %d tables", len(open))
	}
	return f
}
