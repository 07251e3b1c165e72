package postgres

import (
	"context"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datawatch/pkg/event"
)

//go:embed sql/key.sql
var keyFormat string

var keySQL = strings.ReplaceAll(keyFormat, "{{below}}", belowSQL)

// Table is a stream's table as it is, for whoever compares it with what was captured.
type Table struct {
	source *Source
	db     *pgx.Conn
	stream event.Stream
	places []uint32 // what it is walked by
	root   uint32

	estimate int64
}

// ErrNoKey says that a table's rows can't be told apart.
var ErrNoKey = errors.New("the table has no key: its rows can't be told apart")

// OpenTable connects to the database. Whoever called closes the table.
func (s *Source) OpenTable(ctx context.Context, stream event.Stream) (*Table, error) {
	db, err := s.connectReader(ctx)
	if err != nil {
		return nil, err
	}
	t := &Table{source: s, db: db, stream: stream}
	if err := t.find(ctx); err != nil {
		t.Close(ctx)
		return nil, err
	}
	return t, nil
}

// Close ends the connection.
func (t *Table) Close(ctx context.Context) { closeConn(ctx, t.db) }

func (t *Table) find(ctx context.Context) error {
	parts, err := t.source.partsOf(ctx, t.db, func(s event.Stream) bool { return s == t.stream })
	if err != nil {
		return err
	}
	if len(parts) == 0 {
		return fmt.Errorf("the configuration selects no table that is %s", t.stream)
	}
	for _, p := range parts {
		oid, err := strconv.ParseUint(p.Place, 10, 32)
		if err != nil {
			return err
		}
		if p.Note != "" {
			return fmt.Errorf("%s: %w", t.stream, ErrNoKey)
		}
		t.places = append(t.places, uint32(oid))
		t.estimate += p.Estimate
	}
	err = t.db.QueryRow(ctx, "select coalesce(pg_partition_root($1)::oid, $1)", t.places[0]).Scan(&t.root)
	if err != nil {
		return fmt.Errorf("find the table of %s: %w", t.stream, err)
	}
	return nil
}

// Size is about how many rows there are; 0 where nobody knows.
func (t *Table) Size() int64 { return t.estimate }

// Walk hands over all rows, as raw reads, chunk by chunk in the order of the key. Each chunk is read in a transaction of its
// own: rows that change meanwhile come as they were at some moment of the walk.
func (t *Table) Walk(ctx context.Context, each func([]event.Raw) error) error {
	most, bytes := t.source.limits.chunk()
	for _, oid := range t.places {
		var at json.RawMessage
		for done := false; !done; {
			var rows []event.Raw
			err := t.source.withRelation(ctx, t.db, oid, func(rel *relation) error {
				from, _, err := rel.resume(at)
				if err != nil {
					return err
				}
				found, next, end, err := rel.chunk(ctx, t.db, from, most, bytes, t.source.options.MaxRecordBytes)
				if err != nil {
					return err
				}
				for _, w := range found {
					if w.row == nil {
						continue // no record could hold it, and a gap said so
					}
					if raw, err := rel.read(t.source.name, w.row); err == nil { // else there is a gap, too
						rows = append(rows, raw)
					}
				}
				done = end
				at, err = next.text()
				return err
			})
			if errors.Is(err, errBusy) {
				if err := pause(ctx, busyPause); err != nil {
					return err
				}
				continue
			}
			if err != nil {
				return err
			}
			if err := each(rows); err != nil {
				return err
			}
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Row reads the row with the key, which is as clean has it; nil where there is none.
func (t *Table) Row(ctx context.Context, key json.RawMessage) (*event.Raw, error) {
	for {
		var raw *event.Raw
		err := t.source.withRelation(ctx, t.db, t.root, func(rel *relation) error {
			row, err := rel.find(ctx, t.db, key)
			if err != nil || row == nil {
				return err
			}
			read, err := rel.read(t.source.name, row)
			raw = &read
			return err
		})
		if !errors.Is(err, errBusy) {
			return raw, err
		}
		if err := pause(ctx, busyPause); err != nil {
			return nil, err
		}
	}
}

// read is a row as a raw read.
func (rel *relation) read(source string, row []byte) (event.Raw, error) {
	key, err := RowKey(rel.parsed.columns, rel.parsed.key, row)
	if err != nil {
		return event.Raw{}, fmt.Errorf("read a row of %s: %w", rel.ident(), err)
	}
	return event.Raw{
		Type: event.RawType, Kind: event.Postgres, ID: event.ID(source, "now"), Stream: rel.parsed.stream,
		RecordKey: event.RecordKey(rel.parsed.stream, key), Key: key,
		Value: appendRowChange(nil, rel.parsed, &pack{}, 0, change{op: event.Read, key: key, after: row}),
	}, nil
}

// find reads a row by its key.
func (rel *relation) find(ctx context.Context, db *pgx.Conn, key json.RawMessage) ([]byte, error) {
	values, err := rel.keyValues(key)
	if err != nil {
		return nil, err
	}
	var columns, same, unbounded []string
	if err := db.QueryRow(ctx, keySQL, rel.oid, rel.parsed.key).Scan(&columns, &same, &unbounded); err != nil {
		return nil, fmt.Errorf("find out the key's types of %s: %w", rel.ident(), err)
	}
	record := fmt.Sprintf("json_to_record(%s) as datawatch_key(%s)", Quote(string(values)), strings.Join(columns, ", "))
	if _, err := db.Exec(ctx, "select from "+record, pgx.QueryExecModeExec); isNoValue(err) {
		return nil, nil // the key is from before its type was altered: no row has it
	} else if err != nil {
		return nil, fmt.Errorf("read key %s: %w", key, err)
	}
	for _, where := range [][]string{same, unbounded} {
		if where == nil {
			continue
		}
		var row []byte
		err = db.QueryRow(ctx, fmt.Sprintf("select %s from %s as datawatch_row, %s where %s",
			rel.row, rel.from(), record, strings.Join(where, " and ")), pgx.QueryExecModeExec).Scan(&row)
		if err == nil {
			return row, nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return nil, fmt.Errorf("read a row of %s: %w", rel.ident(), err)
		}
	}
	return nil, nil
}

// isNoValue tells that what was to be a value is none of its type.
func isNoValue(err error) bool {
	const dataException, constraintViolation = "22", "23" // classes of SQLSTATE
	var server *pgconn.PgError
	return errors.As(err, &server) && (strings.HasPrefix(server.Code, dataException) || strings.HasPrefix(server.Code, constraintViolation))
}

// keyValues is a key as PostgreSQL reads it: bytea is hexadecimal there.
func (rel *relation) keyValues(key json.RawMessage) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	err := json.Unmarshal(key, &members)
	for i := range rel.parsed.columns {
		c := &rel.parsed.columns[i]
		if value := members[c.Name]; value != nil && err == nil {
			members[c.Name], err = hexadecimal(c, value)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", key, err)
	}
	return json.Marshal(members)
}

// hexadecimal is a column's value whose bytes are hexadecimal, and not base64.
func hexadecimal(c *event.Column, value json.RawMessage) (json.RawMessage, error) {
	switch {
	case string(value) == "null":
		return value, nil
	case c.Element != nil:
		var elements []json.RawMessage
		err := json.Unmarshal(value, &elements)
		for i := range elements {
			of := c.Element
			if elements[i][0] == '[' { // one more dimension
				of = c
			}
			if err == nil {
				elements[i], err = hexadecimal(of, elements[i])
			}
		}
		if err != nil {
			return nil, err
		}
		return json.Marshal(elements)
	case c.Fields != nil:
		var fields map[string]json.RawMessage
		err := json.Unmarshal(value, &fields)
		for i := range c.Fields {
			f := &c.Fields[i]
			if value := fields[f.Name]; value != nil && err == nil {
				fields[f.Name], err = hexadecimal(f, value)
			}
		}
		if err != nil {
			return nil, err
		}
		return json.Marshal(fields)
	case c.Base == "bytea":
		var bytes []byte // base64
		err := json.Unmarshal(value, &bytes)
		return event.AppendString(nil, `\x`+hex.EncodeToString(bytes)), err
	}
	return value, nil
}
