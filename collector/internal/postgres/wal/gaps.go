package wal

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/postgres"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// gap appends a gap to its stream, at this place in the order, and names it in the log.
func (r *reader) gap(stream event.Stream, g event.Gap) {
	value, err := json.Marshal(g)
	if err != nil { // a Gap is made of texts, times and a number
		panic(err)
	}
	b := r.open()
	b.events = append(b.events, event.Raw{
		Type: event.GapType, Kind: event.Postgres, ID: event.ID(r.name, r.position()), Stream: stream, Time: g.To.UTC(),
		RecordKey: event.RecordKey(stream, nil), Value: value, CapturedAt: b.now,
	})
	b.bytes += len(value)
	r.reporter.Gap(g.Cause)
	r.log.Warn("a gap", "stream", stream, "cause", g.Cause, "from", g.From, "to", g.To, "remedy", g.Remedy)
}

// time is that of the transaction that is being read, else now.
func (r *reader) time() time.Time {
	if r.tx != nil {
		return r.tx.at
	}
	return r.now().UTC()
}

func (r *reader) tooLarge(rel *relation, do reason.Text) {
	lost := int64(1)
	r.gap(rel.stream, event.Gap{From: r.time(), To: r.time(), Cause: causeTooLarge, Lost: &lost}.Advising(do))
}

func (r *reader) unreadable(rel *relation, err error) {
	lost := int64(1)
	r.log.Error("a row can't be read", "stream", rel.stream, "error", err)
	r.gap(rel.stream, event.Gap{From: r.time(), To: r.time(), Cause: causeUnreadable, Lost: &lost}.Advising(reason.DoRowUnreadable.With(err)))
}

func (r *reader) partitionTruncated(rel *relation) {
	r.gap(rel.stream, event.Gap{From: r.time(), To: r.time(), Cause: causePartition}.Advising(reason.DoPartitionTruncated.With(rel.schema+"."+rel.name)))
}

//go:embed sql/leaves.sql
var leavesSQL string

// leaves are the partitions that the tree of a relation had when a transaction wrote; none where the relation is none, or
// is gone.
func (c *catalog) leaves(ctx context.Context, id uint32, xid string) ([]uint32, error) {
	wide, err := strconv.ParseUint(xid, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("transaction id: %w", err)
	}
	rows, err := c.db.Query(ctx, leavesSQL, id, int64(wide&0xffffffff))
	if err != nil {
		return nil, fmt.Errorf("look for partitions: %w", err)
	}
	leaves, err := pgx.CollectRows(rows, pgx.RowTo[uint32])
	if err != nil {
		return nil, fmt.Errorf("look for partitions: %w", err)
	}
	return leaves, nil
}

// truncatesWhole tells whether a TRUNCATE that named these relations of one stream was one of the whole table: it named all
// its partitions. Where none of them is left, those count that were known.
func (r *reader) truncatesWhole(ctx context.Context, ids []uint32) (bool, error) {
	for _, id := range ids {
		leaves, err := r.catalog.leaves(ctx, id, r.tx.xid)
		if err != nil {
			return false, err
		}
		if len(leaves) > 0 {
			return containsAll(ids, leaves), nil
		}
	}
	tree := r.known[ids[0]]
	if !tree.Root {
		return true, nil
	}
	var leaves []uint32
	for id, known := range r.known {
		if known == tree {
			leaves = append(leaves, id)
		}
	}
	return containsAll(ids, leaves), nil
}

func containsAll(ids, wanted []uint32) bool {
	return !slices.ContainsFunc(wanted, func(id uint32) bool { return !slices.Contains(ids, id) })
}

// compare looks what became of the captured tables since the look before, once reading has come to where it was taken.
func (r *reader) compare() {
	if r.look == nil || r.proof != nil || r.tx != nil || r.p.LSN < r.look.lsn || r.p.Open != nil {
		return
	}
	now := r.look
	r.look = nil
	for id, tree := range r.known { // a partition's own message names no root
		if now.tables[id] != tree {
			delete(r.relations, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(now.tables)) {
		_, old := r.known[id]
		if _, moved := now.fresh[id]; old && moved {
			r.wentAway(id, now)
		}
		if _, fresh := now.fresh[id]; !old || fresh {
			r.cameUp(id, now)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.known)) {
		if _, still := now.tables[id]; !still {
			r.wentAway(id, now)
		}
	}
	r.forget(now)
	r.uncaptured(now)
	r.unpublished(now)
	r.p.Right = now.right()
	if !maps.Equal(r.known, now.tables) || !maps.Equal(r.rows, now.rows) || !r.counted.equal(now.counted) {
		r.takeTables(now)
	}
}

// forget lets go of tables that are gone since the look before: no change of them comes any more. Those of schemas that a look leaves out
// stay, and those that were made behind it.
func (r *reader) forget(now *look) {
	maps.DeleteFunc(r.named, func(id uint32, m *pglogrepl.RelationMessage) bool {
		gone := r.there[id] && !now.there[id] && m.Namespace != "datawatch" && m.Namespace != "information_schema" && !strings.HasPrefix(m.Namespace, "pg_")
		if gone {
			delete(r.relations, id)
		}
		return gone
	})
	r.there = now.there
}

// cameUp tells what a table, or a partition, held before it was captured.
func (r *reader) cameUp(id uint32, now *look) {
	t := now.tables[id]
	fresh, ok := now.fresh[id]
	if !ok || !fresh.rows || t.Root && !fresh.attached && r.knows(t) {
		return // empty, or made as a partition of a tree that was captured already
	}
	if t.Root && r.knows(t) { // attached: what it had is read
		r.snapshots.AddPart(fmt.Sprintf("attach-%s-%s-%d", r.p.Epoch, r.p.LSN, id), now.at, postgres.Part(r.streamOf(t), id, 0, false))
		r.account()
		return
	}
	r.gap(r.streamOf(t), event.Gap{From: now.since.UTC(), To: now.at.UTC(), Cause: causeTableNew}.Advising(reason.DoTableNew.With()))
}

// knows tells whether the stream of a table was captured before.
func (r *reader) knows(t knownTable) bool {
	for _, known := range r.known {
		if known.Schema == t.Schema && known.Table == t.Table {
			return true
		}
	}
	return false
}

// wentAway tells of rows that went with their table or partition. Those of one that isn't selected any more stay.
func (r *reader) wentAway(id uint32, now *look) {
	t := r.known[id]
	switch {
	case t.Root:
		r.gap(r.streamOf(t), event.Gap{
			From: now.since.UTC(), To: now.at.UTC(), Cause: causePartition,
		}.Advising(reason.DoPartitionDetached.With()))
	case !now.there[id]:
		rel := &relation{database: r.catalog.database, streamSchema: t.Schema, streamTable: t.Table}
		if err := rel.complete(r.name); err == nil {
			r.add(rel, change{op: event.Truncate, reason: "drop"})
		}
	}
}

func (r *reader) streamOf(t knownTable) event.Stream {
	return event.StreamOf(r.name, event.TableEntity(t.Schema, t.Table))
}
