package normalize

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"datawatch/pkg/event"
)

// rows are the changes of one table that a record of Maxwell or Canal holds.
type rows struct {
	database, table  string
	at               time.Time // zero where the envelope doesn't say
	transaction      string    // empty where the envelope doesn't name it
	index            int64     // of the first change in the transaction
	numbered         bool      // whether ids end in #n
	keys             []string  // the key's columns; none where the envelope doesn't name them
	changes          []rowImages
	beforeIncomplete bool // what the rows were before isn't there
}

// rowImages is one row's change. The images are compact JSON objects, nil where there is none.
type rowImages struct {
	op            event.Op
	before, after json.RawMessage
}

// events makes the clean events. base is what they share: the origin, and the record's own key for rows without columns
// of a key. A row whose key changed is a delete of the old one and an insert of the new one; all such deletes come first,
// for one row's new key may be another's old one.
func (s *rows) events(r *event.Raw, base *event.Change) ([]*event.Clean, *Error) {
	var changes []*event.Change
	for _, images := range s.changes {
		made, err := s.changesOf(images, base)
		if err != nil {
			return nil, err
		}
		changes = append(changes, made...)
	}
	slices.SortStableFunc(changes, func(a, b *event.Change) int {
		switch {
		case a.MovedTo != nil && b.MovedTo == nil:
			return -1
		case a.MovedTo == nil && b.MovedTo != nil:
			return 1
		default:
			return 0
		}
	})
	numbered := s.numbered || len(changes) > 1
	transaction := s.transaction
	if transaction == "" && numbered {
		transaction = r.ID
	}
	events := make([]*event.Clean, len(changes))
	for i, c := range changes {
		if transaction != "" {
			c.Origin.Transaction, c.Origin.TransactionIndex = transaction, s.index+int64(i)
		}
		e := changeOf(r, c)
		e.Stream = event.StreamOf(r.Stream.Source(), r.Stream.Entity()+"/"+event.TableEntity(s.database, s.table))
		if numbered {
			e.ID += "#" + strconv.Itoa(i)
		}
		if !s.at.IsZero() {
			e.Time = utc(s.at)
		}
		events[i] = e
	}
	return events, nil
}

func (s *rows) changesOf(images rowImages, base *event.Change) ([]*event.Change, *Error) {
	c := *base
	c.Op, c.Before, c.After = images.op, images.before, images.after
	if c.Op == event.Truncate {
		c.Key = nil
		return []*event.Change{&c}, nil
	}
	if s.beforeIncomplete && c.Before == nil {
		c.Incomplete = &event.Incomplete{Before: "unavailable"}
	}
	var before, after json.RawMessage
	var err *Error
	if before, err = keyIn(c.Before, s.keys); err != nil {
		return nil, err
	}
	if after, err = keyIn(c.After, s.keys); err != nil {
		return nil, err
	}
	switch {
	case after != nil:
		c.Key = after
	case before != nil:
		c.Key = before
	}
	if c.Op != event.Update {
		return []*event.Change{&c}, nil
	}
	if before != nil && after != nil && !bytes.Equal(before, after) {
		gone, come := c, c
		gone.Op, gone.Key, gone.After, gone.MovedTo = event.Delete, before, nil, after
		come.Op, come.Key, come.Before, come.MovedFrom = event.Insert, after, nil, before
		return []*event.Change{&gone, &come}, nil
	}
	c.Changed, err = changed(c.Before, c.After, nil)
	return []*event.Change{&c}, err
}

// keyIn is the canonical JSON of a row's key; nil where the row or one of the columns isn't there.
func keyIn(row json.RawMessage, columns []string) (json.RawMessage, *Error) {
	if row == nil || len(columns) == 0 {
		return nil, nil
	}
	columns = slices.Compact(slices.Sorted(slices.Values(columns)))
	key := []byte{'{'}
	for i, column := range columns {
		value := memberOf(row, string(event.AppendString(nil, column)))
		if value == nil {
			return nil, nil
		}
		if i > 0 {
			key = append(key, ',')
		}
		canonicalValue, err := canonical(value)
		if err != nil {
			return nil, in("key", err)
		}
		key = append(append(appendCanonicalString(key, column), ':'), canonicalValue...)
	}
	return append(key, '}'), nil
}

// overlay is a row with the values that it had before: those of old, which names what changed.
func overlay(row, old []byte) (json.RawMessage, *Error) {
	members, err := membersOf(row)
	if err != nil {
		return nil, err
	}
	olds, err := membersOf(old)
	if err != nil {
		return nil, err
	}
	lookup := index{members: olds}
	before := make([]byte, 1, len(row)+len(old))
	before[0] = '{'
	for i, m := range members {
		if i > 0 {
			before = append(before, ',')
		}
		value := m.value
		if was, ok := lookup.value(m.name, i); ok {
			value = was
		}
		before = append(append(append(before, m.name...), ':'), value...)
	}
	return append(before, '}'), nil
}

// fields are the top-level members of an envelope, by name; of a name that repeats, the last one.
type fields map[string][]byte

// fieldsOf reads an object; nil where value is none.
func fieldsOf(value []byte) fields {
	if !isObject(value) {
		return nil
	}
	members, err := membersOf(value)
	if err != nil {
		return nil
	}
	f := make(fields, len(members))
	for _, m := range members {
		f[string(unquote(m.name))] = m.value
	}
	return f
}

// text is a member's string; "" where it is none.
func (f fields) text(name string) string {
	if v := f[name]; len(v) > 0 && v[0] == '"' {
		return string(unquote(v))
	}
	return ""
}

// number is a member's whole number.
func (f fields) number(name string) (int64, bool) {
	n, err := strconv.ParseInt(string(f[name]), 10, 64)
	return n, err == nil
}

// texts is a member's list of strings; nil where it is none.
func (f fields) texts(name string) (list []string) {
	if json.Unmarshal(f[name], &list) != nil {
		return nil
	}
	return list
}

// rowsOf recognizes an envelope of Maxwell or Canal in the value of a record with the key; nil is none.
func rowsOf(value, key []byte, as format) (*rows, *Error) {
	if !isObject(value) || !bytes.Contains(value, []byte(`"database":"`)) || !bytes.Contains(value, []byte(`"table":"`)) {
		return nil, nil
	}
	f := fieldsOf(value)
	if f.text("database") == "" || f.text("table") == "" || f.text("type") == "" {
		return nil, nil
	}
	_, canal := f["isDdl"]
	switch {
	case canal && as.allows(envelopeCanal):
		return canalRows(f)
	case !canal && as.allows(envelopeMaxwell):
		return maxwellRows(f, key)
	default:
		return nil, nil
	}
}
