package wal

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pglogrepl"

	"datawatch/collector/internal/postgres"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// Why a table, or all of a partition tree, left its stream.
const (
	leftDrop   = "drop"
	leftRename = "rename"
	leftAttach = "attach"
	leftDetach = "detach"
)

// settle takes note of a table that the stream told of before a look did, or by another name. A name that was another's until now has its
// stream end before a row of this one is told.
func (r *reader) settle(ctx context.Context, rel *relation) error {
	before, old := r.known[rel.id]
	t := knownTable{Schema: rel.streamSchema, Table: rel.streamTable, Root: rel.tree != 0, Tree: rel.tree, Key: before.Key, Early: true}
	if rel.excluded = !r.config.Selects(t.Schema, t.Table); rel.excluded { // by now, or it is published by somebody else
		return nil
	}
	if old && before.same(t) {
		return nil
	}
	advance := r.tx.lsn < r.inAdvance // the names are those of later
	var others []uint32
	for id, known := range r.known {
		if id != rel.id && known.same(t) && !known.sameTree(t) {
			others = append(others, id)
		}
	}
	if old && !advance {
		r.ended(before, leftRename)
	}
	if len(others) > 0 && !advance {
		why := leftDrop
		var there bool
		if err := r.catalog.db.QueryRow(ctx, "select exists (select from pg_class where oid = any ($1))", others).Scan(&there); err != nil {
			return fmt.Errorf("look for tables: %w", err)
		}
		if there {
			why = leftRename
		}
		r.ended(t, why)
	}
	known := maps.Clone(r.known)
	if known == nil {
		known = knownTables{}
	}
	known[rel.id] = t
	r.early[rel.id] = r.tx.wide
	for _, id := range others {
		delete(known, id)
		delete(r.relations, id)
		r.early[id] = r.tx.wide
	}
	r.known = known
	r.noteTables()
	return nil
}

// compare looks what became of the captured tables since the look before, once reading has come to where it was taken.
func (r *reader) compare() {
	if r.look == nil || r.proof != nil || r.tx != nil || r.p.LSN < r.look.lsn || r.p.Open != nil {
		return
	}
	now := *r.look
	r.look = nil
	now.tables = r.overlook(&now)
	for id, was := range r.known { // a partition's own message names no root
		if now.tables[id] != was {
			delete(r.relations, id)
		}
	}
	if now.types != r.types { // which the stream doesn't tell
		clear(r.relations)
	}
	r.types, r.inAdvance = now.types, 0
	r.left(&now)
	r.came(&now)
	r.forget(&now)
	r.uncaptured(&now)
	r.unpublished(&now)
	r.p.Right = now.right()
	if now.at.After(r.p.At) { // a keepalive tells the time at which it was sent, also where it is far behind
		r.p.At = now.at.UTC()
	}
	if !maps.Equal(r.known, now.tables) || !maps.Equal(r.rows, now.rows) || !r.counted.equal(now.counted) {
		r.takeTables(&now)
	}
}

// overlook gives the tables of a look; those that the stream told otherwise, by a transaction that the look doesn't see, as they are known.
func (r *reader) overlook(now *look) knownTables {
	tables := maps.Clone(now.tables)
	for id, xid := range r.early {
		known, is := r.known[id]
		t, found := tables[id]
		switch {
		case now.sees(xid), is && found && t.same(known):
			delete(r.early, id)
		case is:
			tables[id] = known
		default:
			delete(tables, id)
		}
	}
	return tables
}

// left tells of rows that went with their tables and partitions. Those of one that isn't selected any more stay.
func (r *reader) left(now *look) {
	ended, told := map[event.Stream]bool{}, map[event.Stream]bool{}
	for _, id := range slices.Sorted(maps.Keys(r.known)) {
		t := r.known[id]
		why, went := now.whyLeft(id, t)
		switch stream := r.streamOf(t); {
		case !went || ended[stream]:
		case t.Root && (why == "" || r.remains(now, t)):
			if told[stream] {
				continue
			}
			told[stream] = true
			r.gap(stream, event.Gap{From: now.since.UTC(), To: now.at.UTC(), Cause: causePartition}.Advising(reason.DoPartitionDetached.With()))
		case why != "":
			ended[stream] = true
			r.ended(t, why)
		}
	}
}

// whyLeft tells whether a table isn't what it was, and, where it isn't of its stream any more, why.
func (l *look) whyLeft(id uint32, t knownTable) (why string, went bool) {
	is, captured := l.tables[id]
	if !captured {
		var there bool
		if is, there = l.there[id]; !there {
			return leftDrop, true
		}
	}
	switch {
	case is.Root && !t.Root:
		return leftAttach, true
	case t.Root && !is.Root, t.Root && t.Tree != 0 && t.Tree != is.Tree:
		return leftDetach, true
	case !is.same(t):
		return leftRename, true
	default:
		return "", !captured || l.fresh[id].moved
	}
}

// remains tells whether a tree still has partitions under its name.
func (r *reader) remains(now *look, tree knownTable) bool {
	for _, t := range now.there {
		if t.sameTree(tree) {
			return true
		}
	}
	for id, known := range r.known {
		if _, early := r.early[id]; early && known.sameTree(tree) {
			return true
		}
	}
	return false
}

// ended tells that all rows of a stream are gone from it.
func (r *reader) ended(t knownTable, why string) {
	rel := &relation{database: r.catalog.database, streamSchema: t.Schema, streamTable: t.Table}
	if err := rel.complete(r.name); err == nil {
		r.add(rel, change{op: event.Truncate, reason: why})
	}
}

// came tells what tables, and partitions, held before they were captured, or before they were of their stream.
func (r *reader) came(now *look) {
	told := map[event.Stream]bool{}
	for _, id := range slices.Sorted(maps.Keys(now.tables)) {
		t := now.tables[id]
		fresh, is := now.fresh[id]
		if known, was := r.known[id]; was && !known.same(t) && !is {
			fresh, is = freshTable{rows: true, renamed: true}, true // it was another one in between
		}
		if !is || !fresh.rows {
			continue
		}
		part := t.Root && !fresh.renamed && r.knows(t)
		switch stream := r.streamOf(t); {
		case part && !fresh.attached: // made as a partition of a tree that was captured already
		case part: // what it had is read
			r.snapshots.AddPart(fmt.Sprintf("attach-%s-%s-%d", r.p.Epoch, r.p.LSN, id), now.at, postgres.Part(stream, id, 0, false))
			r.account()
		case !told[stream]:
			told[stream] = true
			r.gap(stream, event.Gap{From: now.since.UTC(), To: now.at.UTC(), Cause: causeTableNew}.Advising(reason.DoTableNew.With()))
		}
	}
}

// knows tells whether the tree of a partition was captured at the look before.
func (r *reader) knows(t knownTable) bool {
	for _, known := range r.known {
		if !known.Early && known.sameTree(t) {
			return true
		}
	}
	return false
}

// forget lets go of tables that are gone since the look before: no change of them comes any more. Those of schemas that a look leaves out
// stay, and those that were made behind it.
func (r *reader) forget(now *look) {
	maps.DeleteFunc(r.named, func(id uint32, m *pglogrepl.RelationMessage) bool {
		_, was := r.there[id]
		_, is := now.there[id]
		gone := was && !is && m.Namespace != "datawatch" && m.Namespace != "information_schema" && !strings.HasPrefix(m.Namespace, "pg_")
		if gone {
			delete(r.relations, id)
		}
		return gone
	})
	r.there = now.there
}
