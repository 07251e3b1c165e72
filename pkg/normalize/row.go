package normalize

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"datawatch/pkg/event"
)

// rowVersion is the version of event.RowChange that is known here.
const rowVersion = 1

// row makes the clean event of a row of a PostgreSQL table.
func (n *Normalizer) row(r *event.Raw) (*event.Clean, *Error) {
	if !utf8.Valid(r.Value) {
		return nil, wrong(Malformed, "row: not UTF-8")
	}
	in, err := n.readRow(r.Value)
	if err != nil {
		return nil, err
	}
	c := &event.Change{
		Op: in.Op, Incomplete: in.Incomplete,
		Origin: event.Origin{
			Database: in.Database, Schema: in.Schema, Table: in.Table, Reason: in.Reason,
			Transaction: in.Transaction, TransactionIndex: in.TransactionIndex, Actor: in.Actor, Tag: in.Tag,
		},
	}
	if len(r.Key) > 0 {
		if c.Key, err = oneValue(r.Key); err != nil {
			return nil, wrong(Malformed, "key: %s", err.Reason)
		}
	}
	switch in.Op {
	case event.Insert, event.Update, event.Delete, event.Read:
		err = fillRow(c, in)
	case event.Truncate:
	default:
		err = wrong(Malformed, "op %q is not one of a row's", in.Op)
	}
	if err != nil {
		return nil, err
	}
	return changeOf(r, c), nil
}

// fillRow sets the images of a change. A key that changed comes as a delete and an insert that both hold both rows, so
// that each can name the other's key.
func fillRow(c *event.Change, in *event.RowChange) (err *Error) {
	before, after := in.Before, in.After
	switch {
	case in.MovedTo:
		c.MovedTo, err = rowKey(in.Columns, in.KeyColumns, after)
		after = nil
	case in.MovedFrom:
		c.MovedFrom, err = rowKey(in.Columns, in.KeyColumns, before)
		before = nil
	}
	if err != nil {
		return err
	}
	if in.Incomplete != nil && in.Incomplete.Before != "" {
		before = nil // what is there of it named the row
	}
	if c.Before, err = cleanRow(in.Columns, before); err != nil {
		return err
	}
	if c.After, err = cleanRow(in.Columns, after); err != nil {
		return err
	}
	switch {
	case c.After == nil && c.Op != event.Delete:
		return wrong(Malformed, "%s without the row after it", c.Op)
	case c.Op == event.Update:
		c.Changed, err = changed(c.Before, c.After, in.Incomplete)
	}
	return err
}

// cleanRow rewrites a row as to_json printed it; nil stays nil.
func cleanRow(columns []event.Column, row []byte) (json.RawMessage, *Error) {
	if row == nil {
		return nil, nil
	}
	r := &reader{b: row}
	clean, err := appendFields(make([]byte, 0, len(row)), r, columns)
	if err != nil {
		return nil, err
	}
	return clean, r.end()
}

// readRow reads the JSON of an event.RowChange. Columns, keys and actors that were seen before aren't decoded again, and are
// shared by the events that name them.
func (n *Normalizer) readRow(value []byte) (*event.RowChange, *Error) {
	row := new(event.RowChange)
	r := &reader{b: value}
	err := r.members(func(quoted []byte) *Error {
		raw, _, err := r.value()
		if err != nil || string(raw) == "null" {
			return err
		}
		name := string(quoted[1 : len(quoted)-1])
		if err := n.setMember(row, name, raw); err != nil {
			return wrong(Malformed, "%s: %v", name, err)
		}
		return nil
	})
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return nil, in("row", err)
	}
	if row.Version != rowVersion {
		return nil, wrong(Unsupported, "rows of version %d", row.Version)
	}
	return row, nil
}

func (n *Normalizer) setMember(row *event.RowChange, name string, raw []byte) (err error) {
	switch name {
	case "version":
		row.Version, err = strconv.Atoi(string(raw))
	case "op":
		row.Op = event.Op(textOf(raw))
	case "database":
		row.Database = textOf(raw)
	case "schema":
		row.Schema = textOf(raw)
	case "table":
		row.Table = textOf(raw)
	case "columns":
		row.Columns, err = n.shapes.read(raw)
	case "key_columns":
		row.KeyColumns, err = n.keys.read(raw)
	case "before":
		row.Before = raw
	case "after":
		row.After = raw
	case "moved_to":
		row.MovedTo = string(raw) == "true"
	case "moved_from":
		row.MovedFrom = string(raw) == "true"
	case "transaction":
		row.Transaction = textOf(raw)
	case "transaction_index":
		row.TransactionIndex, err = strconv.ParseInt(string(raw), 10, 64)
	case "actor":
		row.Actor, err = n.actors.read(raw)
	case "tag":
		row.Tag = textOf(raw)
	case "incomplete":
		err = json.Unmarshal(raw, &row.Incomplete)
	case "reason":
		row.Reason = textOf(raw)
	}
	return err
}

// textOf is the text of a string, and of anything else what is written.
func textOf(raw []byte) string {
	if raw[0] == '"' {
		return string(unquote(raw))
	}
	return string(raw)
}

// oneValue is the one JSON value that text holds, compact.
func oneValue(text []byte) (json.RawMessage, *Error) {
	r := &reader{b: text}
	value, spaced, err := r.value()
	if err != nil {
		return nil, err
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	if !spaced {
		return value, nil
	}
	return appendCompact(make([]byte, 0, len(value)), value, spaced), nil
}
