package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/reason"
)

const (
	// lockTimeout is how long an installation may hold up the writes of a table at a time.
	lockTimeout = "100ms"
	// lockTries are made at a command; while running, reconcile tries again later.
	lockTries = 30
	lockPause = 200 * time.Millisecond

	codeLockNotAvailable  = "55P03"
	codeQueryCanceled     = "57014"
	codeObjectInUse       = "55006"
	codeDuplicateObject   = "42710"
	codeDuplicateFunction = "42723"
	codeUniqueViolation   = "23505"
	codeUndefinedTable    = "42P01"
)

// installed is what is in the database.
type installed struct {
	version    int // 0 is nothing
	server     string
	lz4        bool
	follows    bool   // the event trigger is there, and nobody disabled it
	mayFollow  bool   // the role may create it
	followCode string // which it is
	granted    bool   // the reader has its rights
	code       string // a hash of the functions
	upgrading  bool   // numbers are of the sequence of before still
	leftover   bool   // sequences that functions of before look at are there

	missing []string // of the schema's relations, which somebody has dropped, or a dump couldn't bring: the rest wasn't looked at
	empty   bool     // the schema came with a dump that left its data out: the rest wasn't looked at
}

// followed tells whether ALTER TABLE makes the functions anew in its own transaction, now or when the plan has been run. Only
// then may packs leave out the names of columns.
func (i installed) followed() bool { return i.follows || i.mayFollow }

// readable tells whether this program can work with what is installed.
func (i installed) readable() error {
	switch {
	case i.version > version:
		return reason.New(reason.NewerInstalled.With(i.version, version))
	case i.version > 0 && i.version < oldestVersion:
		return reason.New(reason.OlderInstalled.With(i.version))
	}
	return i.half()
}

// half says what of the schema is missing.
func (i installed) half() error {
	switch {
	case i.empty:
		return reason.New(reason.EmptyInstalled.With()).Advise(reason.DoHalfInstalled.With())
	case len(i.missing) > 0:
		return reason.New(reason.HalfInstalled.With(strings.Join(i.missing, ", "))).Advise(reason.DoHalfInstalled.With())
	}
	return nil
}

// relations are those that an installation of a version consists of.
func relations(version int) []string {
	all := []string{"datawatch.shapes", "datawatch.queue", "datawatch.slots", "datawatch.progress", "datawatch.outbox"}
	if version >= versionPlaces {
		all = append(all, "datawatch.packs", "datawatch.gate", "datawatch.unnoted", "datawatch.skipped")
	}
	for slot := range slots {
		all = append(all, slotTables(version, slot)...)
	}
	return all
}

//go:embed sql/installed.sql
var installedSQL string

//go:embed sql/server.sql
var serverSQL string

// serverIdentity names the server and database, so that a dump restored elsewhere is noticed. The system identifier needs
// a right that may have been taken away: then it is empty, and the database's oid has to do.
func serverIdentity(ctx context.Context, db querier) (string, error) {
	var identity string
	if err := db.QueryRow(ctx, serverSQL).Scan(&identity); err != nil {
		return "", fmt.Errorf("ask which server this is: %w", err)
	}
	return identity, nil
}

// installedState looks at what is there; reader is the role that needs rights, "" where it is the installer.
func (s *Source) installedState(ctx context.Context, db querier, reader string) (installed, error) {
	var state installed
	var there bool
	if err := db.QueryRow(ctx, installedSQL).Scan(&there, &state.lz4, &state.follows, &state.followCode, &state.mayFollow); err != nil {
		return state, fmt.Errorf("find out what is installed: %w", err)
	}
	state.mayFollow = state.mayFollow && !s.unfollowed
	var err error
	if state.server, err = serverIdentity(ctx, db); err != nil {
		return state, err
	}
	if !there {
		return state, nil
	}
	err = db.QueryRow(ctx, "select version from datawatch.meta").Scan(&state.version)
	if errors.Is(err, pgx.ErrNoRows) {
		state.empty = true
		return state, nil
	}
	if err != nil {
		return state, fmt.Errorf("find out what is installed: %w", err)
	}
	err = db.QueryRow(ctx, "select array(select r from unnest($1::text[]) r where to_regclass(r) is null)", relations(state.version)).Scan(&state.missing)
	if err != nil {
		return state, fmt.Errorf("find out what is installed: %w", err)
	}
	if len(state.missing) > 0 {
		return state, nil
	}
	err = db.QueryRow(ctx, `select version, $1::text = '' or has_schema_privilege(nullif($1::text, ''), 'datawatch', 'usage')
		and coalesce(has_table_privilege(nullif($1::text, ''), coalesce(to_regclass('datawatch.single_2'), 'datawatch.outbox_2'), 'truncate')
			and has_table_privilege(nullif($1::text, ''), coalesce(to_regclass('datawatch.packs'), 'datawatch.outbox'), 'select')
			and has_table_privilege(nullif($1::text, ''), 'datawatch.shapes', 'select') and has_table_privilege(nullif($1::text, ''), 'datawatch.progress', 'update'), false),
		coalesce(to_jsonb(meta) ->> 'code', ''), version < $2 or to_regclass('datawatch.places') is not null and pg_sequence_last_value(to_regclass('datawatch.places')) is null,
		coalesce(to_regclass('datawatch.filled'), to_regclass('datawatch.seq'), to_regclass('datawatch.places')) is not null
		from datawatch.meta`, reader, versionPlaces).Scan(&state.version, &state.granted, &state.code, &state.upgrading, &state.leftover)
	if err != nil {
		return state, fmt.Errorf("find out what is installed: %w", err)
	}
	return state, nil
}

// Install installs what is missing: the schema, then one table a transaction, with a short lock_timeout and retries, so
// that no write of the application waits longer than that. Installing twice changes nothing. An error names the tables
// that couldn't be done; the others are.
func (s *Source) Install(ctx context.Context) error { return s.install(ctx, lockTries) }

// install notes which tables can't be captured, or, where it came to none of them, why.
func (s *Source) install(ctx context.Context, tries int) error {
	refused, err := s.installAll(ctx, tries)
	s.barred = nil
	switch {
	case refused != nil:
		s.refused.Store(&refused)
	case !isLocked(err) && !isTaken(err):
		s.barred = err
	}
	return err
}

// installAll gives the tables that can't be captured; nil where it came to none.
func (s *Source) installAll(ctx context.Context, tries int) (uncaptured, error) {
	db, err := s.connectInstaller(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(ctx, db)
	reader, err := s.readerRole(ctx, db)
	if err != nil {
		return nil, err
	}
	var at time.Time
	if err := db.QueryRow(ctx, "select clock_timestamp()").Scan(&at); err != nil {
		return nil, fmt.Errorf("ask for the time: %w", err)
	}
	steps, err := s.plan(ctx, db, reader)
	if err != nil {
		return nil, err
	}
	var failed []error
	refused := uncaptured{}
	for begin := 0; begin < len(steps); {
		end := begin + 1
		for end < len(steps) && steps[end].Table == steps[begin].Table && !steps[end].Optional {
			end++
		}
		group := steps[begin:end]
		begin = end
		err := Apply(ctx, db, tries, beforeSteps, group)
		switch {
		case err == nil:
			s.log.Info("installed", "table", group[0].Table, "statements", len(group))
		case group[0].Optional:
			s.log.Warn("an optional part wasn't installed", "error", message(err))
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case group[0].Table == "":
			return nil, fmt.Errorf("install the schema datawatch: %w", err)
		default:
			err = remedied(ctx, db, group[0].Table, err)
			failed = append(failed, fmt.Errorf("install on %s: %w", group[0].Table, err))
			if stream := group[0].stream; stream != "" && !isLocked(err) && !isTaken(err) && !isBehind(err) {
				refused[stream] = lack{since: s.looked, why: words(err)}
			}
		}
	}
	if len(failed) == 0 {
		s.looked = at
	}
	return refused, errors.Join(failed...)
}

// beforeSteps bounds how long locks are waited for, and keeps others from installing meanwhile. Anybody may hold an advisory lock for as
// long as he likes: where there is nothing else, it is waited for, and no more; of two who install the same, one fails.
const beforeSteps = `set local lock_timeout = '` + lockTimeout + `'; do $$ begin
	if to_regclass('datawatch.meta') is not null then
		lock table datawatch.meta in share update exclusive mode;
	else
		perform pg_advisory_xact_lock(hashtext('datawatch'));
	end if;
exception when lock_not_available then
	if to_regclass('datawatch.meta') is not null then
		raise;
	end if;
end $$`

// retryLocked tries again when a lock couldn't be had in time.
func retryLocked(ctx context.Context, tries int, do func() error) error {
	for i := 1; ; i++ {
		err := do()
		if !isLocked(err) {
			return err
		}
		if i >= tries {
			return fmt.Errorf("a long transaction holds it; run this again when that has ended: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPause + rand.N(lockPause)):
		}
	}
}
