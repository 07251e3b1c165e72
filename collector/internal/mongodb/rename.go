package mongodb

import (
	"bytes"
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo/options"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
)

// readRenamed reads the collection whose reading progress is at, if there is one, chunk by chunk in the order of _id. The
// reads stand at the rename's place: what the stream tells from there on comes behind them.
func (r *reader) readRenamed(ctx context.Context) error {
	if r.p.Reading == nil {
		return nil
	}
	r.report.State(source.Snapshot, "")
	for r.p.Reading != nil {
		if err := r.readChunk(ctx); err != nil {
			return fmt.Errorf("read renamed collection %s.%s: %w", r.p.Reading.Database, r.p.Reading.Collection, err)
		}
	}
	r.report.State(source.Streaming, "")
	return nil
}

// readChunk commits a chunk. It finds its place by the index's bounds, for a comparison in a query only finds values of
// one type.
func (r *reader) readChunk(ctx context.Context) error {
	next, at := r.p, *r.p.Reading
	byID := bson.D{{Key: "_id", Value: 1}}
	o := options.Find().SetSort(byID).SetHint(byID).SetLimit(r.limits.chunk + 1)
	if at.Last != nil {
		o.SetMin(bson.Raw(at.Last)) // inclusive
	}
	cursor, err := r.client.Database(at.Database).Collection(at.Collection).Find(ctx, bson.D{}, o)
	if err != nil {
		return err
	}
	defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }() // it only read
	b := &batch{r: r, next: next}
	var events []event.Raw
	now, n, size := r.now(), namespace{at.Database, at.Collection}, 0
	more := true
	for size < r.limits.bytes {
		if more = cursor.Next(ctx); !more {
			break
		}
		doc := bytes.Clone(cursor.Current)
		id, err := idOf(doc)
		if err != nil {
			return err
		}
		if bytes.Equal(id, at.Last) {
			continue
		}
		at.Last, size = id, size+len(doc)
		h := &happening{op: opRename, ns: n, key: id, at: r.p.At, time: r.p.Time, size: len(doc)}
		key, err := normalize.DocumentKey(id)
		if err != nil {
			events = append(events, r.unreadable(h, b.next.place(h.at), err, now))
			continue
		}
		events = append(events, b.raw(h, n, event.DocumentChange{Op: event.Read, Key: id, After: doc}, key, now))
	}
	if err := cursor.Err(); err != nil {
		return err
	}
	b.next.Reading = &at
	if !more && int64(len(events)) < r.limits.chunk {
		b.next.Reading = nil
	}
	return r.commit(ctx, b.next, events)
}

// idOf is the document's key, as a change stream gives it.
func idOf(doc bson.Raw) (bson.Raw, error) {
	id, err := doc.LookupErr("_id")
	if err != nil {
		return nil, fmt.Errorf("a document without an _id: %w", err)
	}
	return bson.Marshal(bson.D{{Key: "_id", Value: id}})
}
