package normalize

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"datawatch/pkg/event"
)

// canalOps are the types of Canal's flat messages that are about rows (FlatMessage.java in github.com/alibaba/canal).
var canalOps = map[string]event.Op{
	"INSERT": event.Insert, "UPDATE": event.Update, "DELETE": event.Delete, "TRUNCATE": event.Truncate,
}

// canalRows reads a flat message of Canal: rows of one table, all their values as text, with the columns' types beside
// them. It is nil where the type isn't one of rows' (DDL), or what belongs to it isn't there.
func canalRows(f fields) (*rows, *Error) {
	op, known := canalOps[f.text("type")]
	millis, timed := f.number("es")
	if !known || !timed {
		return nil, nil
	}
	s := &rows{database: f.text("database"), table: f.text("table"), transaction: f.text("gtid"), keys: f.texts("pkNames"), numbered: true}
	if millis > 0 && millis < 1<<47 {
		s.at = time.UnixMilli(millis)
	}
	if op == event.Truncate {
		s.numbered, s.changes = false, []rowImages{{op: op}}
		return s, nil
	}
	data, olds := objectsIn(f["data"]), objectsIn(f["old"])
	if len(data) == 0 {
		return nil, nil
	}
	types := fieldsOf(f["mysqlType"])
	for i, row := range data {
		images := rowImages{op: op}
		after, err := canalRow(row, types)
		if err != nil {
			return nil, err
		}
		switch images.after = after; {
		case op == event.Delete:
			images.before, images.after = after, nil
		case op == event.Update && i < len(olds):
			old, err := canalRow(olds[i], types)
			if err != nil {
				return nil, err
			}
			if images.before, err = overlay(after, old); err != nil {
				return nil, err
			}
		case op == event.Update:
			s.beforeIncomplete = true
		}
		s.changes = append(s.changes, images)
	}
	return s, nil
}

// objectsIn are the objects of an array; nil where one of its elements is none.
func objectsIn(array []byte) [][]byte {
	if len(array) == 0 || array[0] != '[' {
		return nil
	}
	var objects [][]byte
	r := &reader{b: array}
	err := r.elements(func() *Error {
		value, _, err := r.value()
		if err == nil && !isObject(value) {
			err = wrong(Type, "not a row")
		}
		objects = append(objects, value)
		return err
	})
	if err != nil {
		return nil
	}
	return objects
}

// canalRow gives each value the form of its column's type.
func canalRow(row []byte, types fields) (json.RawMessage, *Error) {
	members, err := membersOf(row)
	if err != nil {
		return nil, err
	}
	clean := make([]byte, 1, len(row))
	clean[0] = '{'
	for i, m := range members {
		if i > 0 {
			clean = append(clean, ',')
		}
		clean = append(append(clean, m.name...), ':')
		clean = append(clean, canalValue(m.value, types.text(string(unquote(m.name))))...)
	}
	return append(clean, '}'), nil
}

// canalValue is a value in the form of MySQL's type: a number, a time in ISO 8601, JSON itself. What isn't one of its type
// (the date 0000-00-00 is), and what has another type, is the text that came.
func canalValue(value []byte, mysqlType string) []byte {
	if value[0] != '"' {
		return value
	}
	name, _, _ := strings.Cut(strings.ToLower(mysqlType), "(")
	name, _, _ = strings.Cut(name, " ")
	text := unquote(value)
	switch name {
	case "tinyint", "smallint", "mediumint", "int", "integer", "bigint", "decimal", "numeric", "float", "double", "real", "year":
		if number := plainNumber(text); number != nil {
			return number
		}
	case "datetime", "timestamp":
		if len(text) > len("2006-01-02") && text[10] == ' ' {
			return bytes.Replace(bytes.Clone(value), []byte(" "), []byte("T"), 1)
		}
	case "json":
		return jsonIn(value)
	}
	return value
}

// plainNumber is text that is a JSON number as it stands, or would be one without zeros in front (ZEROFILL); else nil.
func plainNumber(text []byte) []byte {
	number := text
	for len(number) > 1 && number[0] == '0' && number[1] >= '0' && number[1] <= '9' {
		number = number[1:]
	}
	if len(number) == 0 || number[0] != '-' && (number[0] < '0' || number[0] > '9') {
		return nil
	}
	if value, err := oneValue(number); err != nil || len(value) != len(number) {
		return nil
	}
	return number
}
