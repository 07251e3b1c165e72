package ddl

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// table is a table or a partition, as the catalog has it.
type table struct {
	OID          uint32
	Schema, Name string
	Tree         bool   // it has partitions
	Partition    bool   // it is one
	Pending      bool   // it is being detached, and may have to be finalized
	Parent       uint32 // of a partition
	List         string // the column that a tree is partitioned by, where that is by list
	Bound        string // of a partition
	Columns      []column
	Indexes      []index
	Triggers     []string // of the application
}

type column struct {
	Name, Type string
	Generated  bool
	Always     bool // an identity that isn't given values
}

type index struct {
	Name, Constraint           string
	Columns                    []string
	Unique, Primary, Immediate bool
}

// catalogSQL gives all of them as JSON.
const catalogSQL = `select coalesce(json_agg(t), '[]') from (
	select c.oid::bigint as oid, n.nspname as schema, c.relname as name, c.relkind = 'p' as tree, c.relispartition as partition, coalesce(i.inhparent::bigint, 0) as parent,
		coalesce((to_jsonb(i) ->> 'inhdetachpending')::boolean, false) as pending, coalesce(pg_get_expr(c.relpartbound, c.oid), '') as bound,
		coalesce((select a.attname from pg_partitioned_table p join pg_attribute a on a.attrelid = p.partrelid and a.attnum = p.partattrs[0] where p.partrelid = c.oid and p.partstrat = 'l'), '') as list,
		(select json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'generated', a.attgenerated <> '', 'always', a.attidentity = 'a') order by a.attnum)
			from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
		(select json_agg(json_build_object('name', x.indexrelid::regclass::text, 'constraint', coalesce(k.conname, ''), 'unique', x.indisunique, 'primary', x.indisprimary, 'immediate', x.indimmediate,
				'columns', (select json_agg(a.attname order by o.place) from unnest(x.indkey::int2[]) with ordinality o(number, place) join pg_attribute a on a.attrelid = c.oid and a.attnum = o.number)))
			from pg_index x left join pg_constraint k on k.conindid = x.indexrelid and k.contype in ('p', 'u') where x.indrelid = c.oid) as indexes,
		(select json_agg(g.tgname) from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal and g.tgname like 'note%') as triggers
	from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_inherits i on i.inhrelid = c.oid
	where n.nspname in ('s1', 's2') and c.relkind in ('r', 'p') order by c.oid) t`

// tables are those that the session sees now.
func tables(ctx context.Context, db *pgx.Conn) ([]*table, error) {
	var text []byte
	if err := db.QueryRow(ctx, catalogSQL, pgx.QueryExecModeSimpleProtocol).Scan(&text); err != nil {
		return nil, err
	}
	var all []*table
	return all, json.Unmarshal(text, &all)
}

func (t *table) String() string { return t.Schema + "." + t.Name }

// selected: tables named x_ something are excluded by the configuration (see [Exclude]).
func (t *table) selected() bool { return selected(t.Name) }

func selected(name string) bool { return !strings.HasPrefix(name, "x_") }

func (t *table) has(column string) bool { return slices.Contains(t.names(), column) }

func (t *table) names() (all []string) {
	for _, c := range t.Columns {
		all = append(all, c.Name)
	}
	return all
}

func (t *table) column(name string) column {
	for _, c := range t.Columns {
		if c.Name == name {
			return c
		}
	}
	return column{}
}

func (t *table) primary() *index {
	for i := range t.Indexes {
		if t.Indexes[i].Primary {
			return &t.Indexes[i]
		}
	}
	return nil
}

// key are the columns by which rows are found, and which aren't touched by what is done to the others.
func (t *table) key() []string {
	switch p := t.primary(); {
	case p != nil:
		return p.Columns
	case t.has("id"):
		return []string{"id"}
	default:
		return t.names()[:min(1, len(t.Columns))]
	}
}

// rest are the columns that are neither of the key nor what a tree is partitioned by.
func (t *table) rest() []string {
	key := t.key()
	return slices.DeleteFunc(t.names(), func(name string) bool { return name == "n" || name == "id" || slices.Contains(key, name) })
}
