package mongodb

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.mongodb.org/mongo-driver/bson"

	"datawatch/pkg/event"
)

// Kinds of events of a change stream (https://www.mongodb.com/docs/manual/reference/change-events/).
const (
	opInsert       = "insert"
	opUpdate       = "update"
	opReplace      = "replace"
	opDelete       = "delete"
	opDrop         = "drop"
	opRename       = "rename"
	opDropDatabase = "dropDatabase"
	opInvalidate   = "invalidate"
)

// happening is one event of a change stream.
type happening struct {
	op          string
	ns, to      namespace
	key         bson.Raw
	before      bson.Raw // nil where there is none
	after       bson.Raw
	description bson.Raw
	transaction string
	at          stamp
	time        time.Time
	size        int
	later       bool // after is known to be a later state
}

func (h *happening) cleanOp() event.Op {
	switch h.op {
	case opInsert:
		return event.Insert
	case opDelete:
		return event.Delete
	default:
		return event.Update
	}
}

// parse reads an event. It shares doc's bytes.
func parse(doc bson.Raw) (*happening, error) {
	elements, err := doc.Elements()
	if err != nil {
		return nil, err
	}
	h := &happening{size: len(doc)}
	var lsid bson.Raw
	var number int64
	for _, e := range elements {
		switch v := e.Value(); e.Key() {
		case "operationType":
			h.op, _ = v.StringValueOK()
		case "ns":
			h.ns = namespaceOf(v)
		case "to":
			h.to = namespaceOf(v)
		case "documentKey":
			h.key, _ = v.DocumentOK()
		case "fullDocument":
			h.after, _ = v.DocumentOK()
		case "fullDocumentBeforeChange":
			h.before, _ = v.DocumentOK()
		case "updateDescription":
			h.description, _ = v.DocumentOK()
		case "lsid":
			lsid, _ = v.DocumentOK()
		case "txnNumber":
			number, _ = v.AsInt64OK()
		case "clusterTime":
			h.at.T, h.at.I, _ = v.TimestampOK()
		case "wallTime":
			h.time, _ = v.TimeOK()
		}
	}
	if h.op == "" || h.at == (stamp{}) {
		return nil, errors.New("it has no operationType or no clusterTime")
	}
	if h.time.IsZero() { // before 6.0
		h.time = h.at.time()
	}
	h.time = h.time.UTC()
	if lsid != nil {
		h.transaction = transaction(lsid, number)
	}
	return h, nil
}

func namespaceOf(v bson.RawValue) namespace {
	var n namespace
	if doc, ok := v.DocumentOK(); ok {
		n.database, _ = doc.Lookup("db").StringValueOK()
		n.collection, _ = doc.Lookup("coll").StringValueOK()
	}
	return n
}

// transaction names a transaction by its session and its number there.
func transaction(lsid bson.Raw, number int64) string {
	_, data, _ := lsid.Lookup("id").BinaryOK()
	session, err := uuid.FromBytes(data)
	if err != nil {
		return fmt.Sprintf("%x.%d", data, number)
	}
	return fmt.Sprintf("%s.%d", session, number)
}
