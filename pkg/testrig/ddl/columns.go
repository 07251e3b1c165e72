package ddl

import (
	"fmt"
	"slices"
	"strings"
)

// alter gives an ALTER TABLE; the columns are those whose values no event tells of.
func (s *scene) alter(t *table, what string, columns ...string) string {
	s.rewrites(t.OID, columns...)
	return `alter table ` + t.String() + ` ` + what
}

func addColumn(s *scene, t *table) []string {
	return []string{s.alter(t, `add `+s.fresh("c")+` `+s.one("int", "text", "varchar(20)", "date", "numeric(8, 2)", "boolean"))}
}

func addFilled(s *scene, t *table) []string {
	name := s.fresh("c")
	return []string{s.alter(t, `add `+name+` `+s.one("int default 7", "text not null default md5(random()::text)", "text default 'k'", "numeric default 1.50",
		"int generated always as identity", "bigint generated always as (7 * 6) stored"), name)}
}

func dropColumn(s *scene, t *table) []string {
	columns := t.rest()
	if s.likely(30) {
		columns = t.names()
	}
	if name := s.one(columns...); name != "" {
		return []string{s.alter(t, `drop `+name+` cascade`, name)}
	}
	return nil
}

func readdColumn(s *scene, t *table) []string {
	name := s.one(t.rest()...)
	if name == "" {
		return nil
	}
	return []string{s.alter(t, `drop `+name+` cascade`, name), s.alter(t, `add `+name+` `+s.one("int", "text", "text default 'again'"))}
}

func renameColumn(s *scene, t *table) []string {
	name, as := s.one(t.rest()...), s.fresh("r")
	if name == "" {
		return nil
	}
	return []string{s.alter(t, `rename `+name+` to `+as, name, as)}
}

func renameKey(s *scene, t *table) []string {
	name := s.one(t.key()...)
	if name == "" || name == "n" {
		return nil
	}
	as := "id"
	if t.has("id") {
		as = s.fresh("k")
	}
	return []string{s.alter(t, `rename `+name+` to `+as, name, as)}
}

func swapColumns(s *scene, t *table) []string {
	columns := slices.DeleteFunc(t.names(), func(name string) bool { return name == "n" })
	if len(columns) < 2 {
		return nil
	}
	i := s.rng.Perm(len(columns))
	a, b, aside := columns[i[0]], columns[i[1]], s.fresh("aside")
	return []string{s.alter(t, `rename `+a+` to `+aside, a, b), s.alter(t, `rename `+b+` to `+a), s.alter(t, `rename `+aside+` to `+b)}
}

// types are what a column may become, by what it is; those behind a ! print its values otherwise.
var types = map[string][]string{
	"integer":               {"bigint", "numeric", "!text"},
	"bigint":                {"numeric", "!text"},
	"numeric":               {"!text"},
	"numeric(10,2)":         {"numeric", "!text"},
	"numeric(8,2)":          {"!numeric(14, 4)"},
	"text":                  {"varchar(60)", "!text using upper(C)"},
	"character varying(20)": {"text", "varchar(40)"},
	"date":                  {"!timestamp"},
	"boolean":               {"!text"},
}

func (s *scene) retyped(t *table, name string) []string {
	as := s.one(types[t.column(name).Type]...)
	if as == "" || t.column(name).Generated {
		return nil
	}
	as, rewritten := strings.CutPrefix(as, "!")
	alter := `alter ` + name + ` type ` + strings.ReplaceAll(as, "C", name)
	if rewritten {
		return []string{s.alter(t, alter, name)}
	}
	return []string{s.alter(t, alter)}
}

func retype(s *scene, t *table) []string { return s.retyped(t, s.one(t.rest()...)) }

func retypeKey(s *scene, t *table) []string { return s.retyped(t, s.one(t.key()...)) }

// unique takes the rows away that a key wouldn't allow.
func unique(t *table) string {
	return fmt.Sprintf(`delete from %s a using %[1]s b where a.id = b.id and (a.tableoid, a.ctid) > (b.tableoid, b.ctid) or a.id is null or a.n is null`, t)
}

// keyOf gives columns for a primary key, which a tree's key by which it is partitioned has to be of.
func (s *scene) keyOf(t *table) string {
	if t.Tree {
		return s.one("id, n", "n, id", "id")
	}
	return s.one("id", "id, n", "n, id", "id, v")
}

func dropKey(s *scene, t *table) []string {
	return []string{s.alter(t, `drop constraint `+t.primary().Constraint+` cascade`)}
}

func addKey(s *scene, t *table) []string {
	return []string{unique(t), s.alter(t, `add primary key (`+s.keyOf(t)+`)`)}
}

func replaceKey(s *scene, t *table) []string {
	return []string{unique(t), s.alter(t, `drop constraint `+t.primary().Constraint+` cascade, add primary key (`+s.keyOf(t)+`)`)}
}

func keyByIndex(s *scene, t *table) []string {
	if t.Tree {
		return nil
	}
	name := s.fresh("i")
	return append(dropKey(s, t), unique(t), fmt.Sprintf(`create unique index %s on %s (%s)`, name, t, s.one("id", "n, id")), s.alter(t, `add primary key using index `+name))
}

func addUnique(s *scene, t *table) []string {
	sql := []string{unique(t), fmt.Sprintf(`create unique index %s on %s (%s)`, s.fresh("u"), t, s.one("id", "id", "id, n"))}
	if s.likely(60) {
		sql = append(sql, s.alter(t, `alter id set not null`))
	}
	return sql
}

func dropUnique(_ *scene, t *table) []string {
	return []string{`drop index ` + t.Indexes[slices.IndexFunc(t.Indexes, loose)].Name}
}

func identity(s *scene, t *table) []string {
	as := []string{"default", "full", "nothing"}
	for _, i := range t.Indexes {
		if i.Unique && i.Immediate {
			as = append(as, "using index "+i.Name[strings.LastIndexByte(i.Name, '.')+1:])
		}
	}
	return []string{s.alter(t, `replica identity `+s.one(as...))}
}
