package normalize

import (
	"strings"
	"time"

	"datawatch/pkg/event"
)

// maxwellOps are the types of Maxwell's records that are about a row (https://maxwells-daemon.io/dataformat/).
var maxwellOps = map[string]event.Op{
	"insert": event.Insert, "update": event.Update, "delete": event.Delete, "bootstrap-insert": event.Read,
}

// maxwellRows reads an envelope of Maxwell: one row, with what an update replaced in old. key is the record's. It is nil where the type isn't
// one of a row's (the beginning and the end of a bootstrap, DDL), or what belongs to it isn't there.
func maxwellRows(f fields, key []byte) (*rows, *Error) {
	op, known := maxwellOps[f.text("type")]
	seconds, timed := f.number("ts")
	data := f["data"]
	if !known || !timed || !isObject(data) {
		return nil, nil
	}
	s := &rows{database: f.text("database"), table: f.text("table"), keys: f.texts("primary_key_columns")}
	if s.keys == nil {
		s.keys = maxwellKeys(key, data)
	}
	if seconds > 0 && seconds < 1<<37 {
		s.at = time.Unix(seconds, 0)
	}
	if xid := f["xid"]; xid != nil && string(xid) != "null" {
		s.transaction = textOf(xid)
	}
	if offset, ok := f.number("xoffset"); ok {
		s.index = offset
	}
	images := rowImages{op: op, after: data}
	switch op {
	case event.Delete:
		images.before, images.after = data, nil
	case event.Update:
		if old := f["old"]; isObject(old) {
			var err *Error
			if images.before, err = overlay(data, old); err != nil {
				return nil, err
			}
		}
		s.beforeIncomplete = images.before == nil
	}
	s.changes = []rowImages{images}
	return s, nil
}

// maxwellKeys are the columns that a record's key names, {"database": …, "table": …, "pk.id": 1042}, as data has them:
// the key has them in small letters.
func maxwellKeys(key, data []byte) (columns []string) {
	value, err := oneValue(key)
	if err != nil || !isObject(value) {
		return nil
	}
	names, err := membersOf(value)
	if err != nil {
		return nil
	}
	row, err := membersOf(data)
	if err != nil {
		return nil
	}
	for _, m := range names {
		name, ok := strings.CutPrefix(string(unquote(m.name)), "pk.")
		if !ok {
			continue
		}
		for _, c := range row {
			if column := string(unquote(c.name)); strings.ToLower(column) == name {
				columns = append(columns, column)
			}
		}
	}
	return columns
}
