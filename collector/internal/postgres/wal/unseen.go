package wal

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// unseen is a relation of which rows were left out, since nobody saw the transaction yet that had made or moved it.
type unseen struct {
	Name string    `json:"name"`
	XID  uint64    `json:"xid"`
	At   time.Time `json:"at"` // of its commit
}

// A transaction that nobody sees yet, and that has made or moved a relation, has it locked; whether it has ended is asked before that.
const unseenSQL = `select case when pg_visible_in_snapshot($1::text::xid8, pg_current_snapshot()) then false else exists (
	select from pg_locks x join pg_locks l using (virtualtransaction)
	where x.locktype = 'transactionid' and x.mode = 'ExclusiveLock' and x.granted and x.transactionid::text = ($1::text::bigint & 4294967295)::text
		and l.locktype = 'relation' and l.relation = $2 and l.mode = 'AccessExclusiveLock' and l.granted) end`

// await waits until others see what a transaction did that may have made or moved a relation: its commit is in the WAL before. Where that waits
// for a standby they don't for long.
func (c *catalog) await(ctx context.Context, xid uint64, id uint32, longest time.Duration) (seen bool, err error) {
	for began := time.Now(); ; {
		var unseen bool
		if err := c.db.QueryRow(ctx, unseenSQL, strconv.FormatUint(xid, 10), id).Scan(&unseen); err != nil {
			return false, fmt.Errorf("look whether transaction %d is seen: %w", xid, err)
		}
		if !unseen || time.Since(began) >= longest {
			return !unseen, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(stepEvery):
		}
	}
}

// sees tells whether the catalog has a relation as the transaction that is being read left it. Each transaction is waited for once.
func (r *reader) sees(ctx context.Context, id uint32, name string) (bool, error) {
	longest := r.limits.unseen
	if len(r.tx.unseen) > 0 {
		longest = 0
	}
	seen, err := r.catalog.await(ctx, r.tx.wide, id, longest)
	if err != nil || seen {
		return seen, err
	}
	r.log.Warn("a commit waits for a standby: rows are left out until others see it", "table", name, "transaction", r.tx.xid)
	r.tx.unseen = append(r.tx.unseen, id)
	pending := maps.Clone(r.pending)
	if pending == nil {
		pending = map[uint32]unseen{}
	}
	pending[id] = unseen{name, r.tx.wide, r.tx.at}
	r.pending = pending
	r.noteTables()
	return false, nil
}

// appeared has the rows read that were left out, once a look sees whose they are, with a gap.
func (r *reader) appeared(now *look) {
	pending := maps.Clone(r.pending)
	for _, id := range slices.Sorted(maps.Keys(r.pending)) {
		u := r.pending[id]
		if !now.sees(u.XID) {
			continue
		}
		delete(pending, id)
		if u.At.Before(now.since) {
			now.since = u.At
		}
		t, is := now.tables[id]
		_, was := r.known[id]
		switch {
		case is && !was && t.Root && r.knows(t):
			r.gap(r.streamOf(t), event.Gap{From: u.At, To: now.at.UTC(), Cause: causeTableNew}.Advising(reason.DoTableNew.With()))
		case !is && !was: // it is gone by now
			r.strayed(u.Name, u.At)
		}
		fresh := now.fresh[id]
		fresh.rows, fresh.attached, fresh.moved = true, true, true // also where it was known, which is a gap then
		now.fresh[id] = fresh
	}
	if len(pending) < len(r.pending) {
		r.pending = pending
		r.noteTables()
	}
}
