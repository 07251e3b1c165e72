package ddl

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// scene is what an operation is chosen from: the tables at that moment.
type scene struct {
	*Fuzz
	rng    *rand.Rand
	all    []*table
	others []*table // that the operation is about, too
}

// operation gives the statements of a change, of a table for which it is; none where there is nothing to change.
type operation struct {
	name   string
	weight int
	of     func(*table) bool // nil: of none
	sql    func(*scene, *table) []string
	// seen: where no event trigger tells, capture has to have seen the table as it is, since it doesn't tell what was done and undone before it
	// looks (collector/README.md, "tables that go").
	seen bool
	// renames: a tree is locked whole before.
	renames bool
	// alone: PostgreSQL refuses it within a transaction.
	alone bool
}

var operations = []operation{
	{name: "create", weight: 8, sql: create},
	{name: "drop", weight: 3, of: top, sql: drop},
	{name: "drop and make anew", weight: 4, of: top, sql: recreate},
	{name: "drop, and have another take the name", weight: 3, of: top, sql: replace, seen: true, renames: true},
	{name: "put aside, and have another take the name", weight: 3, of: top, sql: putAside, seen: true, renames: true},
	{name: "rename", weight: 4, of: each, sql: rename, seen: true, renames: true},
	{name: "rename what isn't selected", weight: 6, of: unselected, sql: rename, seen: true},
	{name: "swap names", weight: 4, of: each, sql: swap, seen: true, renames: true},
	{name: "set schema", weight: 3, of: each, sql: setSchema, seen: true, renames: true},
	{name: "truncate", weight: 3, of: each, sql: truncate},
	{name: "add a column", weight: 4, of: top, sql: addColumn},
	{name: "add a column with values", weight: 3, of: top, sql: addFilled},
	{name: "drop a column", weight: 3, of: top, sql: dropColumn},
	{name: "drop a column and add it anew", weight: 2, of: top, sql: readdColumn},
	{name: "rename a column", weight: 3, of: top, sql: renameColumn},
	{name: "rename a column of the key", weight: 2, of: top, sql: renameKey, seen: true},
	{name: "swap columns", weight: 2, of: top, sql: swapColumns, seen: true},
	{name: "another type", weight: 4, of: top, sql: retype},
	{name: "another type of the key", weight: 2, of: top, sql: retypeKey, seen: true},
	{name: "drop the primary key", weight: 3, of: keyed, sql: dropKey},
	{name: "add a primary key", weight: 4, of: keyless, sql: addKey, seen: true},
	{name: "replace the primary key", weight: 3, of: keyed, sql: replaceKey, seen: true},
	{name: "a primary key by an index", weight: 2, of: keyed, sql: keyByIndex, seen: true},
	{name: "add a unique index", weight: 3, of: plain, sql: addUnique, seen: true},
	{name: "drop a unique index", weight: 2, of: indexed, sql: dropUnique, seen: true},
	{name: "replica identity", weight: 4, of: each, sql: identity, seen: true},
	{name: "make a partition", weight: 4, of: list, sql: newPartition},
	{name: "make a branch", weight: 2, of: list, sql: newBranch},
	{name: "attach", weight: 5, of: list, sql: attach, seen: true},
	{name: "attach what is new", weight: 3, of: list, sql: attachNew},
	{name: "detach", weight: 4, of: partition, sql: detach, seen: true},
	{name: "detach and attach", weight: 3, of: partition, sql: reattach, seen: true},
	{name: "detach concurrently", weight: 2, of: partition, sql: detachConcurrently, seen: true, alone: true},
	{name: "finalize", weight: 20, of: pending, sql: finalize, alone: true},
	{name: "drop a partition", weight: 3, of: partition, sql: drop, seen: true},
	{name: "replace a partition", weight: 3, of: partition, sql: replacePartition, seen: true},
	{name: "make a trigger", weight: 2, of: each, sql: makeTrigger},
	{name: "drop a trigger", weight: 2, of: triggered, sql: dropTrigger},
}

func each(t *table) bool       { return !t.Pending }
func top(t *table) bool        { return !t.Partition }
func plain(t *table) bool      { return !t.Partition && !t.Tree }
func unselected(t *table) bool { return !t.selected() }
func keyed(t *table) bool      { return top(t) && t.primary() != nil }
func keyless(t *table) bool    { return top(t) && t.primary() == nil && t.has("id") }
func indexed(t *table) bool    { return !t.Pending && slices.ContainsFunc(t.Indexes, loose) }
func list(t *table) bool       { return t.List == "n" && !t.Pending }
func partition(t *table) bool  { return t.Partition && !t.Pending }
func pending(t *table) bool    { return t.Pending }
func triggered(t *table) bool  { return len(t.Triggers) > 0 }

// loose is an index that isn't a constraint's.
func loose(i index) bool { return i.Constraint == "" && i.Unique }

// some is a table of those for which is holds, but for one; nil where there is none.
func (s *scene) some(but *table, is func(*table) bool) *table {
	for _, i := range s.rng.Perm(len(s.all)) {
		if t := s.all[i]; t != but && is(t) {
			return t
		}
	}
	return nil
}

func (s *scene) parent(t *table) *table {
	return s.some(t, func(p *table) bool { return p.OID == t.Parent })
}

// one picks a text.
func (s *scene) one(of ...string) string {
	if len(of) == 0 {
		return ""
	}
	return of[s.rng.IntN(len(of))]
}

func (s *scene) likely(percent int) bool { return s.rng.IntN(100) < percent }

// free is a name that no table has, of those that tables take again and again; now and then one that isn't selected.
func (s *scene) free() string {
	names := []string{"t1", "t2", "t3", "t4", "t5", "t6", "q1", "q2", "x_1", "x_2"}
	for _, i := range s.rng.Perm(len(names)) {
		if s.some(nil, func(t *table) bool { return t.Name == names[i] }) == nil {
			return names[i]
		}
	}
	return s.fresh("t")
}

// next is the operation that comes, with its table. Few tables become more, and many fewer.
func (s *scene) next() (operation, *table) {
	if n := len(s.all); n < 6 && s.likely(50) {
		return operations[0], nil
	} else if n > 24 && s.likely(50) {
		return operations[1], s.some(nil, top)
	}
	for {
		n := s.rng.IntN(weights)
		i := slices.IndexFunc(operations, func(o operation) bool { n -= o.weight; return n < 0 })
		o := operations[i]
		if o.of == nil {
			return o, nil
		}
		if t := s.some(nil, o.of); t != nil {
			return o, t
		}
	}
}

var weights = func() (sum int) {
	for _, o := range operations {
		sum += o.weight
	}
	return sum
}()

// The tables: T is the name, O another table's.
var shapes = [][]string{
	{`create table T (id int primary key, v text, n int)`},
	{`create table T (id int not null, v varchar(20), n int not null)`, `create unique index on T (id)`},
	{`create table T (id int, v text, n int)`},
	{`create table T (id int, v text, n int, primary key (id, n))`},
	{`create table T (id bigint primary key, v text, n numeric(10, 2))`},
	{`create table T (id int generated by default as identity primary key, v text, n int, twice bigint generated always as (id::bigint * 2) stored)`},
	{`create table T as select * from O`},
	{`create table T (like O including all)`, `insert into T select * from O on conflict do nothing`},
	{`create table T (id int, v text, n int, primary key (id, n)) partition by list (n)`, `create table T_0 partition of T for values in (0)`,
		`create table T_1 partition of T for values in (1, 2)`, `create table T_d partition of T default`},
	{`create table T (id int not null, v text, n int) partition by list (n)`, `create table T_0 partition of T for values in (0)`, `create table T_1 partition of T for values in (1, 2)`},
	{`create table T (id int primary key, v text, n int) partition by range (id)`, `create table T_a partition of T for values from (0) to (20) partition by list (id)`,
		`create table T_ad partition of T_a default`, `create table T_b partition of T for values from (20) to (5000)`},
}

func (s *scene) made(name string) (sql []string) {
	other := s.some(nil, func(t *table) bool { return t.String() != name && !t.Tree })
	shape := shapes[s.rng.IntN(len(shapes))]
	if strings.Contains(strings.Join(shape, ""), " O") && other == nil {
		shape = shapes[0]
	}
	for _, statement := range shape {
		statement = strings.NewReplacer("T ", name+" ", "T_", name+"_").Replace(statement)
		if other != nil {
			statement = strings.NewReplacer(" O ", " "+other.String()+" ", "from O", "from "+other.String()).Replace(statement)
		}
		sql = append(sql, statement)
	}
	if s.likely(60) {
		sql = append(sql, fmt.Sprintf(`insert into %s (id, v, n) select g, 'f' || g, g %% 3 from generate_series(1, %d) g on conflict do nothing`, name, 3+s.rng.IntN(9)))
	}
	return sql
}

func create(s *scene, _ *table) []string {
	return s.made(s.one("s1.", "s2.") + s.free())
}

func drop(_ *scene, t *table) []string { return []string{`drop table ` + t.String() + ` cascade`} }

func recreate(s *scene, t *table) []string { return append(drop(s, t), s.made(t.String())...) }

// whole locks trees with all their partitions: what somebody writes straight into one while its root gets another name may be told by the old
// one, behind its end, as collector/README.md says.
func whole(tables []*table) (sql []string) {
	for _, t := range tables {
		if t.Tree && !t.Partition {
			sql = append(sql, `lock table `+t.String()+` in access exclusive mode`)
		}
	}
	return sql
}

func renamed(t *table, name string) string {
	return fmt.Sprintf(`alter table %s rename to %s`, t, name)
}

// other is another table that the operation is about.
func (s *scene) other(t *table, is func(*table) bool) *table {
	o := s.some(t, is)
	if o != nil {
		s.others = append(s.others, o)
	}
	return o
}

func (s *scene) neighbour(t *table) *table {
	return s.other(t, func(o *table) bool { return o.Schema == t.Schema && o.Partition == t.Partition && !o.Pending })
}

func replace(s *scene, t *table) []string {
	if o := s.neighbour(t); o != nil {
		return append(drop(s, t), renamed(o, t.Name))
	}
	return nil
}

func putAside(s *scene, t *table) []string {
	if o := s.neighbour(t); o != nil {
		return []string{renamed(t, s.fresh(s.one("t", "x_"))), renamed(o, t.Name)}
	}
	return nil
}

func rename(s *scene, t *table) []string { return []string{renamed(t, s.free())} }

func swap(s *scene, t *table) []string {
	o := s.neighbour(t)
	if o == nil {
		return nil
	}
	aside := *t
	aside.Name = s.fresh("aside")
	return []string{renamed(t, aside.Name), renamed(o, t.Name), renamed(&aside, o.Name)}
}

func setSchema(_ *scene, t *table) []string {
	return []string{fmt.Sprintf(`alter table %s set schema %s`, t, map[string]string{"s1": "s2", "s2": "s1"}[t.Schema])}
}

func truncate(_ *scene, t *table) []string { return []string{`truncate ` + t.String()} }

// makeTrigger makes one that changes rows, or writes to them: what is written by one that isn't followed at once comes in another order, as
// collector/README.md says.
func makeTrigger(s *scene, t *table) []string {
	fires := []string{"before insert or update", "after insert or update"}
	if s.Captured != "" {
		fires = fires[:1]
	}
	return []string{fmt.Sprintf(`create trigger %s %s on %s for each row execute function s1.note()`, s.fresh("note"), s.one(fires...), t)}
}

func dropTrigger(s *scene, t *table) []string {
	return []string{fmt.Sprintf(`drop trigger %s on %s`, s.one(t.Triggers...), t)}
}
