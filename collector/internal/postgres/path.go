package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

//go:embed sql/nested.sql
var nestedSQL string

// walk tells the rest of the open tick, in the order in which changes took effect, and ends it.
func (r *reader) walk(ctx context.Context) error {
	r.shelf = shelf{packs: map[statement][]pack{}, last: map[statement]bool{}}
	b := r.newBatch(r.p)
	for {
		next, done, err := r.step(ctx, b)
		if err != nil {
			return err
		}
		if b = next; done {
			return r.close(ctx, b)
		}
	}
}

// step goes one pack on, or one frame in or out. It tells true at the end of the tick.
func (r *reader) step(ctx context.Context, b *batch) (_ *batch, done bool, err error) {
	path := b.open.Path
	i := len(path) - 1
	p, err := r.next(ctx, path, i)
	if err != nil {
		return nil, false, err
	}
	if i == 0 && p == nil {
		return r.rest(ctx, b)
	}
	if i > 0 {
		outer, err := r.next(ctx, path, i-1)
		if err != nil {
			return nil, false, err
		}
		if outer != nil && outer.statement() == path[i].of() {
			if to, first := until(outer, path[i-1].Told, p); first {
				b, err = r.tellPack(ctx, b, i-1, outer, to)
				return b, false, err
			}
		} else if p == nil {
			r.shelf.drop(path[i].of())
			b.open.Path = path[:i]
			return b, false, nil
		}
	}
	if n := p.number(); n != 0 && len(path) < maxDepth {
		b.open.Path = append(path, frame{Behind: n, XID: p.txid, Parent: p.seq, Floor: p.floor})
		return b, false, nil
	} else if n != 0 {
		if err := r.tooDeep(ctx, b, p); err != nil {
			return nil, false, err
		}
	}
	b, err = r.tellPack(ctx, b, i, p, p.rows)
	return b, false, err
}

// maxDepth is how many statements are behind each other at most. No server's stack has room for so many triggers: a session made them up,
// and each is a frame of progress.
const maxDepth = 1000

// tooDeep tells once, of a transaction with more, that what is behind them is missing: in each stream that it may be of.
func (r *reader) tooDeep(ctx context.Context, b *batch, p *pack) error {
	if r.deep == p.txid {
		return nil
	}
	r.deep = p.txid
	rows, err := r.db.Query(ctx, "select distinct shape from datawatch.outbox where txid = $1::text::xid8 and behind is not null", p.txid)
	if err != nil {
		return fmt.Errorf("read the outbox: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("read the outbox: %w", err)
	}
	why := event.Gap{From: p.at, To: p.at, Cause: causeCaptureFailed}.Advising(reason.DoCaptureFailed.With("the session made up the order of its statements (datawatch.open)"))
	var told []event.Stream
	for _, id := range ids {
		s, err := r.shapes.load(ctx, id)
		if err != nil {
			return err
		}
		if !slices.Contains(told, s.stream) {
			told = append(told, s.stream)
			b.gap(s.stream, why)
		}
	}
	return nil
}

// until is to which row of its pack a statement is told before what is behind it goes on with p, which has its place
// behind so many rows; false where p comes first.
func until(outer *pack, told int64, p *pack) (to int64, first bool) {
	if p == nil || outer.start < 0 {
		return outer.rows, true
	}
	if p.place <= outer.part+told {
		return 0, false
	}
	return min(outer.rows, p.place-outer.part), true
}

// rest is what is left at the end of a tick: packs behind a statement that isn't there. They are told in the order in
// which they ended, and counted.
func (r *reader) rest(ctx context.Context, b *batch) (*batch, bool, error) {
	if b.open.Path[0].Behind == unclaimed {
		return b, true, nil
	}
	s1, s2 := r.p.Snapshot, b.open.Snapshot
	var nested int64
	err := r.db.QueryRow(ctx, nestedSQL, b.open.Low, strconv.FormatUint(s1.xmax, 10), xidArray(s1.ended(s2)), s2.String()).Scan(&nested)
	if err != nil {
		return nil, false, fmt.Errorf("count what is behind others: %w", err)
	}
	if nested <= b.open.Nested {
		return b, true, nil
	}
	r.log.Info("the capture of a statement was left out: what its triggers did is told in the order in which they ended", "packs", nested-b.open.Nested)
	b.open.Path = []frame{{Behind: unclaimed, Seq: b.open.Low}}
	return b, false, nil
}

// tellPack makes the events of a pack of frame i, from where it was told before to a row of it. The batch may be committed
// before and behind it.
func (r *reader) tellPack(ctx context.Context, b *batch, i int, p *pack, to int64) (*batch, error) {
	f := &b.open.Path[i]
	part := to < p.rows || f.Told > 0
	if p.op == packUpdate && (part || p.rows < p.total) && (!f.Moves.are(p) || !f.Moves.Done) {
		// All deletes of the statement go before its first insert.
		var err error
		if b, err = r.deletesFirst(ctx, b, i, p); err != nil {
			return nil, err
		}
		f = &b.open.Path[i]
	}
	if err := b.add(ctx, p, f.Told, to, f.Moves != nil); err != nil {
		return nil, err
	}
	if f.Behind == unclaimed {
		r.metrics.unclaimed.Inc()
	}
	if to < p.rows {
		f.Told = to
	} else {
		if p.behind != 0 {
			b.open.Nested++
		}
		f.passed(p)
		if f.Behind == top {
			b.open.Last = &lastPack{Tick: r.p.Tick + 1, Seq: p.seq, Part: p.part, At: p.at}
		}
		r.shelf.take(f.of())
	}
	if b.full() {
		return r.flush(ctx, b)
	}
	return b, nil
}

// deletesFirst makes the deletes of the rows whose key the statement of p changed.
func (r *reader) deletesFirst(ctx context.Context, b *batch, i int, p *pack) (*batch, error) {
	if f := &b.open.Path[i]; !f.Moves.are(p) {
		f.Moves = &moves{Seq: p.seq, XID: p.txid, Part: -1}
	}
	first := p.first - p.part // of the statement
	for more := true; more; {
		packs, last, err := r.restOf(ctx, &b.open.Path[i], p)
		if err != nil {
			return nil, err
		}
		more = !last
		for k := range packs {
			if err := b.addMoves(ctx, &packs[k], first); err != nil {
				return nil, err
			}
			b.open.Path[i].Moves.Part = packs[k].part
			if b.full() {
				if b, err = r.flush(ctx, b); err != nil {
					return nil, err
				}
			}
		}
	}
	b.open.Path[i].Moves.Done = true
	return b, nil
}

// restOf are packs of p's statement from where the frame's moves are; last tells that there are no more. Where the page that p is of has
// them, they are taken from it: a page for each of many statements would read all that waits over and over.
func (r *reader) restOf(ctx context.Context, f *frame, p *pack) (packs []pack, last bool, err error) {
	others := func(o pack) bool { return o.statement() != p.statement() }
	page := r.shelf.packs[f.of()]
	if end := slices.IndexFunc(page, others); end > 0 || r.shelf.last[f.of()] {
		if end < 0 {
			end = len(page)
		}
		done := slices.IndexFunc(page[:end], func(o pack) bool { return o.part > f.Moves.Part })
		if done < 0 {
			done = end
		}
		return page[done:end], true, nil
	}
	packs, last, err = r.load(ctx, &frame{Behind: f.Behind, XID: f.XID, Parent: f.Parent, Floor: f.Floor, Place: p.place, Seq: p.seq, At: p.txid, Part: f.Moves.Part})
	if end := slices.IndexFunc(packs, others); end >= 0 {
		packs, last = packs[:end], true
	}
	return packs, last, err
}

// flush commits a batch in the middle of a tick, and begins the next.
func (r *reader) flush(ctx context.Context, b *batch) (*batch, error) {
	if err := r.alone(ctx); err != nil {
		return nil, err
	}
	next := r.p
	next.Open = b.open
	if err := r.commit(ctx, next, b); err != nil {
		return nil, err
	}
	return r.newBatch(r.p), nil
}
