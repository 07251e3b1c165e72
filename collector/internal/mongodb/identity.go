package mongodb

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
)

// witness is a captured collection by which the deployment is known again: no other has one of that UUID
// (https://www.mongodb.com/docs/manual/reference/command/listCollections/). A resume token doesn't tell: that of an idle
// stream is a time, from which any deployment goes on, in silence.
type witness struct {
	Database   string `json:"database"`
	Collection string `json:"collection"`
	UUID       string `json:"uuid"`
}

func (w witness) namespace() namespace { return namespace{w.Database, w.Collection} }

// mostWitnesses keeps progress small, and one that is made anew by the server (convertToCapped) from being the only one.
const mostWitnesses = 3

// errReplaced says by what another deployment was recognized.
var errReplaced = errors.New("none of the collections that were captured is there, and the change stream tells of none that was dropped or renamed")

// begin is progress of a new epoch at the present.
func (r *reader) begin(d deployment) progress {
	p := begin(r.now(), r.p.Epoch, d.now)
	r.identify(&p, d)
	return p
}

// identify notes by what the deployment will be known again. Of a sharded one nothing is sure: it gives a collection a new
// UUID when it is sharded anew.
func (r *reader) identify(p *progress, d deployment) {
	p.Term, p.Witnesses = d.term, nil
	for _, c := range r.listed {
		if len(p.Witnesses) < mostWitnesses && c.uuid != "" && !d.sharded {
			p.Witnesses = append(p.Witnesses, witness{c.database, c.collection, c.uuid})
		}
	}
}

// recognize tells whether the deployment is the one that was read: no gap ("") where it is, or where nobody can know.
func (r *reader) recognize(ctx context.Context, d deployment) (gap string, because error) {
	p := r.p
	if d.now.before(p.At) {
		return gapRewound, fmt.Errorf("its latest operation, of %s, is before the last one that was read, of %s", d.now.time(), p.At.time())
	}
	if d.term > 0 && d.term < p.Term { // a replica set's only rises
		return gapRewound, fmt.Errorf("its election term is %d, and was %d", d.term, p.Term)
	}
	if p.Token == nil || len(p.Witnesses) == 0 || d.sharded {
		return "", nil
	}
	known := false // what it tells of UUIDs
	for _, c := range r.listed {
		known = known || c.uuid != ""
		if slices.ContainsFunc(p.Witnesses, func(w witness) bool { return w.UUID == c.uuid }) {
			return "", nil
		}
	}
	// One that the configuration takes no more is neither listed nor told of: of those that are left, some must be gone.
	judged := slices.DeleteFunc(slices.Clone(p.Witnesses), func(w witness) bool { return !r.selection.includes(w.namespace()) })
	if !known && len(r.listed) > 0 || len(judged) == 0 {
		return "", nil
	}
	if len(judged) < len(p.Witnesses) && r.stillThere(ctx) {
		return "", nil
	}
	ended, err := r.tellsOfTheEnd(ctx, d)
	switch {
	case err != nil && lost(notOpened(err)) == "": // the cut of a connection, say
		return "", err
	case err != nil, ended:
		return "", nil //nolint:nilerr // the stream itself will tell
	default:
		return gapReplaced, errReplaced
	}
}

// stillThere tells whether a witness is there that the configuration takes no more. Where it may not be looked for, nobody knows.
func (r *reader) stillThere(ctx context.Context) bool {
	return slices.ContainsFunc(r.p.Witnesses, func(w witness) bool {
		found, err := r.client.Database(w.Database).ListCollectionSpecifications(ctx, bson.D{{Key: "name", Value: w.Collection}})
		return err == nil && slices.ContainsFunc(found, func(c *mongo.CollectionSpecification) bool { return uuidOf(c) == w.UUID })
	})
}

// uuidOf is a collection's UUID, "" where the server tells none.
func uuidOf(c *mongo.CollectionSpecification) string {
	if c.UUID == nil {
		return ""
	}
	return hex.EncodeToString(c.UUID.Data)
}

// tellsOfTheEnd looks whether the change stream, from the token to the present, drops or renames one of the witnesses.
func (r *reader) tellsOfTheEnd(ctx context.Context, d deployment) (bool, error) {
	kinds := bson.D{{Key: "$in", Value: bson.A{opDrop, opRename, opDropDatabase, opInvalidate}}}
	stream, err := r.watch(ctx, r.client, d, r.p, bson.D{{Key: "$match", Value: bson.D{{Key: "operationType", Value: kinds}}}})
	if err != nil {
		return false, err
	}
	defer func() { _ = stream.Close(ctx) }() // it was only looked at
	for empty := 0; empty < emptyBatches; {
		if stream.TryNext(ctx) {
			h, err := parse(stream.Current)
			if err != nil {
				return false, err
			}
			if len(h.forget(r.p.Witnesses)) < len(r.p.Witnesses) {
				return true, nil
			}
			continue
		}
		if err := stream.Err(); err != nil {
			return false, err
		}
		if at, ok := tokenTime(stream.ResumeToken()); !ok || !at.before(d.now) { // else the server is still searching
			empty++
		}
	}
	return false, ctx.Err()
}

// forget is what is left of witnesses behind an event.
func (h *happening) forget(witnesses []witness) []witness {
	if h.op != opDrop && h.op != opRename && h.op != opDropDatabase {
		return witnesses
	}
	return slices.DeleteFunc(slices.Clone(witnesses), func(w witness) bool {
		n := w.namespace()
		return n == h.ns || n == h.to || h.op == opDropDatabase && n.database == h.ns.database
	})
}

// listing is a captured collection that there is, with its UUID ("" where the server tells none).
type listing struct {
	namespace
	uuid string
}

// list gives the captured collections of a database.
func (s *Source) list(ctx context.Context, client *mongo.Client, database string) ([]listing, error) {
	specifications, err := client.Database(database).ListCollectionSpecifications(ctx, bson.D{{Key: "type", Value: "collection"}})
	if err != nil {
		return nil, fmt.Errorf("list collections of %s: %w", database, err)
	}
	var found []listing
	for _, c := range specifications {
		n := namespace{database, c.Name}
		if !s.selection.includes(n) {
			continue
		}
		found = append(found, listing{n, uuidOf(c)})
	}
	return found, nil
}
