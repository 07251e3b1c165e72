package postgres

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"datawatch/pkg/event"
)

// Statement is one step of an installation. Statements of one Table (empty: the schema datawatch) run in one transaction.
type Statement struct {
	Table string `json:"table,omitempty"`
	SQL   string `json:"sql"`
	// Lock is the strongest lock that the statement takes on something of the application's.
	Lock string `json:"lock"`
	// Optional statements may fail: Why says what they need, or are for, and what is done otherwise.
	Optional bool   `json:"optional,omitempty"`
	Why      string `json:"why,omitempty"`
	// Partitions is how many partitions of the table it locks as well: PostgreSQL copies row triggers to them.
	Partitions int `json:"partitions,omitempty"`

	stream event.Stream // of the table, where it is about to be captured
}

// Locks tells whether the statement takes a lock that others of the application's wait for.
func (s Statement) Locks() bool { return s.Table != "" && !strings.HasPrefix(s.Lock, lockNone) }

// Longest is how long a statement may take that locks partitions, one after the other: lock_timeout is each lock's own. 0 is any time.
func (s Statement) Longest() time.Duration {
	if s.Partitions == 0 {
		return 0
	}
	return 200*time.Millisecond + time.Duration(s.Partitions)*5*time.Millisecond
}

// Bound is the SQL that sees to it, "" where none is needed.
func (s Statement) Bound() string {
	if s.Longest() == 0 {
		return ""
	}
	return fmt.Sprintf("set local statement_timeout = '%dms';", s.Longest().Milliseconds())
}

// Unbound ends the bound.
const Unbound = "set local statement_timeout to default;"

// LockTimeout is how long an installation may hold up the writes of a table at a time, as PostgreSQL's setting.
const LockTimeout = lockTimeout

// Locks of statements.
const (
	lockNone      = "none on your tables"
	lockTable     = "SHARE ROW EXCLUSIVE on %s, for an instant: waits for its writers, and reads go on"
	lockMoved     = lockTable + ", where it has another name, tree or key"
	lockExclusive = "ACCESS EXCLUSIVE on %s, for an instant"
)

// dropFunction takes the table's triggers away.
func (t *table) dropFunction() Statement {
	return t.locking(lockExclusive, "drop function "+t.function+"() cascade; -- and the triggers that call it", slices.ContainsFunc(t.triggers, ofRows))
}

// leave takes the triggers from a table that isn't selected any more. Where that is for another name, or since it is in its tree no more, what
// it was captured as ends.
func (t *table) leave() []Statement {
	if t.function == "" {
		return nil
	}
	drop := t.dropFunction()
	if was := shapeOf(t.functionHead); was != "" {
		drop.SQL = fmt.Sprintf("select datawatch.tell_moved_since(s.id, null, %d, null) from datawatch.shapes s\n"+
			"where s.id = %s and (s.shape ->> 'root_schema', s.shape ->> 'root_table') is distinct from (%s, %s); -- by its name of now it isn't selected\n%s",
			t.oid, was, Quote(t.rootSchema), Quote(t.rootName), drop.SQL)
	}
	return []Statement{drop}
}

// dropBorrowed takes triggers away that call another table's function.
func (t *table) dropBorrowed() []Statement {
	var steps []Statement
	for _, name := range t.borrowed {
		steps = append(steps, t.locking(lockExclusive, "drop trigger "+name+" on "+t.ident()+"; -- it calls the function of another table", ofRows(name)))
	}
	return steps
}

// locking is a statement that locks the table, and all its partitions with it where it is about triggers of rows.
func (t *table) locking(lock, sql string, ofRows bool) Statement {
	s := Statement{Table: t.ident(), SQL: sql}
	locked := t.ident()
	if ofRows && len(t.partitions) > 0 {
		s.Partitions = len(t.partitions)
		named := t.partitions[:min(s.Partitions, mostNamed)]
		locked += " with its partitions " + strings.Join(named, ", ")
		if n := s.Partitions - len(named); n > 0 {
			locked += fmt.Sprintf(" and %d more", n)
		}
	}
	s.Lock = fmt.Sprintf(lock, locked)
	return s
}

// mostNamed is how many partitions a lock names.
const mostNamed = 10

// planNew tells, behind the triggers and in their transaction, what wasn't captured of a table before it had them. Their
// lock lets nobody write meanwhile.
func (s *Source) planNew(t *table) Statement {
	since := s.sinceSQL()
	sql := fmt.Sprintf("select datawatch.tell_new(%d, %s, %s);", t.shapeID, Quote(t.ident()), since)
	if t.function != "" { // somebody took some of its triggers away
		sql = fmt.Sprintf("select datawatch.tell_uncaptured(%d, %s);", t.shapeID, since)
	}
	return Statement{Table: t.ident(), Lock: lockNone, SQL: sql}
}

// sinceSQL is when every table was last seen to be captured, null where this collector hasn't seen it.
func (s *Source) sinceSQL() string {
	if s.looked.IsZero() {
		return "null"
	}
	return Quote(s.looked.UTC().Format(time.RFC3339Nano))
}
