package wal

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

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

// strayed tells of a partition that was dropped or detached before it was read of, and that no look had found. Of which tree it was, nobody
// tells any more.
func (r *reader) strayed(name string, from time.Time) {
	var trees []event.Stream
	for _, t := range r.known {
		if stream := r.streamOf(t); t.Root && !slices.Contains(trees, stream) {
			trees = append(trees, stream)
		}
	}
	if len(trees) == 0 {
		trees = r.streams()
	}
	slices.Sort(trees)
	for _, stream := range trees {
		r.gap(stream, event.Gap{From: from, To: r.now().UTC(), Cause: causePartition}.Advising(reason.DoPartitionDetached.With()))
	}
	r.log.Warn("rows of a partition that is gone can't be told", "table", name)
}

//go:embed sql/leaves.sql
var leavesSQL string

// leaves are the partitions that the tree of a relation had when a transaction wrote, also those that were known before; none where the
// relation is none, or is gone.
func (c *catalog) leaves(ctx context.Context, id uint32, xid string, known []uint32) ([]uint32, error) {
	wide, err := strconv.ParseUint(xid, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("transaction id: %w", err)
	}
	rows, err := c.db.Query(ctx, leavesSQL, id, int64(wide&0xffffffff), known)
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
// its partitions, those that were known and those that are there.
func (r *reader) truncatesWhole(ctx context.Context, ids []uint32) (bool, error) {
	tree := r.known[ids[0]]
	var before []uint32
	for id, known := range r.known {
		if known.sameTree(tree) {
			before = append(before, id)
		}
	}
	if !containsAll(ids, before) {
		return false, nil
	}
	for _, id := range ids {
		leaves, err := r.catalog.leaves(ctx, id, r.tx.xid, before)
		if err != nil {
			return false, err
		}
		if !containsAll(ids, leaves) {
			return false, nil
		}
	}
	return true, nil
}

func containsAll(ids, wanted []uint32) bool {
	return !slices.ContainsFunc(wanted, func(id uint32) bool { return !slices.Contains(ids, id) })
}

func (r *reader) streamOf(t knownTable) event.Stream {
	return event.StreamOf(r.name, event.TableEntity(t.Schema, t.Table))
}
