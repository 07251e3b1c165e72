package wal

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed sql/tables.sql
var tablesTemplate string

//go:embed sql/place.sql
var placeSQL string

var tablesSQL = strings.NewReplacer("{{updates}}", updatesOf("$3::boolean"), "{{publication}}", strings.TrimSpace(publicationSQL), "{{place}}", strings.TrimSpace(placeSQL)).Replace(tablesTemplate)

// table is a relation that could be captured: a table, a partition, or the root of a partition tree or of a part of one.
type table struct {
	oid                  uint32
	schema, name         string
	partitioned          bool
	root                 uint32 // itself, where it is no partition
	rootSchema, rootName string
	permanent            bool
	identity             string // pg_class.relreplident
	key                  string // of one whose old rows are whole, the primary key's columns in JSON
	updates              bool   // an UPDATE could be published; of a root, of a new partition too
	inAll, inInserts     bool   // the publications that it is in
	wantAll, wantInserts bool
	rows                 [3]string // by which rows of the catalog it is in all, in inserts, and a partition in its tree
	sound                [2]bool   // all of it that the publication is to publish is published
}

func (t *table) ident() string   { return pgx.Identifier{t.schema, t.name}.Sanitize() }
func (t *table) partition() bool { return t.root != t.oid }

// known is the stream that the table is of.
func (t *table) known() knownTable {
	k := knownTable{Schema: t.rootSchema, Table: t.rootName, Root: t.partition(), Key: t.key}
	if k.Root {
		k.Tree = t.root
	}
	return k
}

// missing tells whether the table isn't published as it is to be.
func (t *table) missing() bool {
	return t.inAll != t.wantAll || t.inInserts != t.wantInserts || t.wantAll && !t.sound[0] || t.wantInserts && !t.sound[1]
}

// listTables finds all tables, and decides which publication each one of those that are selected belongs to.
func (s *Source) listTables(ctx context.Context, db *pgx.Conn, version int) (all []*table, err error) {
	rows, err := db.Query(ctx, tablesSQL, s.names.all, s.names.inserts, version >= 180000)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*table, error) {
		t := new(table)
		err := row.Scan(&t.oid, &t.schema, &t.name, &t.partitioned, &t.root, &t.rootSchema, &t.rootName, &t.permanent, &t.identity, &t.key,
			&t.updates, &t.rows[0], &t.sound[0], &t.rows[1], &t.sound[1], &t.rows[2])
		t.inAll, t.inInserts = t.rows[0] != "", t.rows[1] != ""
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	s.assign(all)
	return all, nil
}

// assign decides which publications tables are to be in. An UPDATE of a table without a usable replica identity fails where
// a publication of updates has it, so that such a table is published with its inserts and truncates alone.
//
// A partition is published with its root, also one that is made later: with its updates only where each has a usable
// replica identity, and a later one too, which has the root's primary key and nothing else from it. In other trees the
// partitions that have one are published by themselves.
func (s *Source) assign(all []*table) {
	trees := map[uint32][]*table{}
	for _, t := range all {
		if t.partition() && !t.partitioned {
			trees[t.root] = append(trees[t.root], t)
		}
	}
	for _, t := range all {
		if t.partition() || !t.permanent || !s.config.Selects(t.schema, t.name) {
			continue
		}
		if !t.partitioned {
			t.wantAll, t.wantInserts = t.updates, !t.updates
			continue
		}
		whole := t.updates
		for _, leaf := range trees[t.oid] {
			whole = whole && leaf.updates
		}
		t.wantAll, t.wantInserts = whole, !whole
		for _, leaf := range trees[t.oid] {
			leaf.wantAll = !whole && leaf.updates && leaf.permanent
		}
	}
}

// captured are the relations whose rows come, with what their stream is named for. Those that came before are among them as long as
// they are to come: somebody took them out of a publication.
func captured(all []*table, before knownTables) knownTables {
	published, selected := map[uint32]bool{}, map[uint32]bool{}
	for _, t := range all {
		published[t.oid], selected[t.oid] = t.inAll || t.inInserts, t.wantAll || t.wantInserts
	}
	known := knownTables{}
	for _, t := range all {
		if t.partitioned || !t.permanent || !selected[t.oid] && !selected[t.root] {
			continue
		}
		if _, came := before[t.oid]; came || published[t.oid] || published[t.root] {
			known[t.oid] = t.known()
		}
	}
	return known
}

// withoutUpdates are the captured relations whose updates and deletes can't be published.
func withoutUpdates(all []*table) []*table {
	whole := map[uint32]bool{}
	for _, t := range all {
		whole[t.oid] = t.wantAll
	}
	var without []*table
	for _, t := range all {
		if !t.partitioned && t.permanent && (t.wantInserts || t.partition() && wanted(all, t.root) && !t.wantAll && !whole[t.root]) {
			without = append(without, t)
		}
	}
	return without
}

func wanted(all []*table, oid uint32) bool {
	for _, t := range all {
		if t.oid == oid {
			return t.wantAll || t.wantInserts
		}
	}
	return false
}
