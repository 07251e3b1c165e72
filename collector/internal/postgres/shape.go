package postgres

import (
	"encoding/json"
	"fmt"
	"slices"

	"datawatch/pkg/event"
)

// shape is what the rows of a table look like, and the stream that they belong to.
type shape struct {
	schema, table string // of the partition tree's root
	stream        event.Stream
	columns       []event.Column
	key           []string
	sent          []sentColumn // nil where a type isn't known in its binary form

	head       []byte // the members of a RowChange from "database" to "key_columns"
	incomplete []byte // what its events say of columns that aren't captured, JSON; nil where all are
}

// described is a shape as sql/describe.sql gives it. Types refer to each other by oid.
type described struct {
	Schema     string                   `json:"schema"`
	Table      string                   `json:"table"`
	RootSchema string                   `json:"root_schema"`
	RootTable  string                   `json:"root_table"`
	Partition  bool                     `json:"partition"`
	Drop       []string                 `json:"drop"`
	Columns    []describedColumn        `json:"columns"`
	Types      map[string]describedType `json:"types"`
	Key        []string                 `json:"key"`

	// Virtual are the columns that are computed when they are read. Drop has them too, and Columns hasn't.
	Virtual []virtualColumn `json:"virtual"`

	altered string // SQL that fails, in the place of a value of a composite that was altered meanwhile; "" where any will do
}

type describedColumn struct {
	Name string `json:"name"`
	OID  string `json:"oid"`
	Type string `json:"type"`
}

type virtualColumn struct {
	describedColumn
	Place int `json:"place"` // among all columns, from 1 on
}

// complete has the virtual columns among the others, as the table has them.
func (d *described) complete() {
	for _, v := range d.Virtual {
		d.Columns = slices.Insert(d.Columns, v.Place-1, v.describedColumn)
	}
}

type describedType struct {
	Name    string            `json:"name"`
	Kind    string            `json:"kind"` // pg_type.typtype
	Type    string            `json:"type"`
	Base    string            `json:"base"`    // of a domain
	Element string            `json:"element"` // of an array
	Fields  []describedColumn `json:"fields"`  // of a composite
}

// maxFields is how many fields the types of a table's columns have in all. What has more is printed as text: composites of composites can
// have a number that doubles with each.
const maxFields = 10000

// UnmarshalJSON reads the text that sql/describe.sql gives, with types that can be held.
func (d *described) UnmarshalJSON(text []byte) error {
	type plain described
	if err := json.Unmarshal(text, (*plain)(d)); err != nil {
		return err
	}
	left, sizes := maxFields, map[string]int{}
	for _, c := range d.Columns {
		n := d.fields(c.OID, sizes)
		if n > left && userType(c.OID) {
			d.Types[c.OID] = describedType{Type: d.Types[c.OID].Type, Kind: kindOpaque}
			continue
		}
		left -= n
	}
	return nil
}

// kindOpaque is of a type of which only its text is known.
const kindOpaque = "opaque"

// fields is how many fields a value of a type has, and itself; more than maxFields are as many as any.
func (d *described) fields(oid string, sizes map[string]int) int {
	if n, known := sizes[oid]; known {
		return n
	}
	sizes[oid] = maxFields + 1 // should it be made of itself
	t := d.Types[oid]
	n := 1
	for _, part := range []string{t.Element, t.Base} {
		if part != "" {
			n += d.fields(part, sizes)
		}
	}
	for _, f := range t.Fields {
		n = min(n+d.fields(f.OID, sizes), maxFields+1)
	}
	sizes[oid] = n
	return n
}

func parseShape(source, database string, text []byte) (*shape, error) {
	var d described
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("read shape: %w", err)
	}
	s := &shape{schema: d.RootSchema, table: d.RootTable, key: d.Key, columns: d.columns(d.Columns, 0), sent: d.sent()}
	if len(d.Virtual) > 0 {
		missing := event.Incomplete{}
		for _, v := range d.Virtual {
			missing.Fields = append(missing.Fields, v.Name)
		}
		var err error
		if s.incomplete, err = json.Marshal(missing); err != nil {
			return nil, fmt.Errorf("write what a shape lacks: %w", err)
		}
	}
	return s.complete(source, database)
}

// complete makes what follows from the other fields.
func (s *shape) complete(source, database string) (*shape, error) {
	s.stream = event.StreamOf(source, event.TableEntity(s.schema, s.table))
	columns, err := json.Marshal(s.columns)
	if err != nil {
		return nil, fmt.Errorf("write columns: %w", err)
	}
	b := append([]byte(nil), `"database":`...)
	b = event.AppendString(b, database)
	b = append(b, `,"schema":`...)
	b = event.AppendString(b, s.schema)
	b = append(b, `,"table":`...)
	b = event.AppendString(b, s.table)
	b = append(b, `,"columns":`...)
	b = append(b, columns...)
	if len(s.key) > 0 {
		key, err := json.Marshal(s.key)
		if err != nil {
			return nil, fmt.Errorf("write key columns: %w", err)
		}
		b = append(b, `,"key_columns":`...)
		b = append(b, key...)
	}
	s.head = b
	return s, nil
}

// maxTypeDepth ends what a catalog in disorder could make endless; PostgreSQL has no recursive types.
const maxTypeDepth = 32

func (d *described) columns(fields []describedColumn, depth int) []event.Column {
	columns := make([]event.Column, 0, len(fields))
	for _, f := range fields {
		columns = append(columns, d.column(f, depth))
	}
	return columns
}

func (d *described) column(f describedColumn, depth int) event.Column {
	c := event.Column{Name: f.Name, Type: f.Type}
	t := d.Types[f.OID]
	for i := 0; t.Kind == "d" && i < maxTypeDepth; i++ {
		t = d.Types[t.Base]
	}
	if depth > maxTypeDepth {
		c.Base = t.Name
		return c
	}
	switch {
	case t.Element != "":
		c.Base = t.Name
		element := d.column(describedColumn{OID: t.Element, Type: d.Types[t.Element].Type}, depth+1)
		c.Element = &element
	case t.Kind == "c":
		c.Base = "composite"
		c.Fields = d.columns(t.Fields, depth+1)
	case t.Kind == "e":
		c.Base = "enum"
	case t.Kind == "r":
		c.Base = "range"
	case t.Kind == "m":
		c.Base = "multirange"
	default:
		c.Base = t.Name
	}
	return c
}

// fits tells whether a row with these members, in whatever order, has this shape.
func (s *shape) fits(names []string) bool {
	if len(names) != len(s.columns) {
		return false
	}
	for i, name := range names {
		if s.columns[i].Name == name {
			continue
		}
		if !slices.ContainsFunc(s.columns, func(c event.Column) bool { return c.Name == name }) {
			return false
		}
	}
	return true
}

// named is the shape of a row of this table with other members: what is known of a column stays, an unknown one is text
// as far as its JSON allows. It stands in where a table was altered twice before anybody could look.
func (s *shape) named(source, database string, names []string) (*shape, error) {
	other := &shape{schema: s.schema, table: s.table}
	for _, name := range names {
		c := event.Column{Name: name, Type: "unknown", Base: "json"}
		if i := slices.IndexFunc(s.columns, func(c event.Column) bool { return c.Name == name }); i >= 0 {
			c = s.columns[i]
		}
		other.columns = append(other.columns, c)
	}
	known := !slices.ContainsFunc(s.key, func(k string) bool { return !slices.Contains(names, k) })
	if known {
		other.key = s.key
	}
	return other.complete(source, database)
}
