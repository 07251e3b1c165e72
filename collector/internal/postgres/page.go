package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed sql/page.sql
var pageSQL string

// limits bound what is read and committed at a time.
type limits struct {
	pagePacks int
	pageBytes int64
	// A batch is committed when it has this much; a pack is never divided between batches.
	batchEvents int
	batchBytes  int
	// What is held back for the order within a transaction.
	windowRows  int64
	windowBytes int64
}

var defaultLimits = limits{pagePacks: 5000, pageBytes: 4 << 20, batchEvents: 5000, batchBytes: 16 << 20, windowRows: 10000, windowBytes: 8 << 20}

// pack is a row of the outbox: up to 200 rows of one statement.
type pack struct {
	seq, part   int64
	txid        string
	op          string
	depth       int16 // of triggers: 1 is a statement of the application's
	called      time.Time
	shape       int64
	at          time.Time
	first       int64
	rows, total int64
	application string
	login       string
	client      string
	tag         string
	before      []byte
	after       []byte
	size        int64
}

// Ops of packs.
const (
	packInsert   = "i"
	packUpdate   = "u"
	packDelete   = "d"
	packTruncate = "t"
	packGap      = "g"
	packNew      = "n"
)

// held tells whether the pack was too large to be fetched.
func (p *pack) held() bool {
	return p.size > 0 && p.before == nil && p.after == nil
}

// page reads some packs of the open tick and commits their events. It tells true when that was the end of the tick.
func (r *reader) page(ctx context.Context) (done bool, err error) {
	seq, part := r.p.Open.Seq, r.p.Open.Part
	if last := r.window.last(); last != nil {
		seq, part = last.seq, last.part
	}
	packs, err := r.packs(ctx, seq, part)
	if err != nil {
		return false, err
	}
	var bytes int64
	b := r.newBatch(r.p)
	for i := range packs {
		p := &packs[i]
		bytes += p.size
		if b, err = r.take(ctx, b, p); err != nil {
			return false, err
		}
	}
	switch done = len(packs) < r.limits.pagePacks && bytes < r.limits.pageBytes; {
	case done:
		packs, begun := r.window.take()
		if b, err = r.release(ctx, b, packs, begun); err != nil {
			return false, err
		}
		return true, r.close(ctx, b)
	case len(b.events) > 0:
		_, err = r.flush(ctx, b)
		return false, err
	default:
		r.p.Open = b.open
		return false, nil
	}
}

// take makes events of a pack, now or when its place among others is known. What is in the window is behind the progress:
// who goes on after a restart reads it again.
func (r *reader) take(ctx context.Context, b *batch, p *pack) (*batch, error) {
	w := &r.window
	begun := b.open.Moves != nil && b.open.Moves.Seq == p.seq // its deletes are told already
	if len(w.packs) == 0 && (p.depth <= 1 || begun) {
		return r.inSequence(ctx, b, p)
	}
	w.add(p)
	if len(w.waiting) == 0 {
		packs, rest := w.take()
		return r.release(ctx, b, packs, rest)
	}
	if w.rows <= r.limits.windowRows && w.bytes <= r.limits.windowBytes {
		return b, nil
	}
	if w.unanswered() {
		r.undecided(p)
	}
	packs, rest := w.cut()
	return r.release(ctx, b, packs, rest)
}

// release makes the events of what was in the window: of whole statements in their order, and behind them of one that
// isn't here to its end.
func (r *reader) release(ctx context.Context, b *batch, packs, begun []*pack) (*batch, error) {
	if len(packs) > 0 {
		var err error
		if b, err = r.inOrder(ctx, b, packs); err != nil {
			return nil, err
		}
	}
	for _, p := range begun {
		var err error
		if b, err = r.inSequence(ctx, b, p); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// inOrder makes the events of whole statements. Where the order isn't the sequence's they are all in one batch.
func (r *reader) inOrder(ctx context.Context, b *batch, packs []*pack) (*batch, error) {
	last := packs[len(packs)-1]
	ordered, moved, err := r.arrange(ctx, packs)
	if err != nil {
		return nil, err
	}
	for _, p := range ordered {
		if !moved {
			b, err = r.inSequence(ctx, b, p)
		} else {
			err = b.add(ctx, p)
		}
		if err != nil {
			return nil, err
		}
	}
	b.open.Seq, b.open.Part = last.seq, last.part
	return b, nil
}

// inSequence makes a pack's events; the batch may be committed before and behind it.
func (r *reader) inSequence(ctx context.Context, b *batch, p *pack) (*batch, error) {
	if p.op == packUpdate && p.rows < p.total && !b.open.Moves.madeFor(p.seq) {
		// The statement is longer than a pack: all its deletes go before its first insert.
		var err error
		if b, err = r.deletesFirst(ctx, b, p.seq); err != nil {
			return nil, err
		}
	}
	if err := b.add(ctx, p); err != nil {
		return nil, err
	}
	b.open.Seq, b.open.Part = p.seq, p.part
	p.before, p.after = nil, nil
	if b.full() {
		return r.flush(ctx, b)
	}
	return b, nil
}

// flush commits a batch in the middle of a tick, and begins the next.
func (r *reader) flush(ctx context.Context, b *batch) (*batch, error) {
	next := r.p
	next.Open = b.open
	if err := r.commit(ctx, next, b); err != nil {
		return nil, err
	}
	return r.newBatch(r.p), nil
}

func (m *moves) madeFor(seq int64) bool { return m != nil && m.Seq == seq && m.Done }

// deletesFirst makes the deletes of the rows whose key a long statement changed.
func (r *reader) deletesFirst(ctx context.Context, b *batch, seq int64) (*batch, error) {
	if b.open.Moves == nil || b.open.Moves.Seq != seq {
		b.open.Moves = &moves{Seq: seq, Part: -1}
	}
	for {
		packs, err := r.packs(ctx, seq, b.open.Moves.Part)
		if err != nil {
			return nil, err
		}
		for i := range packs {
			p := &packs[i]
			if p.seq != seq {
				break
			}
			if err := b.addMoves(ctx, p); err != nil {
				return nil, err
			}
			b.open.Moves.Part = p.part
			if b.full() {
				if b, err = r.flush(ctx, b); err != nil {
					return nil, err
				}
			}
		}
		if len(packs) == 0 || packs[len(packs)-1].seq != seq {
			break
		}
	}
	b.movesDone()
	return b, nil
}

func (r *reader) packs(ctx context.Context, seq, part int64) ([]pack, error) {
	s1, s2 := r.p.Snapshot, r.p.Open.Snapshot
	rows, err := r.db.Query(ctx, pageSQL, seq, part, strconv.FormatUint(s1.xmax, 10), xidArray(s1.ended(s2)), s2.String(),
		r.limits.pagePacks, 4*r.options.MaxRecordBytes+2<<20, r.limits.pageBytes)
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	packs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (pack, error) {
		var p pack
		err := row.Scan(&p.seq, &p.part, &p.txid, &p.op, &p.depth, &p.called, &p.shape, &p.at, &p.first, &p.rows, &p.total,
			&p.application, &p.login, &p.client, &p.tag, &p.before, &p.after, &p.size)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	return packs, nil
}

// xidArray is PostgreSQL's text of an array.
func xidArray(xids []uint64) string {
	text := make([]string, len(xids))
	for i, x := range xids {
		text[i] = strconv.FormatUint(x, 10)
	}
	return "{" + strings.Join(text, ",") + "}"
}
