package ddl

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Tables and Exclude are what is to be selected of the schemas s1 and s2, where all tables are.
var (
	Tables  = []string{"s1.*", "s2.*"}
	Exclude = []string{"s1.x_*", "s2.x_*"}
)

// Setup makes the schemas, and some tables without rows, as a role's own.
func Setup(role string) []string {
	return []string{
		`create schema s1 authorization ` + role + `; create schema s2 authorization ` + role,
		`set role ` + role,
		// It writes to the row that fired it, or changes it before it is written.
		`create function s1.note() returns trigger language plpgsql as $$ begin
			if tg_when = 'BEFORE' then new.v = left(new.v, 5) || '+'; return new; end if;
			if pg_trigger_depth() = 1 then execute format('update %I.%I set v = left(v, 5) || ''!'' where id = $1', tg_table_schema, tg_table_name) using new.id; end if;
			return null;
			exception when undefined_column or datatype_mismatch or undefined_function then return new; end $$`,
		`create table s1.t1 (id int primary key, v text, n int)`,
		`create table s1.t2 (id int not null, v varchar(20), n int); create unique index on s1.t2 (id)`,
		`create table s1.q1 (id int, v text, n int, primary key (id, n)) partition by list (n); create table s1.q1_0 partition of s1.q1 for values in (0);
			create table s1.q1_1 partition of s1.q1 for values in (1, 2); create table s1.q1_d partition of s1.q1 default`,
		`create table s2.q2 (id int, v text, n int) partition by list (n); create table s2.q2_0 partition of s2.q2 for values in (0); create table s2.q2_1 partition of s2.q2 for values in (1, 2)`,
		`reset role`,
	}
}

// Fuzz is what sessions do to a database, and what is known of it.
type Fuzz struct {
	DB *pgx.Conn // sees all tables
	// WAL: what is captured is the WAL.
	WAL bool
	// Captured is a function of a relation's oid that tells whether it is captured as it is, with all that is below it: needed where a look tells
	// what is there then, and no event trigger each ALTER TABLE at once.
	Captured string
	// Refuses: updates of a table that has lost its replica identity may fail, as collector/README.md says of the WAL without event triggers.
	Refuses bool

	mu        sync.Mutex
	names     int
	done      []string                   // transactions, as they ended
	count     map[string]int             // operations that succeeded
	rewritten map[uint32]map[string]bool // columns of tables whose values no event tells
	refused   []string                   // statements that failed because of capture
}

// fresh is a name that no other has or had.
func (f *Fuzz) fresh(kind string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names++
	return fmt.Sprintf("%s%d", kind, 100+f.names)
}

func (f *Fuzz) rewrites(oid uint32, columns ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rewritten == nil {
		f.rewritten = map[uint32]map[string]bool{}
	}
	if f.rewritten[oid] == nil {
		f.rewritten[oid] = map[string]bool{}
	}
	for _, name := range columns {
		f.rewritten[oid][name] = true
	}
}

// note keeps what a session did.
func (f *Fuzz) note(session int, transaction []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = append(f.done, fmt.Sprintf("%s %d: %s", time.Now().UTC().Format("15:04:05.000"), session, strings.Join(transaction, "; ")))
}

// run has sessions do transactions until ctx is done, and returns when all have ended. That they get in each other's way is no error.
func (f *Fuzz) run(ctx context.Context, seed uint64, sessions []*pgx.Conn) error {
	var running sync.WaitGroup
	failed := make([]error, len(sessions))
	for i, db := range sessions {
		s := &session{Fuzz: f, number: i, db: db, rng: rand.New(rand.NewPCG(seed, uint64(i)))}
		running.Go(func() { failed[i] = s.run(ctx) })
	}
	running.Wait()
	return errors.Join(failed...)
}

// session is one of several.
type session struct {
	*Fuzz
	number int
	db     *pgx.Conn
	rng    *rand.Rand
	did    []string // in this transaction
	recent string   // what was altered last
	keeps  bool     // its snapshot, for the whole transaction
}

func (s *session) run(ctx context.Context) error {
	on := context.WithoutCancel(ctx) // a statement goes on to its end
	if err := s.exec(on, `set lock_timeout = '1500ms'; set client_min_messages = error`); err != nil {
		return err
	}
	for ctx.Err() == nil {
		s.did = nil
		err := s.transaction(on)
		if len(s.did) > 2 {
			s.note(s.number, s.did)
		}
		if err != nil && !s.expected(err) {
			return fmt.Errorf("%s: %w", strings.Join(s.did, "; "), err)
		}
		time.Sleep(time.Duration(s.rng.IntN(120)) * time.Millisecond)
	}
	return nil
}

// byCapture are words in an error that capture has caused.
var byCapture = regexp.MustCompile(`(?i)datawatch|publication|publishes|plan must not change|cache lookup`)

// expected tells whether an error is the server's. Those that capture caused are kept.
func (s *session) expected(err error) bool {
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return false
	}
	text := strings.Join([]string{server.Message, server.Detail, server.Hint, server.Where, server.InternalQuery}, "\n")
	if byCapture.MatchString(text) && !(s.Refuses && strings.Contains(text, "does not have a replica identity")) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.refused = append(s.refused, fmt.Sprintf("%s\nin %s", text, strings.Join(s.did, "; ")))
	}
	return true
}

func (s *session) exec(ctx context.Context, sql string) error {
	s.did = append(s.did, sql)
	_, err := s.db.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		s.did = append(s.did, "-- "+err.Error())
	}
	return err
}

func (s *session) transaction(ctx context.Context) (err error) {
	begin := "begin"
	if s.keeps = s.rng.IntN(12) == 0; s.keeps {
		begin += " isolation level " + []string{"repeatable read", "serializable"}[s.rng.IntN(2)]
	}
	if err := s.exec(ctx, begin); err != nil {
		return err
	}
	var alone []string
	for range []int{1, 1, 2, 3, 5}[s.rng.IntN(5)] {
		if alone, err = s.operation(ctx); err != nil {
			return errors.Join(err, s.exec(ctx, "rollback"))
		} else if alone != nil {
			break
		}
		if s.rng.IntN(3) == 0 {
			time.Sleep(time.Duration(s.rng.IntN(100)) * time.Millisecond)
		}
	}
	end := "commit"
	if s.rng.IntN(8) == 0 {
		end = "rollback"
	}
	if err := s.exec(ctx, end); err != nil {
		return err
	}
	return s.each(ctx, alone)
}

// operation does one, or rows; what PostgreSQL does alone is returned.
func (s *session) operation(ctx context.Context) (alone []string, err error) {
	tables, err := tables(ctx, s.db)
	if err != nil {
		return nil, err
	}
	now := &scene{Fuzz: s.Fuzz, rng: s.rng, all: tables}
	name := "rows"
	var sql []string
	// Event triggers may not see what is published then, as collector/README.md says of the WAL.
	if !now.likely(35) || s.WAL && s.keeps {
		var t *table
		// A partition whose root was renamed is captured by the old name until it is looked at, as collector/README.md says.
		if t, sql = now.write(s.recent); t != nil && t.Partition && s.Captured != "" {
			if ready, err := s.ready(ctx, []*table{t}); err != nil || !ready {
				return nil, err
			}
		}
	} else {
		o, t := now.next()
		name, sql = o.name, o.sql(now, t)
		if o.seen && s.Captured != "" {
			if ready, err := s.ready(ctx, append(now.others, t)); err != nil || !ready {
				return nil, err
			}
		}
		if o.alone {
			return sql, nil
		}
		if o.renames && len(sql) > 0 {
			sql = append(whole(append(now.others, t)), sql...)
		}
		s.recent = strings.Join(sql, "; ")
	}
	if len(sql) == 0 {
		return nil, nil
	}
	if now.likely(50) {
		err = s.each(ctx, sql)
	} else {
		err = s.within(ctx, sql)
	}
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.count == nil {
			s.count = map[string]int{}
		}
		s.count[name]++
	}
	return nil, err
}

// ready tells whether capture has seen tables as they are.
func (s *session) ready(ctx context.Context, tables []*table) (ready bool, err error) {
	ready = true
	for _, t := range tables {
		if err := s.db.QueryRow(ctx, fmt.Sprintf("select %s(%d)", s.Captured, t.OID), pgx.QueryExecModeSimpleProtocol).Scan(&ready); err != nil || !ready {
			return false, err
		}
	}
	return ready, nil
}

// each does statements.
func (s *session) each(ctx context.Context, sql []string) error {
	for _, statement := range sql {
		if err := s.exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// within does statements in a savepoint, which is rolled back where one fails, and now and then anyway.
func (s *session) within(ctx context.Context, sql []string) error {
	if err := s.exec(ctx, "savepoint here"); err != nil {
		return err
	}
	err := s.each(ctx, sql)
	if err != nil && !s.expected(err) {
		return err
	}
	if err != nil || s.rng.IntN(5) == 0 {
		return s.exec(ctx, "rollback to here")
	}
	return s.exec(ctx, "release here")
}
