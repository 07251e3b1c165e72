package normalize

import (
	"encoding/json"

	"go.mongodb.org/mongo-driver/bson"

	"datawatch/pkg/event"
)

// DocumentKey is the key of a document: the canonical JSON of {"_id": …}, with the _id's clean value. key is a document
// with a member _id; others, such as a shard key's, are left out.
func DocumentKey(key bson.Raw) (json.RawMessage, error) {
	clean, err := documentKey(key)
	if err != nil {
		return nil, err
	}
	return clean, nil
}

func documentKey(key bson.Raw) (json.RawMessage, *Error) {
	id, err := key.LookupErr("_id")
	if err != nil {
		return nil, wrong(Malformed, "key: no _id")
	}
	value, wrongID := appendBSON([]byte(`{"_id":`), id, 0)
	if wrongID != nil {
		return nil, in("_id", wrongID)
	}
	return canonicalForm(append(value, '}')) // BSON's strings are whole; a name that stands twice must not keep a document away
}

// document makes the clean event of a change of a MongoDB collection.
func document(r *event.Raw) (*event.Clean, *Error) {
	in, err := readDocument(r.Value)
	if err != nil {
		return nil, err
	}
	c := &event.Change{
		Op: in.Op,
		Origin: event.Origin{
			Database: in.Database, Collection: in.Collection, Reason: in.Reason,
			Transaction: in.Transaction, TransactionIndex: in.TransactionIndex,
		},
	}
	if in.Incomplete.Before != "" || in.Incomplete.After != "" {
		c.Incomplete = &in.Incomplete
	}
	switch in.Op {
	case event.Insert, event.Update, event.Delete, event.Read:
		err = fillDocument(c, in)
	case event.Truncate:
	default:
		err = wrong(Malformed, "op %q is not one of a document's", in.Op)
	}
	if err != nil {
		return nil, err
	}
	return changeOf(r, c), nil
}

func readDocument(value []byte) (*event.DocumentChange, *Error) {
	d, err := event.ParseDocumentChange(value)
	if err != nil {
		return nil, wrong(Malformed, "%v", err)
	}
	if d.Version != event.DocumentVersion {
		return nil, wrong(Unsupported, "documents of version %d", d.Version)
	}
	return d, nil
}

func fillDocument(c *event.Change, d *event.DocumentChange) (err *Error) {
	if c.Key, err = documentKey(d.Key); err != nil {
		return err
	}
	if c.Before, err = cleanDocument(d.Before); err != nil {
		return in("before", err)
	}
	if c.After, err = cleanDocument(d.After); err != nil {
		return in("after", err)
	}
	missing := d.Incomplete.After == "missing"
	switch {
	case c.After == nil && c.Op != event.Delete && !missing:
		return wrong(Malformed, "%s without the document after it", c.Op)
	case c.Op != event.Update:
		return nil
	case d.UpdateDescription != nil:
		c.Changed, err = described(d)
	default:
		c.Changed, err = changed(c.Before, c.After, c.Incomplete)
	}
	return err
}

// cleanDocument is a document's clean form; nil stays nil.
func cleanDocument(d bson.Raw) (json.RawMessage, *Error) {
	if d == nil {
		return nil, nil
	}
	return appendDocument(make([]byte, 0, len(d)), d, 0)
}

// described names the top-level members that an update changed by its own account: those that after has in after's order,
// then the others.
func described(d *event.DocumentChange) ([]string, *Error) {
	paths, err := event.ChangedPaths(d.UpdateDescription)
	if err != nil {
		return nil, wrong(Malformed, "updateDescription: %v", err)
	}
	var present []string
	if d.After != nil {
		elements, err := d.After.Elements()
		if err != nil {
			return nil, wrong(Malformed, "after: %v", err)
		}
		for _, e := range elements {
			present = append(present, e.Key())
		}
	}
	return touchedBy(paths, present), nil
}
