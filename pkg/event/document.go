package event

import (
	"fmt"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/x/bsonx/bsoncore"
)

// DocumentChange is the value of a raw record that comes from a MongoDB collection, written as one BSON document
// (https://bsonspec.org/spec.html), so that every value keeps its type and its bytes. Members, of which those that are
// zero are left out:
//
//	version           int32, 1
//	op                string: insert, update (a replace too), delete, truncate, read
//	database          string
//	collection        string
//	key               {_id: …}; none of a truncate
//	before            the document before the change, where the server kept it
//	after             the document after the change: the event's own, or what a lookup found
//	updateDescription as the server gave it (https://www.mongodb.com/docs/manual/reference/change-events/update/)
//	transaction       string; transactionIndex int64
//	clusterTime       timestamp
//	incomplete        {before: "unavailable", after: "later" | "missing"}
//	reason            string, of a truncate: drop, dropDatabase, rename
type DocumentChange struct {
	Version           int
	Op                Op
	Database          string
	Collection        string
	Key               bson.Raw
	Before            bson.Raw
	After             bson.Raw
	UpdateDescription bson.Raw
	Transaction       string
	TransactionIndex  int64
	ClusterTime       primitive.Timestamp
	Incomplete        Incomplete
	Reason            string
}

// DocumentVersion is the version of DocumentChange that is written.
const DocumentVersion = 1

// AppendBSON appends the change as it is written to raw.
func (d *DocumentChange) AppendBSON(dst []byte) []byte {
	start, dst := bsoncore.AppendDocumentStart(dst)
	dst = bsoncore.AppendInt32Element(dst, "version", int32(d.Version)) //nolint:gosec // versions are small
	text := func(name, value string) {
		if value != "" {
			dst = bsoncore.AppendStringElement(dst, name, value)
		}
	}
	document := func(name string, value bson.Raw) {
		if value != nil {
			dst = bsoncore.AppendDocumentElement(dst, name, value)
		}
	}
	text("op", string(d.Op))
	text("database", d.Database)
	text("collection", d.Collection)
	document("key", d.Key)
	document("before", d.Before)
	document("after", d.After)
	document("updateDescription", d.UpdateDescription)
	if d.Transaction != "" {
		text("transaction", d.Transaction)
		dst = bsoncore.AppendInt64Element(dst, "transactionIndex", d.TransactionIndex)
	}
	dst = bsoncore.AppendTimestampElement(dst, "clusterTime", d.ClusterTime.T, d.ClusterTime.I)
	if d.Incomplete.Before != "" || d.Incomplete.After != "" {
		var inner int32
		inner, dst = bsoncore.AppendDocumentElementStart(dst, "incomplete")
		text("before", d.Incomplete.Before)
		text("after", d.Incomplete.After)
		dst, _ = bsoncore.AppendDocumentEnd(dst, inner) // the start is right above
	}
	text("reason", d.Reason)
	dst, _ = bsoncore.AppendDocumentEnd(dst, start) // as is this one's
	return dst
}

// ParseDocumentChange reads the value of a raw record of a MongoDB collection. Its documents share b's bytes; their
// lengths are checked, their members are not. Members that aren't known are ignored.
func ParseDocumentChange(b []byte) (*DocumentChange, error) {
	elements, err := bson.Raw(b).Elements()
	if err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	d := new(DocumentChange)
	for _, e := range elements {
		if err := d.set(e.Key(), e.Value()); err != nil {
			return nil, fmt.Errorf("read document: %s: %w", e.Key(), err)
		}
	}
	return d, nil
}

func (d *DocumentChange) set(name string, v bson.RawValue) error {
	ok := true
	var s string
	switch name {
	case "version":
		var n int32
		n, ok = v.Int32OK()
		d.Version = int(n)
	case "op":
		s, ok = v.StringValueOK()
		d.Op = Op(s)
	case "database":
		d.Database, ok = v.StringValueOK()
	case "collection":
		d.Collection, ok = v.StringValueOK()
	case "key":
		d.Key, ok = v.DocumentOK()
	case "before":
		d.Before, ok = v.DocumentOK()
	case "after":
		d.After, ok = v.DocumentOK()
	case "updateDescription":
		d.UpdateDescription, ok = v.DocumentOK()
	case "transaction":
		d.Transaction, ok = v.StringValueOK()
	case "transactionIndex":
		d.TransactionIndex, ok = v.Int64OK()
	case "clusterTime":
		d.ClusterTime.T, d.ClusterTime.I, ok = v.TimestampOK()
	case "reason":
		d.Reason, ok = v.StringValueOK()
	case "incomplete":
		var inner bson.Raw
		if inner, ok = v.DocumentOK(); ok {
			d.Incomplete.Before, _ = inner.Lookup("before").StringValueOK()
			d.Incomplete.After, _ = inner.Lookup("after").StringValueOK()
		}
	}
	if !ok {
		return fmt.Errorf("a value of type %s", v.Type)
	}
	return nil
}

// ChangedPaths are the paths that an updateDescription names: set, truncated, then removed.
func ChangedPaths(description bson.Raw) ([]string, error) {
	var paths []string
	updated, _ := description.Lookup("updatedFields").DocumentOK()
	set, err := updated.Elements()
	if err != nil && len(updated) > 0 {
		return nil, fmt.Errorf("updatedFields: %w", err)
	}
	for _, e := range set {
		paths = append(paths, e.Key())
	}
	truncated, _ := description.Lookup("truncatedArrays").ArrayOK()
	arrays, err := truncated.Values()
	if err != nil && len(truncated) > 0 {
		return nil, fmt.Errorf("truncatedArrays: %w", err)
	}
	for _, v := range arrays {
		if one, ok := v.DocumentOK(); ok {
			if field, ok := one.Lookup("field").StringValueOK(); ok {
				paths = append(paths, field)
			}
		}
	}
	removed, _ := description.Lookup("removedFields").ArrayOK()
	fields, err := removed.Values()
	if err != nil && len(removed) > 0 {
		return nil, fmt.Errorf("removedFields: %w", err)
	}
	for _, v := range fields {
		if field, ok := v.StringValueOK(); ok {
			paths = append(paths, field)
		}
	}
	return paths, nil
}
