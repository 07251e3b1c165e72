package wal

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/postgres"
	"datawatch/pkg/event"
)

//go:embed sql/types.sql
var typesSQL string

//go:embed sql/relation.sql
var relationTemplate string

var relationSQL = strings.Replace(relationTemplate, "{{place}}", strings.TrimSpace(placeSQL), 1)

// relation is a table as it was when the changes that follow were made.
type relation struct {
	id           uint32
	schema, name string // its own; a partition's stream is its root's
	columns      []column
	full         bool     // old rows are whole
	computed     []string // columns that pgoutput leaves out

	database, streamSchema, streamTable string
	stream                              event.Stream
	shape                               []event.Column
	key                                 []string
	head                                []byte
	excluded                            bool
	keyless                             bool
	tree                                uint32 // the oid of the partition tree's root
	at                                  place  // where it is now
	gone                                bool   // it isn't in the catalog
	stray                               bool   // it was a partition, which isn't published by itself, and nobody knows of which tree
	ownKey                              bool   // a partition's, whose tree has none
}

type column struct {
	name     string
	head     []byte // the name and a colon
	identity bool   // of the replica identity
	codec    *codec
}

// catalog looks things up that the stream doesn't tell, in the database as it is now.
type catalog struct {
	source, database string
	db               *pgx.Conn
}

// relation makes of what the stream tells of a table (names, columns and replica identity as they were) what its events
// need. Of a type the stream tells just the name, so that types come from the catalog, as they are now. before is what the
// table was known to be, else nil: it may have been attached, or detached, behind this place.
func (c *catalog) relation(ctx context.Context, m *pglogrepl.RelationMessage, before *knownTable) (*relation, error) {
	r := &relation{
		id: m.RelationID, schema: m.Namespace, name: m.RelationName, database: c.database,
		streamSchema: m.Namespace, streamTable: m.RelationName, full: m.ReplicaIdentity == 'f',
	}
	if err := c.describe(ctx, r, m.Columns); err != nil {
		return nil, err
	}
	candidates, err := c.place(ctx, r)
	if err != nil {
		return nil, err
	}
	switch {
	case before == nil:
	case before.Root:
		r.streamSchema, r.streamTable, r.tree = before.Schema, before.Table, before.Tree
	default:
		r.streamSchema, r.streamTable, r.tree = m.Namespace, m.RelationName, 0
	}
	if before != nil && before.Key != "" {
		var key []string
		if err := json.Unmarshal([]byte(before.Key), &key); err != nil {
			return nil, fmt.Errorf("the key of %s.%s: %w", r.schema, r.name, err)
		}
		candidates = append(candidates, key)
	}
	r.key = r.chooseKey(candidates, m.ReplicaIdentity)
	r.ownKey = r.tree != 0 && len(r.key) > 0 && !slices.ContainsFunc(candidates, func(key []string) bool { return slices.Equal(key, r.key) })
	return r, r.complete(c.source)
}

// describe finds out what the columns' types are.
func (c *catalog) describe(ctx context.Context, r *relation, columns []*pglogrepl.RelationMessageColumn) error {
	names, oids, modifiers := make([]string, len(columns)), make([]uint32, len(columns)), make([]int32, len(columns))
	for i, column := range columns {
		names[i], oids[i], modifiers[i] = column.Name, column.DataType, column.TypeModifier
	}
	var text []byte
	if err := c.db.QueryRow(ctx, typesSQL, names, oids, modifiers).Scan(&text); err != nil {
		return fmt.Errorf("describe %s.%s: %w", r.schema, r.name, err)
	}
	codecs, err := parseCodecs(text, func(typeName, text string) ([]byte, error) { return c.cast(ctx, typeName, text) })
	if err != nil {
		return err
	}
	oids, text, err = codecs.bound(oids, text)
	if err != nil {
		return err
	}
	if r.shape, err = postgres.ParseColumns(text); err != nil {
		return err
	}
	for i, column := range columns {
		r.columns = append(r.columns, columnOf(column, oids[i], codecs))
	}
	return nil
}

func columnOf(c *pglogrepl.RelationMessageColumn, oid uint32, types codecs) column {
	return column{
		name: c.Name, head: append(postgres.AppendJSONText(nil, []byte(c.Name)), ':'), identity: c.Flags&1 != 0,
		codec: types.of(fmt.Sprint(oid), 0),
	}
}

// cast has the server print a value of a type that brought its own cast to json; of one that is gone, the text stays.
func (c *catalog) cast(ctx context.Context, typeName, text string) ([]byte, error) {
	var value []byte
	if err := c.db.QueryRow(ctx, "select to_json($1::text::"+typeName+")", text).Scan(&value); err != nil {
		if ctx.Err() != nil || c.db.IsClosed() {
			return nil, fmt.Errorf("print a value of %s: %w", typeName, err)
		}
		return postgres.AppendJSONText(nil, []byte(text)), nil // the type was altered or dropped since
	}
	return value, nil
}

// place finds the relation in the catalog: its partition tree's root, its computed columns, and what could be its key.
func (c *catalog) place(ctx context.Context, r *relation) (keys [][]string, err error) {
	var schema, table, candidates string
	var computed []string
	err = c.db.QueryRow(ctx, relationSQL, r.id).Scan(&r.at.tree, &schema, &table, &r.at.rows, &candidates, &computed)
	r.tree = r.at.tree
	if errors.Is(err, pgx.ErrNoRows) {
		r.gone = true // dropped since
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for %s.%s: %w", r.schema, r.name, err)
	}
	if table != "" {
		r.streamSchema, r.streamTable = schema, table
	}
	for _, name := range computed {
		if !slices.ContainsFunc(r.columns, func(c column) bool { return c.name == name }) {
			r.computed = append(r.computed, name)
		}
	}
	if err := json.Unmarshal([]byte(candidates), &keys); err != nil {
		return nil, fmt.Errorf("look for the key of %s.%s: %w", r.schema, r.name, err)
	}
	return keys, nil
}

// chooseKey takes the best key that is in every old row: where the replica identity is an index, its own columns, if no
// better key lies within it.
func (r *relation) chooseKey(candidates [][]string, identity uint8) []string {
	none := identity == 'n' || identity != 'f' && !slices.ContainsFunc(r.columns, func(c column) bool { return c.identity }) // no old rows come
	inOldRows := func(name string) bool {
		return slices.ContainsFunc(r.columns, func(c column) bool {
			return c.name == name && (c.identity || identity == 'f' || none)
		})
	}
	for _, key := range candidates {
		if !slices.ContainsFunc(key, func(name string) bool { return !inOldRows(name) }) {
			return key
		}
	}
	var key []string
	if identity == 'd' || identity == 'i' {
		for _, c := range r.columns {
			if c.identity {
				key = append(key, c.name)
			}
		}
	}
	return key
}

// complete makes what follows from the other fields.
func (r *relation) complete(source string) (err error) {
	r.keyless = len(r.key) == 0
	r.stream, r.head, err = postgres.RowHead(source, r.database, r.streamSchema, r.streamTable, r.shape, r.key)
	return err
}

// asText takes a column for text from here on: its values don't have the form of its type as it is now.
func (r *relation) asText(source string, i int) error {
	r.columns[i].codec = &codec{}
	r.shape = slices.Clone(r.shape)
	r.shape[i] = event.Column{Name: r.shape[i].Name, Type: r.shape[i].Type, Base: "text"}
	return r.complete(source)
}

// relation is what is known of a table that the stream told of.
func (r *reader) relation(ctx context.Context, id uint32) (*relation, error) {
	if known := r.relations[id]; known != nil {
		return known, nil
	}
	m := r.named[id]
	if m == nil {
		return nil, fmt.Errorf("relation %d, of which the stream told nothing: %w", id, errMessage)
	}
	before := r.before(id)
	if before == nil || before.Root && !r.kept[id] {
		switch seen, err := r.sees(ctx, id, m.Namespace+"."+m.RelationName); {
		case err != nil:
			return nil, err
		case !seen:
			r.relations[id] = &relation{id: id, excluded: true}
			return r.relations[id], nil
		}
	}
	found, err := r.catalog.relation(ctx, m, before)
	if err != nil {
		return nil, err
	}
	moved, err := r.moved(ctx, found, before)
	if err != nil {
		return nil, err
	}
	if before == nil && found.tree == 0 && !r.config.Selects(found.schema, found.name) {
		published, err := r.catalog.published(ctx, r.names, id)
		if err != nil {
			return nil, err
		}
		found.stray = !published
	}
	switch {
	case !found.stray:
		err = r.settle(ctx, found)
	case !r.strays[id]:
		r.strays[id] = true
		r.strayed(found.schema+"."+found.name, r.time())
	}
	if err != nil {
		return nil, err
	}
	found.excluded = found.excluded || moved
	r.relations[id] = found
	r.keyed(found)
	return found, nil
}

// before is what a table was known to be at a place that was read, or, where it wasn't there, the partition that looks behind it found;
// nil where it is neither.
func (r *reader) before(id uint32) *knownTable {
	if known, ok := r.known[id]; ok {
		return &known
	}
	for _, l := range []*look{r.look, r.later} {
		if l == nil {
			break
		}
		for _, tables := range []knownTables{l.tables, l.seen} {
			if known := tables[id]; known.Root {
				return &known
			}
		}
	}
	return nil
}
