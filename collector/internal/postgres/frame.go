package postgres

import (
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
type frame struct {
	Behind int64 `json:"behind,omitempty"` // the statement's number, top or unclaimed
	// The last pack that was told.
	Place int64 `json:"place,omitempty"`
	Seq   int64 `json:"seq"`
	Part  int64 `json:"part"`
	// Told is how many rows of the pack behind it were told.
	Told int64 `json:"told,omitempty"`
	// Moves are the deletes of the statement that the frame is at.
	Moves *moves `json:"moves,omitempty"`
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

// shelf holds packs that were read and not yet told, by the frame that they are of.
type shelf struct {
	packs map[int64][]pack
	last  map[int64]bool // nothing is behind these
}

// buffered is how many frames of a path keep their packs: of the others they are read again.
const buffered = 4

// next is the next pack of a path's frame i; nil where there is none.
func (r *reader) next(ctx context.Context, path []frame, i int) (*pack, error) {
	f := &path[i]
	if len(r.shelf.packs[f.Behind]) == 0 && !r.shelf.last[f.Behind] {
		packs, last, err := r.load(ctx, f)
		if err != nil {
			return nil, err
		}
		r.shelf.packs[f.Behind], r.shelf.last[f.Behind] = packs, last
		if err := r.prefetch(ctx, path, packs); err != nil {
			return nil, err
		}
		for _, outer := range path[:max(0, len(path)-buffered)] {
			r.shelf.drop(outer.Behind)
		}
	}
	if packs := r.shelf.packs[f.Behind]; len(packs) > 0 {
		return &packs[0], nil
	}
	return nil, nil
}

// prefetch reads what is behind the statements of a page, as far as it fits into one: most have little behind them.
func (r *reader) prefetch(ctx context.Context, path []frame, page []pack) error {
	var numbers []int64
	for i := range page {
		n := page[i].number()
		begun := slices.ContainsFunc(path, func(f frame) bool { return f.Behind == n })
		if n != 0 && !begun && !r.shelf.holds(n) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	if numbers = slices.Compact(numbers); len(numbers) < 2 {
		return nil // it is read when it is its turn
	}
	rows, err := r.db.Query(ctx, r.queries.behind, numbers, 0, 0, 0, r.limits.pagePacks, r.options.MaxRecordBytes, r.limits.pageBytes)
	if err != nil {
		return err
	}
	packs, last, err := r.collect(rows)
	if err != nil {
		return err
	}
	var most int64 // the last statement of which there may be more
	if n := len(packs); n > 0 && !last {
		most = packs[n-1].behind
	}
	for _, n := range numbers {
		if most != 0 && n >= most {
			break
		}
		end := slices.IndexFunc(packs, func(p pack) bool { return p.behind != n })
		if end < 0 {
			end = len(packs)
		}
		r.shelf.packs[n], r.shelf.last[n] = packs[:end:end], true
		packs = packs[end:]
	}
	return nil
}

// take removes the first pack of a frame, which was told.
func (s *shelf) take(behind int64) {
	packs := s.packs[behind]
	packs[0].before, packs[0].after, packs[0].olds, packs[0].news = nil, nil, nil, nil
	s.packs[behind] = packs[1:]
}

func (s *shelf) holds(behind int64) bool {
	_, there := s.packs[behind]
	return there
}

func (s *shelf) drop(behind int64) {
	delete(s.packs, behind)
	delete(s.last, behind)
}
