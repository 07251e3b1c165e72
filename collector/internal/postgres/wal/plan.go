package wal

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/postgres"
)

// Locks of statements.
const (
	lockNone  = "none on your tables"
	lockAdd   = "SHARE UPDATE EXCLUSIVE on %s, for an instant: reads and writes go on"
	lockWrite = "SHARE ROW EXCLUSIVE on %s, for an instant: waits for its writers, and reads go on"
)

//go:embed sql/publication.sql
var publicationSQL string

// publication is one as the catalog shows it.
type publication struct {
	there, asWanted bool
	everything      bool // of all tables, which it can't be altered not to be
	oid             uint32
	schemas         []string // that it publishes, with whatever tables they have
}

func askPublications(ctx context.Context, db *pgx.Conn, n names, version int) (all, inserts publication, err error) {
	schemas := "'{}'::text[]"
	if version >= 150000 {
		schemas = "array(select n.nspname::text from pg_publication_namespace pn join pg_namespace n on n.oid = pn.pnnspid where pn.pnpubid = p.oid order by 1)"
	}
	rows, err := db.Query(ctx, `select p.pubname, p.oid, `+publicationSQL+`, p.puballtables, `+schemas+` from pg_publication p where p.pubname in ($1, $2)`, n.all, n.inserts)
	if err != nil {
		return all, inserts, fmt.Errorf("look at the publications: %w", err)
	}
	var name string
	p := publication{there: true}
	_, err = pgx.ForEachRow(rows, []any{&name, &p.oid, &p.asWanted, &p.everything, &p.schemas}, func() error {
		p.asWanted = p.asWanted && len(p.schemas) == 0
		if name == n.all {
			all = p
		} else {
			inserts = p
		}
		p.schemas = nil
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
	server, slot, err := s.surveyOwn(ctx, db)
	if err != nil {
		return nil, err
	}
	if server.standby {
		return nil, errStandby
	}
	steps, err := s.planPublications(ctx, db, server, slot != nil, nil)
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

// planPublications makes the publications and has each table in the one that it belongs to; anew where it isn't there as it was.
func (s *Source) planPublications(ctx context.Context, db *pgx.Conn, server server, running bool, was memberships) ([]postgres.Statement, error) {
	all, inserts, err := askPublications(ctx, db, s.names, server.version)
	if err != nil {
		return nil, err
	}
	tables, err := s.listTables(ctx, db, server.version)
	if err != nil {
		return nil, err
	}
	if err := s.refuseOwner(ctx, db, tables); err != nil {
		return nil, err
	}
	var steps []postgres.Statement
	add := func(format string, args ...any) {
		steps = append(steps, postgres.Statement{SQL: fmt.Sprintf(format, args...), Lock: lockNone})
	}
	for _, p := range []struct {
		name, publish string
		is            publication
	}{{s.names.all, "insert, update, delete, truncate", all}, {s.names.inserts, "insert, truncate", inserts}} {
		with := fmt.Sprintf("publish = '%s', publish_via_partition_root = false", p.publish)
		if server.publishesComputed() {
			with += ", publish_generated_columns = stored"
		}
		switch {
		case p.is.everything:
			add("drop publication %s;", p.name)
			fallthrough
		case !p.is.there:
			add("create publication %s with (%s);", p.name, with)
		case !p.is.asWanted:
			add("alter publication %s set (%s);", p.name, with)
			for _, schema := range p.is.schemas {
				add("alter publication %s drop tables in schema %s;", p.name, pgx.Identifier{schema}.Sanitize())
			}
		}
	}
	for _, t := range tables {
		steps = append(steps, s.planTable(t, running, was)...)
	}
	keeping, err := s.planKeeping(ctx, db, server)
	return append(steps, keeping...), err
}

// planTable takes a table out of a publication before it adds it to another. While the WAL is read, a table that is new there, or
// is put right, gets its writers waited for: what they wrote before isn't published, and nobody could tell whether it was all.
func (s *Source) planTable(t *table, running bool, was memberships) []postgres.Statement {
	var steps []postgres.Statement
	add := func(lock, format string, args ...any) {
		steps = append(steps, postgres.Statement{Table: t.ident(), SQL: fmt.Sprintf(format, args...), Lock: fmt.Sprintf(lock, t.ident())})
	}
	anew := [2]bool{t.inAll && t.wantAll && (!t.sound[0] || was.changed(t, 0)), t.inInserts && t.wantInserts && (!t.sound[1] || was.changed(t, 1))}
	if running && (anew[0] || anew[1] || t.wantAll && !t.inAll || t.wantInserts && !t.inAll && !t.inInserts) {
		only := "only "
		if t.partitioned {
			only = "" // the partitions too
		}
		add(lockWrite, "lock table %s%s in share row exclusive mode;", only, t.ident())
	}
	for i, p := range []struct {
		name     string
		is, want bool
	}{{s.names.all, t.inAll, t.wantAll}, {s.names.inserts, t.inInserts, t.wantInserts}} {
		if p.is && !p.want || anew[i] {
			add(lockAdd, "alter publication %s drop table only %s;", p.name, t.ident())
		}
		if !p.is && p.want || anew[i] {
			add(lockAdd, "alter publication %s add table only %s;", p.name, t.ident())
		}
	}
	return steps
}

// mending is the SQL of a plan, a transaction each, without what is optional.
func mending(steps []postgres.Statement) (transactions []string) {
	for _, group := range postgres.Groups(steps) {
		var sql []string
		for _, step := range group {
			sql = append(sql, step.SQL)
		}
		switch {
		case group[0].Optional:
			continue
		case len(sql) > 1:
			sql = append(append([]string{"begin;"}, sql...), "commit;")
		}
		transactions = append(transactions, strings.Join(sql, " "))
	}
	return transactions
}

// Install makes what is missing: publications, a table a transaction, with a short lock_timeout and retries, then the slot.
// Installing twice changes nothing.
func (s *Source) Install(ctx context.Context) error {
	db, err := s.connectInstaller(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseConn(ctx, db)
	server, slot, err := s.surveyOwn(ctx, db)
	if err != nil {
		return err
	}
	if err := server.fitToInstall(s.config.AllowUnboundedWAL); err != nil {
		return err
	}
	if _, err := s.installPublications(ctx, db, server, slot != nil, postgres.InstallTries, nil); err != nil || slot != nil {
		return err
	}
	reader, err := s.connectReader(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseConn(ctx, reader)
	return createSlot(ctx, reader, s.names.slot, server.version)
}

// beforeSteps has others who install be waited for, but no longer than for a table: anybody may hold an advisory lock for as long as he
// likes, and two who publish the same do no harm.
const beforeSteps = `set local lock_timeout = '` + postgres.LockTimeout + `'; do $$ begin
	perform pg_advisory_xact_lock(hashtext('datawatch'));
exception when lock_not_available then
	null;
end $$`

// stillSQL fails where a table has lost its replica identity, since it was found or while it was waited for: published, its updates would be
// refused until it is looked at next.
const stillSQL = `do $$ begin
	if exists (select from pg_class c where (c.oid = %[1]s::regclass or c.oid in (select relid from pg_partition_tree(%[1]s::regclass))) and (c.relkind = 'r' or c.oid = %[1]s::regclass) and not %[2]s) then
		raise exception 'its replica identity is gone by now' using errcode = 'lock_not_available';
	end if;
end $$;`

// stillIdentified is a transaction of a plan that looks again, behind it, at a table whose updates it publishes.
func (s *Source) stillIdentified(group []postgres.Statement, server server) []postgres.Statement {
	publishes := func(step postgres.Statement) bool {
		return strings.HasPrefix(step.SQL, "alter publication "+s.names.all+" add table")
	}
	if !slices.ContainsFunc(group, publishes) {
		return group
	}
	sql := fmt.Sprintf(stillSQL, postgres.Quote(group[0].Table), updatesOf(strconv.FormatBool(server.version >= 180000)))
	return append(slices.Clone(group), postgres.Statement{Table: group[0].Table, SQL: sql, Lock: lockNone})
}

// installPublications names in its error the tables that couldn't be done; the others are, those that had to be by name.
func (s *Source) installPublications(
	ctx context.Context, db *pgx.Conn, server server, running bool, tries int, was memberships,
) (done map[string]bool, err error) {
	steps, err := s.planPublications(ctx, db, server, running, was)
	if err != nil {
		return nil, err
	}
	done = map[string]bool{}
	var failed []error
	for _, group := range postgres.Groups(steps) {
		err := postgres.Apply(ctx, db, tries, beforeSteps, s.stillIdentified(group, server))
		switch {
		case err == nil:
			s.log.Info("published", "table", group[0].Table, "statements", len(group))
			done[group[0].Table] = true
		case group[0].Optional:
			s.log.Warn("an optional part wasn't installed", "error", err)
		case ctx.Err() != nil:
			return done, ctx.Err()
		case group[0].Table == "":
			return done, fmt.Errorf("make the publications: %w", err)
		default:
			failed = append(failed, fmt.Errorf("publish %s: %w", group[0].Table, err))
		}
	}
	return done, errors.Join(failed...)
}

// Remove drops the slot, the publications and the event trigger; what wasn't read yet is lost.
func (s *Source) Remove(ctx context.Context) error {
	reader, err := s.connectReader(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseConn(ctx, reader)
	server, err := askServer(ctx, reader)
	if err != nil {
		return err
	}
	if server.standby {
		return errStandby
	}
	if err := dropSlot(ctx, reader, s.names.slot); err != nil {
		return err
	}
	db, err := s.connectInstaller(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseConn(ctx, db)
	drop := append(s.dropKeeping(), postgres.Statement{SQL: "drop publication if exists " + s.names.all}, postgres.Statement{SQL: "drop publication if exists " + s.names.inserts})
	if err := postgres.Apply(ctx, db, postgres.InstallTries, beforeSteps, drop); err != nil {
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
