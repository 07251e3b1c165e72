package ddl

import (
	"fmt"
	"slices"
	"strings"
)

// write gives a statement that changes rows, often of what was altered last, and the table; none where there is nothing to write to.
func (s *scene) write(recent string) (t *table, sql []string) {
	writable := func(t *table) bool { return !t.Pending && len(t.Columns) > 0 }
	t = s.some(nil, func(t *table) bool { return writable(t) && strings.Contains(recent, t.Name) })
	if t == nil || s.likely(50) {
		t = s.some(nil, writable)
	}
	if t == nil {
		return nil, nil
	}
	switch n := s.rng.IntN(100); {
	case n < 35:
		return t, s.insert(t)
	case n < 70:
		return t, s.update(t)
	case n < 80:
		return t, s.moveKey(t)
	case n < 85 && t.has("n") && !t.column("n").Generated:
		return t, []string{fmt.Sprintf(`update %s set n = %d where %s`, t, s.rng.IntN(6), s.which(t))} // to another partition
	default:
		return t, []string{fmt.Sprintf(`delete from %s where %s`, t, s.which(t))}
	}
}

// value is one for a column.
func (s *scene) value(c column) string {
	switch n := s.rng.IntN(10_000); {
	case c.Name == "n":
		return fmt.Sprint(n % 6)
	case c.Name == "id" && numeric(c):
		return fmt.Sprint(1 + n%40)
	case numeric(c):
		return fmt.Sprint(n % 100)
	case c.Type == "boolean":
		return fmt.Sprint(n%2 == 0)
	case c.Type == "date", strings.HasPrefix(c.Type, "timestamp"):
		return fmt.Sprintf("date '2026-01-01' + %d", n%300)
	default:
		return fmt.Sprintf("'v%d'", n)
	}
}

func numeric(c column) bool {
	return c.Type == "integer" || c.Type == "bigint" || strings.HasPrefix(c.Type, "numeric")
}

// which is a condition by the first column of the key: one row of most tables, or some.
func (s *scene) which(t *table) string {
	c := t.column(t.key()[0])
	if n := 1 + s.rng.IntN(40); numeric(c) && s.likely(40) {
		return fmt.Sprintf("%s between %d and %d", c.Name, n, n+s.rng.IntN(12))
	}
	if numeric(c) {
		return fmt.Sprintf("%s = %d", c.Name, 1+s.rng.IntN(40))
	}
	return fmt.Sprintf("%s >= %s", c.Name, s.value(c))
}

func (s *scene) insert(t *table) []string {
	columns := slices.DeleteFunc(slices.Clone(t.Columns), func(c column) bool {
		return c.Generated || c.Always || s.likely(10) && !slices.Contains(t.key(), c.Name)
	})
	if len(columns) == 0 {
		return nil
	}
	var names, rows []string
	for _, c := range columns {
		names = append(names, c.Name)
	}
	for range []int{1, 1, 2, 5, 30}[s.rng.IntN(5)] {
		var values []string
		for _, c := range columns {
			values = append(values, s.value(c))
		}
		rows = append(rows, "("+strings.Join(values, ", ")+")")
	}
	return []string{fmt.Sprintf(`insert into %s (%s) values %s on conflict do nothing`, t, strings.Join(names, ", "), strings.Join(rows, ", "))}
}

func (s *scene) update(t *table) []string {
	name := s.one(t.rest()...)
	if c := t.column(name); name != "" && !c.Generated && !c.Always {
		return []string{fmt.Sprintf(`update %s set %s = %s where %s`, t, name, s.value(c), s.which(t))}
	}
	return nil
}

// moveKey gives rows other keys, that no others have.
func (s *scene) moveKey(t *table) []string {
	c := t.column(t.key()[0])
	if !numeric(c) || c.Generated {
		return nil
	}
	return []string{fmt.Sprintf(`update %s set %s = %[2]s + %d where %s and not exists (select from %[1]s o where o.%[2]s > 40)`, t, c.Name, 100*(1+s.rng.IntN(10)), s.which(t))}
}
