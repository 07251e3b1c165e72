package postgres

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/event"
)

//go:embed sql/tables.sql
var tablesTemplate string

//go:embed sql/tracked.sql
var trackedTemplate string

//go:embed sql/words.sql
var wordsTemplate string

var trackedSQL = strings.ReplaceAll(trackedTemplate, "{{words}}", wordsSQL("p.prosrc"))

// wordsSQL is an expression for a source without its comments and literals. Where these can't be told apart by a regular expression, since
// it has a dollar quote, an escaped apostrophe or a comment in a comment, it is the whole source.
func wordsSQL(source string) string {
	return strings.ReplaceAll(strings.TrimSpace(wordsTemplate), "{{source}}", source)
}

var tablesSQL = strings.NewReplacer("{{tracked}}", trackedSQL, "{{number}}", numberSQL, "{{table.of p}}", tableOfSQL).Replace(tablesTemplate)

//go:embed sql/describe.sql
var describeSQL string

// table is a table of the watched database that the configuration selects, and what is installed on it.
type table struct {
	oid           uint32
	schema, name  string
	rootSchema    string
	rootName      string
	parted        bool     // it has partitions
	root          bool     // of a partition tree
	leaf          bool     // in a partition tree, below its root
	merged        bool     // MERGE may insert into it through the partition tree
	partitions    []string // of a root, at all levels
	tracked       bool     // its statements are announced
	owned         bool     // by a role that the installer has
	overForeign   bool     // a foreign table is its child, or in its partition tree
	triggers      []string // ours that are there and enabled
	copied        []string // those, of others too, that PostgreSQL has copied from the tree's, which nobody drops alone
	disabled      bool     // one of ours is disabled
	function      string   // that our triggers call, "" where there are none
	functionHead  string   // where it begins
	functionHash  string   // SHA-256 of its text, hexadecimal
	functionOf    uint32   // the table that it was made for, 0 where it doesn't say
	borrowed      []string // triggers that call another table's function: a dump of that one was restored by this one's name
	numbered      bool     // it numbers statements by their place
	shapeID       int64    // as it is now
	shape         []byte
	drop          []string
	sent          bool   // its rows are captured in PostgreSQL's binary form
	freshFunction string // the name that a new function gets

	all   described                    // with the columns that are dropped
	row   func(relation string) string // SQL for a row as JSON
	sure  string                       // SQL that tells whether row calls nobody's function
	named bool                         // row names columns
}

// outdated tells whether the table's function isn't the one that has that text.
func (t *table) outdated(body string) bool {
	return t.functionHash != fmt.Sprintf("%x", sha256.Sum256([]byte(body)))
}

func (t *table) ident() string { return pgx.Identifier{t.schema, t.name}.Sanitize() }

// tables finds the tables that the configuration selects, and those that it doesn't select any more. A partition belongs
// to its root: it is selected when its root is.
func (s *Source) tables(ctx context.Context, db querier) (selected, deselected []*table, err error) {
	rows, err := db.Query(ctx, tablesSQL)
	if err != nil {
		return nil, nil, fmt.Errorf("list tables: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*table, error) {
		t := new(table)
		return t, row.Scan(&t.oid, &t.schema, &t.name, &t.rootSchema, &t.rootName, &t.parted, &t.root, &t.leaf, &t.merged, &t.tracked, &t.owned, &t.overForeign, &t.triggers, &t.copied, &t.disabled, &t.function, &t.functionHead, &t.functionHash, &t.numbered, &t.functionOf)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list tables: %w", err)
	}
	returnBorrowed(found)
	taken, partitions := map[string]bool{}, map[[2]string][]string{}
	for _, t := range found {
		taken[t.function] = true
		if root := [2]string{t.rootSchema, t.rootName}; t.leaf {
			partitions[root] = append(partitions[root], t.ident())
		}
	}
	for _, t := range found {
		if t.root {
			t.partitions = partitions[[2]string{t.schema, t.name}]
		}
		if !s.config.selects(t.rootSchema, t.rootName) {
			if t.function != "" || len(t.borrowed) > 0 {
				deselected = append(deselected, t)
			}
			continue
		}
		if err := s.describe(ctx, db, t); err != nil {
			return nil, nil, err
		}
		if t.shape != nil {
			t.freshFunction = freshFunction(t, taken)
			selected = append(selected, t)
		}
	}
	return selected, deselected, nil
}

// returnBorrowed leaves a function to the table that it was made for, where that has it.
func returnBorrowed(tables []*table) {
	owners := map[string]bool{}
	for _, t := range tables {
		if t.functionOf == t.oid {
			owners[t.function] = true
		}
	}
	for _, t := range tables {
		if t.restored() && owners[t.function] {
			t.borrowed = slices.DeleteFunc(t.triggers, func(name string) bool { return slices.Contains(t.copied, name) })
			t.triggers, t.function, t.functionHead, t.functionHash, t.functionOf = nil, "", "", "", 0
		}
	}
}

// restored tells whether the table came with its triggers from a dump: their function was made for another, which was there before.
func (t *table) restored() bool { return t.functionOf != 0 && t.functionOf != t.oid }

// describe finds out what the table's rows look like now. A table that was dropped meanwhile has no shape.
func (s *Source) describe(ctx context.Context, db querier, t *table) error {
	read := func(drop []string) error {
		err := db.QueryRow(ctx, describeSQL, t.oid, drop).Scan(&t.shapeID, &t.shape)
		if errors.Is(err, pgx.ErrNoRows) {
			t.shape = nil
			return nil
		}
		if err != nil {
			return fmt.Errorf("describe %s: %w", t.ident(), err)
		}
		return nil
	}
	if err := read([]string{}); err != nil || t.shape == nil {
		return err
	}
	if err := json.Unmarshal(t.shape, &t.all); err != nil {
		return fmt.Errorf("read the shape of %s: %w", t.ident(), err)
	}
	t.drop = t.all.Drop
	t.all.complete()
	drop, err := s.dropped(t)
	if err != nil || len(drop) == 0 {
		return err
	}
	t.drop = append(drop, t.drop...)
	return read(drop)
}

// dropped are the columns that the configuration's mask keeps from the outbox. Columns of the key stay: without them rows
// couldn't be told apart; whoever masks the raw record hides them.
func (s *Source) dropped(t *table) ([]string, error) {
	parsed, err := parseShape(s.name, "", t.shape)
	if err != nil {
		return nil, err
	}
	drop := []string{}
	for _, m := range s.options.Mask {
		matches, err := path.Match(m.Stream, string(parsed.stream))
		if err != nil {
			return nil, fmt.Errorf("mask of %q: %w", m.Stream, err)
		}
		if !matches || m.How != "drop" {
			continue
		}
		for _, f := range m.Fields {
			column := slices.ContainsFunc(parsed.columns, func(c event.Column) bool { return c.Name == f })
			if column && !slices.Contains(parsed.key, f) && !slices.Contains(drop, f) {
				drop = append(drop, f)
			}
		}
	}
	slices.Sort(drop)
	return drop, nil
}

// freshFunction is a name for the table's function that says whose it is, and that no other table's function has.
func freshFunction(t *table, taken map[string]bool) string {
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return -1
	}, strings.ToLower(t.name))
	if len(plain) > 32 {
		plain = plain[:32]
	}
	for i := 0; ; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%q.%q.%d.%d", t.schema, t.name, t.oid, i))
		name := "datawatch.capture_" + plain + "_" + hex.EncodeToString(sum[:4])
		if !taken[name] {
			taken[name] = true
			return name
		}
	}
}
