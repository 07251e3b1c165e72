package mongodb

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
	"datawatch/pkg/reason"
)

// readRenamed reads the collection whose reading progress is at, if there is one, chunk by chunk in the order of _id. The
// reads stand at the rename's place: what the stream tells from there on comes behind them.
func (r *reader) readRenamed(ctx context.Context) error {
	if r.p.Reading == nil {
		return nil
	}
	r.report.State(source.Snapshot, reason.Text{})
	for r.p.Reading != nil {
		if err := r.readChunk(ctx); err != nil {
			return fmt.Errorf("read renamed collection %s.%s: %w", r.p.Reading.Database, r.p.Reading.Collection, err)
		}
	}
	r.report.State(source.Streaming, reason.Text{})
	return nil
}

// readChunk commits a chunk.
func (r *reader) readChunk(ctx context.Context) error {
	next, at := r.p, *r.p.Reading
	n := namespace{at.Database, at.Collection}
	docs, done, err := r.ahead(ctx, r.client.Database(at.Database).Collection(at.Collection), at.Last)
	if err != nil {
		return err
	}
	b := &batch{r: r, next: next}
	var events []event.Raw
	now := r.now()
	for _, d := range docs {
		at.Last = d.id
		events = append(events, b.read(n, d, r.p.Time, now))
	}
	b.next.Reading = &at
	if done {
		b.next.Reading = nil
	}
	return r.commit(ctx, b.next, events, nil)
}

// found is a document of a chunk.
type found struct{ id, doc bson.Raw } // id: {_id: …}, as a change stream gives it

// ahead reads on behind an _id (nil is the beginning): a chunk in the order of _id. done tells that it was the last one. It
// finds its place by the index's bounds, for a comparison in a query only finds values of one type.
func (r *reader) ahead(ctx context.Context, c *mongo.Collection, last bson.Raw) (docs []found, done bool, err error) {
	byID := bson.D{{Key: "_id", Value: 1}}
	o := options.Find().SetSort(byID).SetHint(byID).SetLimit(r.limits.chunk + 1)
	if last != nil {
		o.SetMin(last) // inclusive
	}
	cursor, err := c.Find(ctx, bson.D{}, o)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }() // it only read
	more, size := true, 0
	for size < r.limits.bytes {
		if more = cursor.Next(ctx); !more {
			break
		}
		doc := bytes.Clone(cursor.Current)
		id, err := idOf(doc)
		if err != nil {
			return nil, false, err
		}
		if bytes.Equal(id, last) {
			continue
		}
		docs, size = append(docs, found{id, doc}), size+len(doc)
	}
	if err := cursor.Err(); err != nil {
		return nil, false, err
	}
	return docs, !more && int64(len(docs)) < r.limits.chunk, nil
}

// read is the event of a document that was read, behind all events so far.
func (b *batch) read(n namespace, d found, at time.Time, now time.Time) event.Raw {
	h := &happening{op: opRename, ns: n, key: d.id, at: b.next.At, time: at, size: len(d.doc)}
	key, err := normalize.DocumentKey(d.id)
	if err != nil {
		return b.r.unreadable(h, b.next.place(h.at), err, now)
	}
	return b.raw(h, n, event.DocumentChange{Op: event.Read, Key: d.id, After: d.doc}, key, now)
}

// idOf is the document's key, as a change stream gives it.
func idOf(doc bson.Raw) (bson.Raw, error) {
	id, err := doc.LookupErr("_id")
	if err != nil {
		return nil, fmt.Errorf("a document without an _id: %w", err)
	}
	return bson.Marshal(bson.D{{Key: "_id", Value: id}})
}
