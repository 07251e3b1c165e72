package postgres

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datawatch/pkg/event"
)

//go:embed sql/walk.sql
var walkFormat string

//go:embed sql/below.sql
var belowSQL string

var walkSQL = strings.ReplaceAll(walkFormat, "{{below}}", belowSQL)

// strangerSQL tells whether a superuser's query on a table, or on a partition tree with that root, would run what is somebody else's.
var strangerSQL = `select rolsuper and (select bool_or(` + strangers(expressionsSQL) + `)
	from (select $1::oid as relation union select relid from pg_partition_tree($1)) member) from pg_roles where rolname = current_user`

// relation is a table, a partition or the root of a partition tree, as it is while its lock is held.
type relation struct {
	table
	partitioned bool
	parts       bool // other tables hold its rows
	parsed      *shape
	row         string // SQL for a row of datawatch_row as JSON
	filenode    uint32 // changes when the table is rewritten; 0 of a partition tree's root
	blocks      int64
	server      int // the server's version, as in 130022
	walkIndex       // by which it is walked; without columns where there is none, and rows go by their place
}

// walkIndex is a unique one whose order is that of ORDER BY. Collations has those of the columns that have one, with their versions.
type walkIndex struct{ columns, types, greater, collations, equal []string }

// walkIndexOf finds the index that a table of the stream can be walked by: none of a column that the configuration hides, for the
// cursor's values are kept with the source's progress.
func (s *Source) walkIndexOf(ctx context.Context, db querier, t *table, of event.Stream) (i walkIndex, err error) {
	hidden, err := s.hidden(of)
	if err != nil {
		return i, err
	}
	err = db.QueryRow(ctx, walkSQL, t.oid, hidden).Scan(&i.columns, &i.types, &i.greater, &i.collations, &i.equal)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return i, fmt.Errorf("find out how to walk %s: %w", t.ident(), err)
	}
	return i, nil
}

// cursor is how far a relation was walked. What it was walked by is a part of it: where that changes, the walk begins anew.
type cursor struct {
	Columns    []string `json:"columns,omitempty"`
	Types      []string `json:"types,omitempty"`
	Collations []string `json:"collations,omitempty"`
	Last       []string `json:"last"`            // values of the columns, or the row's ctid
	Bytes      [][]byte `json:"bytes,omitempty"` // in its place, where they are no text
	// Without an index:
	Filenode uint32 `json:"filenode,omitempty"`
	End      int64  `json:"end,omitempty"` // the block behind those that were there at the beginning
}

// text is what resume reads.
func (c cursor) text() (json.RawMessage, error) {
	if slices.ContainsFunc(c.Last, func(v string) bool { return !utf8.ValidString(v) }) {
		for _, v := range c.Last {
			c.Bytes = append(c.Bytes, []byte(v))
		}
		c.Last = nil
	}
	return json.Marshal(c)
}

// walked is a row of a chunk.
type walked struct {
	at   []string // see cursor.Last
	size int64
	row  []byte // as to_json prints it; nil where it is too large to be fetched
}

// errBusy says that somebody has the table to himself at the moment.
var errBusy = errors.New("the table is locked by somebody")

// errGone says that the table is no more.
var errGone = errors.New("the table is gone")

// errStranger says that to read the table would run its owner's code as a superuser.
var errStranger = errors.New("an index, a constraint or statistics of it, or its partition key, may run functions of its owner's with the rights of dsn, which is a superuser: name a role in dsn that is none")

// errMoved says that the table's rows are another stream's by now.
var errMoved = errors.New("the table was renamed, attached or detached: its rows belong to another stream")

// errUnordered says that a partition tree has no order in which its rows could be read all together.
var errUnordered = errors.New("the partition tree has no key any more by which all of its rows can be walked")

// walkSettings are those of the functions that capture, so that a row that is read looks as one that was written. Row
// security off makes a policy that would hide rows an error.
const walkSettings = `begin isolation level repeatable read read only;
set local search_path = pg_catalog, pg_temp;
set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local intervalstyle = 'postgres'; set local bytea_output = 'hex';
set local extra_float_digits = 1; set local lc_monetary = 'C'; set local xmlbinary = 'base64'; set local quote_all_identifiers = off;
set local row_security = off; set local lock_timeout = '200ms';
`

// withRelation runs do in a transaction of one snapshot that is taken behind a lock on the table, so that neither the
// table's shape nor its rows can be of another time than the snapshot.
func (s *Source) withRelation(ctx context.Context, db *pgx.Conn, oid uint32, do func(*relation) error) error {
	rel := &relation{table: table{oid: oid}}
	name := func() error {
		err := db.QueryRow(ctx, `select n.nspname, c.relname, c.relkind = 'p' from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = $1`, oid).Scan(
			&rel.schema, &rel.name, &rel.partitioned)
		if errors.Is(err, pgx.ErrNoRows) {
			return errGone
		}
		return err
	}
	if err := name(); err != nil {
		return err
	}
	before := rel.ident()
	err := func() error {
		if _, err := db.PgConn().Exec(ctx, walkSettings+"lock table "+before+" in access share mode").ReadAll(); err != nil {
			return err
		}
		if err := name(); err != nil {
			return err
		}
		if rel.ident() != before {
			return errBusy // renamed between the two: the next time
		}
		if err := s.survey(ctx, db, rel); err != nil {
			return err
		}
		return do(rel)
	}()
	if _, end := db.Exec(context.WithoutCancel(ctx), "rollback"); err == nil {
		err = end
	}
	var server *pgconn.PgError
	if errors.As(err, &server) && server.Code == codeLockNotAvailable { // also of an index
		return errBusy
	}
	return err
}

// survey finds out how the relation looks and can be walked.
func (s *Source) survey(ctx context.Context, db *pgx.Conn, rel *relation) error {
	if err := s.describe(ctx, db, &rel.table); err != nil {
		return err
	}
	if rel.shape == nil {
		return errGone
	}
	var database string
	err := db.QueryRow(ctx, `select current_database(), coalesce(pg_relation_filenode($1), 0),
		case when $2 then 0 else pg_relation_size($1) / current_setting('block_size')::bigint end, current_setting('server_version_num')::int, $2 and `+partsSQL,
		rel.oid, rel.partitioned).Scan(&database, &rel.filenode, &rel.blocks, &rel.server, &rel.parts)
	if err != nil {
		return fmt.Errorf("look at %s: %w", rel.ident(), err)
	}
	if rel.parsed, err = parseShape(s.name, database, rel.shape); err != nil {
		return err
	}
	var d described
	if err := json.Unmarshal(rel.shape, &d); err != nil {
		return fmt.Errorf("read the shape of %s: %w", rel.ident(), err)
	}
	var strange bool
	if err := db.QueryRow(ctx, strangerSQL, rel.oid).Scan(&strange); err != nil {
		return fmt.Errorf("look at what reading %s would run: %w", rel.ident(), err)
	}
	if strange {
		return errStranger
	}
	rel.row = d.rowSQL("datawatch_row")
	rel.walkIndex, err = s.walkIndexOf(ctx, db, &rel.table, rel.parsed.stream)
	return err
}

// begin is a cursor before the first row.
func (rel *relation) begin() cursor {
	c := cursor{Columns: rel.columns, Types: rel.types, Collations: rel.collations}
	if len(rel.columns) == 0 {
		c.Filenode, c.End, c.Last = rel.filenode, rel.blocks, []string{"(0,0)"}
	}
	return c
}

// resume is the cursor to go on from; fresh tells that the walk has to begin anew.
func (rel *relation) resume(text json.RawMessage) (c cursor, fresh bool, err error) {
	if len(text) == 0 {
		return rel.begin(), true, nil
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, false, fmt.Errorf("read the cursor of a snapshot: %w", err)
	}
	for _, v := range c.Bytes {
		c.Last = append(c.Last, string(v))
	}
	c.Bytes = nil
	if !slices.Equal(c.Columns, rel.columns) || !slices.Equal(c.Types, rel.types) || !slices.Equal(c.Collations, rel.collations) ||
		len(rel.columns) == 0 && c.Filenode != rel.filenode {
		return rel.begin(), true, nil
	}
	return c, false, nil
}

// planByOrder has a chunk's rows come one by one, as they are fetched: a sort would read and print a whole table first, with values that
// are kept outside of it.
const planByOrder = "set local enable_sort = off; set local enable_incremental_sort = off; set local enable_tidscan = on;\n"

// chunk reads on from c: at most so many rows, and about so many bytes. Of a row larger than largest only the place comes.
func (rel *relation) chunk(ctx context.Context, db *pgx.Conn, c cursor, rows int, bytes, largest int64) (found []walked, next cursor, done bool, err error) {
	if rel.parts && len(rel.columns) == 0 {
		return nil, c, false, errUnordered
	}
	next = c
	var from string
	names := []string{"k0"}
	var upTo int64 // the block behind those that are looked through
	if len(rel.columns) == 0 {
		from, upTo = rel.byPlace(c, rows)
	} else {
		from, names = rel.byKey(c, rows)
	}
	sql := fmt.Sprintf("%sdeclare datawatch_chunk no scroll cursor for select %s, octet_length(j), case when octet_length(j) <= %d then j end from (\n%s) found",
		planByOrder, strings.Join(names, ", "), largest, from)
	if _, err := db.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return nil, c, false, fmt.Errorf("read %s: %w", rel.ident(), err)
	}
	var size int64
	for n := 1; n > 0 && size < bytes && !done; { // how large rows are is seen by those before
		more, got, err := fetch(ctx, db, n, len(names), bytes-size)
		if err != nil {
			return nil, c, false, fmt.Errorf("read %s: %w", rel.ident(), err)
		}
		for _, w := range more {
			size += w.size
		}
		found, done = append(found, more...), got < n && len(more) == got
		n = min(4*len(found), rows-len(found), 1+int((bytes-size)*int64(len(found))/max(size, 1)))
	}
	if n := len(found); n > 0 {
		next.Last = found[n-1].at
	}
	if len(rel.columns) == 0 && done { // of these blocks
		next.Last = []string{fmt.Sprintf("(%d,0)", upTo)}
		done = upTo >= c.End
	}
	return found, next, done, nil
}

// fetch reads n rows of a chunk, as far as there are as many, and keeps those that begin within room. What is behind these is a row of the
// next chunk.
func fetch(ctx context.Context, db *pgx.Conn, n, columns int, room int64) (kept []walked, got int, err error) {
	rows, err := db.Query(ctx, fmt.Sprintf("fetch %d from datawatch_chunk", n), pgx.QueryExecModeExec)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for ; rows.Next(); got++ {
		if room <= 0 {
			continue
		}
		w := walked{at: make([]string, columns)}
		into := []any{&w.size, &w.row}
		for i := range w.at {
			into = slices.Insert(into, i, any(&w.at[i]))
		}
		if err := rows.Scan(into...); err != nil {
			return nil, 0, err
		}
		kept, room = append(kept, w), room-w.size
	}
	return kept, got, rows.Err()
}

// byKey selects the rows behind the cursor in the order of the index.
func (rel *relation) byKey(c cursor, rows int) (sql string, names []string) {
	columns, texts := make([]string, len(rel.columns)), make([]string, len(rel.columns))
	for i, name := range rel.columns {
		names = append(names, fmt.Sprintf("k%d", i))
		columns[i] = "datawatch_row." + pgx.Identifier{name}.Sanitize()
		texts[i] = "format('%s', " + columns[i] + ") as " + names[i]
	}
	wheres := []string{""}
	if len(c.Last) > 0 {
		values := make([]string, len(columns))
		for i, v := range c.Last {
			values[i] = Quote(v) + "::" + rel.types[i]
		}
		wheres = rel.behind(columns, values)
	}
	for i, where := range wheres {
		wheres[i] = fmt.Sprintf("  (select %s, %s as j\n  from %s as datawatch_row %s order by %s limit %d)\n",
			strings.Join(texts, ", "), rel.row, rel.from(), where, strings.Join(columns, ", "), rows)
	}
	return strings.Join(wheres, "  union all\n"), names
}

// behind compares several columns as rows, which an index can do at once, where their operators have one name. Else it takes first the rows
// that are the same but for the last column, then those but for the last two, and so on.
func (by *walkIndex) behind(columns, values []string) (wheres []string) {
	if len(slices.Compact(slices.Clone(by.greater))) == 1 {
		if len(columns) == 1 {
			return []string{"where " + columns[0] + " " + by.greater[0] + " " + values[0]}
		}
		return []string{"where row(" + strings.Join(columns, ", ") + ") " + by.greater[0] + " row(" + strings.Join(values, ", ") + ")"}
	}
	same := "where "
	for i := range columns {
		wheres = append(wheres, same+columns[i]+" "+by.greater[i]+" "+values[i])
		same += columns[i] + " " + by.equal[i] + " " + values[i] + " and "
	}
	slices.Reverse(wheres)
	return wheres
}

// blocksAtOnce is how many blocks are looked through at a time where there is no index.
const blocksAtOnce = 64

// byPlace selects the rows behind a ctid, in a run of blocks; upTo is the block behind them. Places are sorted alone.
func (rel *relation) byPlace(c cursor, rows int) (sql string, upTo int64) {
	var block int64
	if at, _, ok := strings.Cut(strings.TrimPrefix(c.Last[0], "("), ","); ok {
		block, _ = strconv.ParseInt(at, 10, 64) // ours, or PostgreSQL's own
	}
	upTo = min(block+blocksAtOnce, max(c.End, block+1))
	last := Quote(c.Last[0]) + "::tid"
	where := fmt.Sprintf("datawatch_row.ctid > %s and datawatch_row.ctid < '(%d,0)'::tid", last, upTo)
	if rel.server < 140000 { // which would read the whole table for a range
		where = fmt.Sprintf("datawatch_row.ctid = any(array(select format('(%%s,%%s)', b, i)::tid from generate_series(%d::bigint, %d) b, generate_series(1, 2 * current_setting('block_size')::int / 50) i)) and datawatch_row.ctid > %s",
			block, upTo-1, last)
	}
	return fmt.Sprintf(`  select place::text as k0, (select %s from %s as datawatch_row where datawatch_row.ctid = datawatch_places.place) as j
  from (select datawatch_row.ctid as place from %[2]s as datawatch_row where %[3]s order by datawatch_row.ctid limit %[4]d) datawatch_places
`, rel.row, rel.from(), where, rows), upTo
}

// from is the relation with its partitions, and without the children that inherit from it: they are tables of their own.
func (rel *relation) from() string {
	if rel.partitioned {
		return rel.ident()
	}
	return "only " + rel.ident()
}
