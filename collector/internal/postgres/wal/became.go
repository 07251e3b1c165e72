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
	leftKey    = "key" // its rows have another key
)

// settle takes note of a table that the stream told of before a look did, or by another name. A name that was another's until now has its
// stream end before a row of this one is told; of the rows that it brings there is a gap.
func (r *reader) settle(ctx context.Context, rel *relation) error {
	before, old := r.known[rel.id]
	t := knownTable{Schema: rel.streamSchema, Table: rel.streamTable, Root: rel.tree != 0, Tree: rel.tree, Key: before.Key, Early: true}
	rel.excluded = !r.config.Selects(t.Schema, t.Table) // by now, or it is published by somebody else
	switch {
	case old && before.same(t):
		return nil
	case rel.excluded && !old:
		if rel.tree != 0 { // its tree may get a name that is selected
			r.lost[rel.id] = true
		}
		return nil
	}
	advance := r.tx.lsn < r.inAdvance && !before.Early // the names are those of later
	known := maps.Clone(r.known)
	if known == nil {
		known = knownTables{}
	}
	if old && !advance {
		r.ended(before, leftRename)
	}
	if rel.excluded {
		r.lose(known, rel.id)
	} else {
		others, why, err := r.namesakes(ctx, rel.id, t)
		if err != nil {
			return err
		}
		if len(others) > 0 && !advance {
			r.ended(t, why)
		}
		for _, id := range others {
			r.lose(known, id)
			delete(r.relations, id)
		}
		known[rel.id], r.early[rel.id] = t, r.tx.wide
		if (old || r.lost[rel.id]) && !advance {
			r.gap(r.streamOf(t), event.Gap{From: r.p.At, To: r.tx.at, Cause: causeTableNew}.Advising(reason.DoTableNew.With()))
			r.brought[rel.id] = t
			delete(r.lost, rel.id)
		}
	}
	r.known = known
	r.noteTables()
	return nil
}

// namesakes are the tables that are known by the name of another one, and why they aren't of its stream any more.
func (r *reader) namesakes(ctx context.Context, id uint32, t knownTable) (others []uint32, why string, err error) {
	for other, known := range r.known {
		if other != id && known.same(t) && !known.sameTree(t) {
			others = append(others, other)
		}
	}
	if len(others) == 0 {
		return nil, "", nil
	}
	var there bool
	if err := r.catalog.db.QueryRow(ctx, "select exists (select from pg_class where oid = any ($1))", others).Scan(&there); err != nil {
		return nil, "", fmt.Errorf("look for tables: %w", err)
	}
	if there {
		return others, leftRename, nil
	}
	return others, leftDrop, nil
}

// lose lets go of a table whose name is another's now, or isn't selected. Wherever it is found next, its rows aren't in that stream.
func (r *reader) lose(known knownTables, id uint32) {
	delete(known, id)
	delete(r.brought, id)
	r.early[id], r.lost[id] = r.tx.wide, true
}

// compare looks what became of the captured tables since the look before, once reading has come to where it was taken.
func (r *reader) compare() {
	for r.look != nil && r.proof == nil && r.tx == nil && r.p.LSN >= r.look.lsn && r.p.Open == nil {
		now := *r.look
		r.look, r.later = r.later, nil
		r.compareWith(now)
	}
}

// looked takes a look, to be compared when reading has come to it. Of those that come while one waits, the newest counts, with what
// nobody has looked at yet of the ones before: else reading that is always behind would come to none.
func (r *reader) looked(now *look) {
	if r.look == nil {
		r.look = now
	} else {
		now.after(r.later)
		r.later = now
	}
}

func (r *reader) compareWith(now look) {
	now.tables = r.overlook(&now)
	r.rename(&now)
	for id, was := range r.known { // a partition's own message names no root
		if now.tables[id] != was || now.rows.place(id) != r.rows.place(id) {
			delete(r.relations, id)
		}
	}
	for id := range r.lost {
		delete(r.relations, id)
	}
	if now.types != r.types { // which the stream doesn't tell
		clear(r.relations)
	}
	r.types, r.inAdvance = now.types, 0
	r.appeared(&now)
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

// rename has tables be of the schemas that the look found them in: up to version 16 a server doesn't tell that a schema was renamed.
func (r *reader) rename(now *look) {
	for id, m := range r.named {
		t, there := now.there[id]
		if _, early := r.early[id]; !there || early || t.Root || m.Namespace == t.Schema || m.RelationName != t.Table {
			continue
		}
		renamed := *m
		renamed.Namespace = t.Schema
		r.named[id] = &renamed
		delete(r.relations, id)
	}
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
		return "", !captured || l.fresh[id].moved || l.away[id] && !t.Early
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
		delete(r.keys, rel.stream)
	}
}

// came tells what tables, and partitions, held before they were captured, or before they were of their stream.
func (r *reader) came(now *look) {
	told := map[event.Stream]bool{}
	for _, id := range slices.Sorted(maps.Keys(now.tables)) {
		t := now.tables[id]
		fresh, is := now.fresh[id]
		known, was := r.known[id]
		other := was && !known.same(t) && (!is || known.Early && !fresh.moved && !fresh.attached)
		if other || was && !known.Early && now.away[id] || r.lost[id] {
			fresh, is = freshTable{rows: true, renamed: true}, true // it was another one in between, or not captured
		}
		if _, absent := r.absent[id]; absent && !was && !(t.Root && r.knows(t)) {
			fresh.rows, is = true, true // or it had some that are gone
		}
		if brought, before := r.brought[id]; !is || !fresh.rows || before && brought.same(t) {
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
			from := now.since
			if !fresh.since.IsZero() && fresh.since.Before(from) {
				from = fresh.since
			}
			from = r.capturedUntil(r.absent, now.tables, stream, from)
			r.gap(stream, event.Gap{From: from.UTC(), To: now.at.UTC(), Cause: causeTableNew}.Advising(reason.DoTableNew.With()))
		}
	}
	maps.DeleteFunc(r.lost, func(id uint32, _ bool) bool { _, found := now.tables[id]; return found })
	maps.DeleteFunc(r.brought, func(id uint32, _ knownTable) bool { _, early := r.early[id]; return !early })
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
			delete(r.kept, id)
		}
		return gone
	})
	r.there = now.there
}
