package ddl

import (
	"fmt"
	"slices"
)

// bound is where a partition may be: of one value, or of all that have none.
func (s *scene) bound() (n int, bound string) {
	n = s.rng.IntN(7)
	if s.likely(20) {
		return n, "default"
	}
	return n, fmt.Sprintf("for values in (%d)", n)
}

// through inserts a row through a tree, and so into its newest partition.
func (s *scene) through(t *table, n int) string {
	return fmt.Sprintf(`insert into %s (id, v, n) values (%d, 'through', %d) on conflict do nothing`, t, 1+s.rng.IntN(40), n)
}

func newPartition(s *scene, t *table) []string {
	n, bound := s.bound()
	return []string{fmt.Sprintf(`create table %s.%s partition of %s %s`, t.Schema, s.fresh("p"), t, bound), s.through(t, n)}
}

func newBranch(s *scene, t *table) []string {
	n, bound := s.bound()
	name := t.Schema + "." + s.fresh("p")
	return []string{fmt.Sprintf(`create table %s partition of %s %s partition by list (n)`, name, t, bound), fmt.Sprintf(`create table %s_d partition of %[1]s default`, name), s.through(t, n)}
}

func attached(t *table, partition, bound string) string {
	return fmt.Sprintf(`alter table %s attach partition %s %s`, t, partition, bound)
}

func detached(t, partition *table) string {
	return fmt.Sprintf(`alter table %s detach partition %s`, t, partition)
}

// attach takes a table that is there, with the same columns.
func attach(s *scene, t *table) []string {
	o := s.other(t, func(o *table) bool {
		return top(o) && len(o.names()) == len(t.names()) && !slices.ContainsFunc(o.names(), func(name string) bool { return !t.has(name) })
	})
	if o == nil {
		return nil
	}
	n, bound := s.bound()
	return []string{fmt.Sprintf(`update %s set n = %d where n is distinct from %[2]d`, o, n), attached(t, o.String(), bound)}
}

func attachNew(s *scene, t *table) []string {
	n, bound := s.bound()
	name := t.Schema + "." + s.fresh("p")
	return []string{fmt.Sprintf(`create table %s (like %s%s)`, name, t, s.one("", " including all")),
		fmt.Sprintf(`insert into %s (id, v, n) select g, 'with', %d from generate_series(%d, 40) g`, name, n, 1+s.rng.IntN(30)), attached(t, name, bound)}
}

func detach(s *scene, t *table) []string {
	p := s.parent(t)
	if p == nil {
		return nil
	}
	sql := []string{detached(p, t)}
	if s.likely(20) {
		sql = append(sql, drop(s, t)...)
	}
	return sql
}

func reattach(s *scene, t *table) []string {
	p := s.parent(t)
	if p == nil {
		return nil
	}
	return []string{detached(p, t), fmt.Sprintf(`update %s set v = 'apart'`, t), attached(p, t.String(), t.Bound)}
}

func detachConcurrently(s *scene, t *table) []string {
	if p := s.parent(t); p != nil {
		return []string{detached(p, t) + ` concurrently`}
	}
	return nil
}

func finalize(s *scene, t *table) []string {
	if p := s.parent(t); p != nil {
		return []string{detached(p, t) + ` finalize`}
	}
	return nil
}

// replacePartition puts another one in its place, with some of its rows.
func replacePartition(s *scene, t *table) []string {
	p := s.parent(t)
	if p == nil || t.Tree {
		return nil
	}
	name := t.Schema + "." + s.fresh("p")
	return []string{fmt.Sprintf(`create table %s (like %s including all)`, name, t), fmt.Sprintf(`insert into %s select * from %s where id < 20`, name, t),
		detached(p, t), attached(p, name, t.Bound), `drop table ` + t.String()}
}
