package postgres

import (
	"cmp"
	"context"
	"slices"
)

// Kinds of frames, in the place of a statement's number.
const (
	top       int64 = 0  // statements that are behind none
	unclaimed int64 = -1 // statements behind one that isn't there
)

// frame is a place in the order of a tick: the packs behind one statement, and how far they were told. A path of frames
// leads from the top to where reading is; the frame behind another is of the statement that the other one is at.
//
// Numbers come from a setting of the writer's session, which may have any value: so what is behind a statement is of the same
// transaction, was written before the statement's own packs, and, of several statements with one number, is behind the next. That way
// each pack is behind one statement at most, and none behind itself.
type frame struct {
	Behind int64  `json:"behind,omitempty"` // the statement's number, top or unclaimed
	XID    string `json:"xid,omitempty"`    // its transaction,
	Parent int64  `json:"parent,omitempty"` // the seq of its packs, and
	Floor  int64  `json:"floor,omitempty"`  // that of what is behind it at least
	// The last pack that was told.
	Place int64 `json:"place,omitempty"`
	Seq   int64 `json:"seq"`
	Part  int64 `json:"part"`
	// Told is how many rows of the pack behind it were told.
	Told int64 `json:"told,omitempty"`
	// Moves are the deletes of the statement that the frame is at.
	Moves *moves `json:"moves,omitempty"`
}

// shelf is where its packs are kept.
func (f *frame) shelf() int64 {
	if f.Behind == top || f.Behind == unclaimed {
		return f.Behind
	}
	return f.Parent
}

// passed says that a pack was told whole.
func (f *frame) passed(p *pack) {
	f.Place, f.Seq, f.Part, f.Told = p.place, p.seq, p.part, 0
	if p.part+p.rows >= p.total {
		f.Moves = nil
	}
}

func clonePath(path []frame) []frame {
	path = slices.Clone(path)
	for i := range path {
		if path[i].Moves != nil {
			moves := *path[i].Moves
			path[i].Moves = &moves
		}
	}
	return path
}

// moves is how far the deletes of the rows whose key a statement changed were made: all of them come before its first
// insert.
type moves struct {
	Seq  int64 `json:"seq"`
	Part int64 `json:"part"` // the last pack that was looked at
	Done bool  `json:"done"`
}

// shelf holds packs that were read and not yet told, by the shelf of their frame.
type shelf struct {
	packs map[int64][]pack
	last  map[int64]bool // nothing is behind these
}

// buffered is how many frames of a path keep their packs: of the others they are read again.
const buffered = 4

// next is the next pack of a path's frame i; nil where there is none.
func (r *reader) next(ctx context.Context, path []frame, i int) (*pack, error) {
	f := &path[i]
	if len(r.shelf.packs[f.shelf()]) == 0 && !r.shelf.last[f.shelf()] {
		packs, last, err := r.load(ctx, f)
		if err != nil {
			return nil, err
		}
		r.shelf.packs[f.shelf()], r.shelf.last[f.shelf()] = packs, last
		if err := r.prefetch(ctx, path, packs); err != nil {
			return nil, err
		}
		for _, outer := range path[:max(0, len(path)-buffered)] {
			r.shelf.drop(outer.shelf())
		}
	}
	if packs := r.shelf.packs[f.shelf()]; len(packs) > 0 {
		return &packs[0], nil
	}
	return nil, nil
}

// prefetch reads what is behind the statements of a page, as far as it fits into one: most have little behind them.
func (r *reader) prefetch(ctx context.Context, path []frame, page []pack) error {
	var wanted []*pack
	for i := range page {
		p := &page[i]
		begun := slices.ContainsFunc(path, func(f frame) bool { return f.Parent == p.seq })
		if p.number() != 0 && !begun && !r.shelf.holds(p.seq) {
			wanted = append(wanted, p)
		}
	}
	slices.SortFunc(wanted, func(a, b *pack) int { return cmp.Compare(a.seq, b.seq) }) // as they are read
	wanted = slices.CompactFunc(wanted, func(a, b *pack) bool { return a.seq == b.seq })
	if len(wanted) < 2 {
		return nil // it is read when it is its turn
	}
	numbers, floors, parents, xids := make([]int64, len(wanted)), make([]int64, len(wanted)), make([]int64, len(wanted)), make([]string, len(wanted))
	for i, p := range wanted {
		numbers[i], xids[i], floors[i], parents[i] = p.number(), p.txid, p.floor, p.seq
	}
	rows, err := r.db.Query(ctx, r.queries.behind, numbers, xids, floors, parents, 0, 0, 0, r.limits.pagePacks, r.options.MaxRecordBytes, r.limits.pageBytes)
	if err != nil {
		return err
	}
	packs, last, err := r.collect(rows)
	if err != nil {
		return err
	}
	var most int64 // the last statement of which there may be more
	if n := len(packs); n > 0 && !last {
		most = packs[n-1].parent
	}
	for _, n := range parents {
		if most != 0 && n >= most {
			break
		}
		end := slices.IndexFunc(packs, func(p pack) bool { return p.parent != n })
		if end < 0 {
			end = len(packs)
		}
		r.shelf.packs[n], r.shelf.last[n] = packs[:end:end], true
		packs = packs[end:]
	}
	return nil
}

// take removes the first pack of a frame, which was told.
func (s *shelf) take(at int64) {
	packs := s.packs[at]
	packs[0].before, packs[0].after, packs[0].olds, packs[0].news = nil, nil, nil, nil
	s.packs[at] = packs[1:]
}

func (s *shelf) holds(at int64) bool {
	_, there := s.packs[at]
	return there
}

func (s *shelf) drop(at int64) {
	delete(s.packs, at)
	delete(s.last, at)
}
