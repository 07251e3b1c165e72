package wal

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/postgres"
)

// Locks of statements.
const (
	lockNone  = "none on your tables"
	lockAdd   = "SHARE UPDATE EXCLUSIVE on %s, for an instant: reads and writes go on"
	lockWrite = "SHARE ROW EXCLUSIVE on %s, for an instant: waits for its writers, and reads go on"
)

// publication is one as pg_publication shows it.
type publication struct {
	there, asWanted bool
	oid             uint32
}

func askPublications(ctx context.Context, db *pgx.Conn, n names, version int) (all, inserts publication, err error) {
	computed := "true"
	if version >= 180000 {
		computed = "pubgencols = 's'"
	}
	rows, err := db.Query(ctx, `select oid, pubname, not puballtables and not pubviaroot and pubinsert and pubtruncate
		and pubupdate = (pubname = $1) and pubdelete = (pubname = $1) and `+computed+` from pg_publication where pubname in ($1, $2)`, n.all, n.inserts)
	if err != nil {
		return all, inserts, fmt.Errorf("look at the publications: %w", err)
	}
	var oid uint32
	var name string
	var asWanted bool
	_, err = pgx.ForEachRow(rows, []any{&oid, &name, &asWanted}, func() error {
		if name == n.all {
			all = publication{true, asWanted, oid}
		} else {
			inserts = publication{true, asWanted, oid}
		}
		return nil
	})
	if err != nil {
		return all, inserts, fmt.Errorf("look at the publications: %w", err)
	}
	return all, inserts, nil
}

// Plan gives the SQL that would make what is missing, in order. It changes nothing.
func (s *Source) Plan(ctx context.Context) ([]postgres.Statement, error) {
	db, err := s.connectInstaller(ctx)
	if err != nil {
		return nil, err
	}
	defer postgres.CloseConn(ctx, db)
	server, slot, err := s.survey(ctx, db)
	if err != nil {
		return nil, err
	}
	steps, err := s.planPublications(ctx, db, server, slot != nil)
	if err != nil {
		return nil, err
	}
	if slot == nil {
		steps = append(steps, s.planSlot(server))
	}
	return steps, nil
}

// planSlot is a statement by itself, behind the publications: a slot can't be made in a transaction that wrote, and
// decoding needs the publications to be there from its beginning.
func (s *Source) planSlot(server server) postgres.Statement {
	return postgres.Statement{
		Table: "replication slot " + s.names.slot, SQL: createSlotSQL(s.names.slot, server.version) + ";",
		Lock: lockNone + "; waits until the transactions that are running now have ended",
	}
}

// planPublications makes the publications and has each table in the one that it belongs to.
func (s *Source) planPublications(ctx context.Context, db *pgx.Conn, server server, running bool) ([]postgres.Statement, error) {
	all, inserts, err := askPublications(ctx, db, s.names, server.version)
	if err != nil {
		return nil, err
	}
	tables, err := s.listTables(ctx, db, server.version)
	if err != nil {
		return nil, err
	}
	var steps []postgres.Statement
	for _, p := range []struct {
		name, publish string
		is            publication
	}{{s.names.all, "insert, update, delete, truncate", all}, {s.names.inserts, "insert, truncate", inserts}} {
		with := fmt.Sprintf("publish = '%s', publish_via_partition_root = false", p.publish)
		if server.publishesComputed() {
			with += ", publish_generated_columns = stored"
		}
		switch {
		case !p.is.there:
			steps = append(steps, postgres.Statement{SQL: fmt.Sprintf("create publication %s with (%s);", p.name, with), Lock: lockNone})
		case !p.is.asWanted:
			steps = append(steps, postgres.Statement{SQL: fmt.Sprintf("alter publication %s set (%s);", p.name, with), Lock: lockNone})
		}
	}
	for _, t := range tables {
		steps = append(steps, s.planTable(t, running)...)
	}
	keeping, err := s.planKeeping(ctx, db, server)
	return append(steps, keeping...), err
}

// planTable takes a table out of a publication before it adds it to another. While the WAL is read, a table that is new
// gets its writers waited for: what they wrote before isn't published, and nobody could tell whether it was all.
func (s *Source) planTable(t *table, running bool) []postgres.Statement {
	var steps []postgres.Statement
	add := func(lock, format string, args ...any) {
		steps = append(steps, postgres.Statement{Table: t.ident(), SQL: fmt.Sprintf(format, args...), Lock: fmt.Sprintf(lock, t.ident())})
	}
	if running && !t.inAll && !t.inInserts && (t.wantAll || t.wantInserts) {
		only := "only "
		if t.partitioned {
			only = "" // the partitions too
		}
		add(lockWrite, "lock table %s%s in share row exclusive mode;", only, t.ident())
	}
	for _, p := range []struct {
		name     string
		is, want bool
	}{{s.names.all, t.inAll, t.wantAll}, {s.names.inserts, t.inInserts, t.wantInserts}} {
		if p.is && !p.want {
			add(lockAdd, "alter publication %s drop table only %s;", p.name, t.ident())
		}
		if !p.is && p.want {
			add(lockAdd, "alter publication %s add table only %s;", p.name, t.ident())
		}
	}
	return steps
}

// Install makes what is missing: publications, a table a transaction, with a short lock_timeout and retries, then the slot.
// Installing twice changes nothing.
func (s *Source) Install(ctx context.Context) error {
	db, err := s.connectInstaller(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseConn(ctx, db)
	server, slot, err := s.survey(ctx, db)
	if err != nil {
		return err
	}
	if err := server.fitToInstall(s.config.AllowUnboundedWAL); err != nil {
		return err
	}
	if err := s.installPublications(ctx, db, server, slot != nil, postgres.InstallTries); err != nil || slot != nil {
		return err
	}
	reader, err := s.connectReader(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseConn(ctx, reader)
	return createSlot(ctx, reader, s.names.slot, server.version)
}

// installPublications names in its error the tables that couldn't be done; the others are.
func (s *Source) installPublications(ctx context.Context, db *pgx.Conn, server server, running bool, tries int) error {
	steps, err := s.planPublications(ctx, db, server, running)
	if err != nil {
		return err
	}
	var failed []error
	for _, group := range postgres.Groups(steps) {
		err := postgres.Apply(ctx, db, tries, group)
		switch {
		case err == nil:
			s.log.Info("published", "table", group[0].Table, "statements", len(group))
		case group[0].Optional:
			s.log.Warn("an optional part wasn't installed", "error", err)
		case ctx.Err() != nil:
			return ctx.Err()
		case group[0].Table == "":
			return fmt.Errorf("make the publications: %w", err)
		default:
			failed = append(failed, fmt.Errorf("publish %s: %w", group[0].Table, err))
		}
	}
	return errors.Join(failed...)
}

// Remove drops the slot, the publications and the event trigger; what wasn't read yet is lost.
func (s *Source) Remove(ctx context.Context) error {
	reader, err := s.connectReader(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseConn(ctx, reader)
	if err := dropSlot(ctx, reader, s.names.slot); err != nil {
		return err
	}
	db, err := s.connectInstaller(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseConn(ctx, db)
	drop := append(s.dropKeeping(), postgres.Statement{SQL: "drop publication if exists " + s.names.all}, postgres.Statement{SQL: "drop publication if exists " + s.names.inserts})
	if err := postgres.Apply(ctx, db, postgres.InstallTries, drop); err != nil {
		return fmt.Errorf("drop the publications: %w", err)
	}
	return nil
}

// fitToInstall is fit of whoever installs, which may be a role that doesn't replicate.
func (s *server) fitToInstall(allowUnbounded bool) error {
	if err := s.fit(allowUnbounded); err != nil && !errors.Is(err, errReplication) {
		return err
	}
	return nil
}
