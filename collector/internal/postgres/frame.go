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

// wholeStatement is the part behind all of a statement.
const wholeStatement = 1<<63 - 1

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
	Place int64  `json:"place,omitempty"`
	Seq   int64  `json:"seq"`
	At    string `json:"at,omitempty"` // its transaction; "" is behind all of that number
	Part  int64  `json:"part"`
	// Told is how many rows of the pack behind it were told.
	Told int64 `json:"told,omitempty"`
	// Moves are the deletes of the statement that the frame is at.
	Moves *moves `json:"moves,omitempty"`
}

// statement is one: no two of a transaction have the same number.
type statement struct {
	seq int64
	xid string
}

// compare is the order of the outbox; ids of transactions are decimal numbers.
func (s statement) compare(other statement) int {
	return cmp.Or(cmp.Compare(s.seq, other.seq), cmp.Compare(len(s.xid), len(other.xid)), cmp.Compare(s.xid, other.xid))
}

func (p *pack) statement() statement { return statement{p.seq, p.txid} }

// behindOf is the statement that the pack was read behind.
func (p *pack) behindOf() statement { return statement{p.parent, p.txid} }

// of is the statement that the frame's packs are behind; top and unclaimed are none's.
func (f *frame) of() statement {
	if f.Behind == top || f.Behind == unclaimed {
		return statement{seq: f.Behind}
	}
	return statement{f.Parent, f.XID}
}

// passed says that a pack was told whole.
func (f *frame) passed(p *pack) {
	f.Place, f.Seq, f.At, f.Part, f.Told = p.place, p.seq, p.txid, p.part, 0
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
	Seq  int64  `json:"seq"`
	XID  string `json:"xid"`
	Part int64  `json:"part"` // the last pack that was looked at
	Done bool   `json:"done"`
}

// are tells whether they are those of the pack's statement.
func (m *moves) are(p *pack) bool { return m != nil && m.Seq == p.seq && m.XID == p.txid }

// shelf holds packs that were read and not yet told, by the statement that they are behind.
type shelf struct {
	packs map[statement][]pack
	last  map[statement]bool // nothing is behind these
}

// buffered is how many frames of a path keep their packs: of the others they are read again.
const buffered = 4

// next is the next pack of a path's frame i; nil where there is none.
func (r *reader) next(ctx context.Context, path []frame, i int) (*pack, error) {
	f := &path[i]
	if len(r.shelf.packs[f.of()]) == 0 && !r.shelf.last[f.of()] {
		packs, last, err := r.load(ctx, f)
		if err != nil {
			return nil, err
		}
		r.shelf.packs[f.of()], r.shelf.last[f.of()] = packs, last
		if err := r.prefetch(ctx, path, packs); err != nil {
			return nil, err
		}
		for _, outer := range path[:max(0, len(path)-buffered)] {
			r.shelf.drop(outer.of())
		}
	}
	if packs := r.shelf.packs[f.of()]; len(packs) > 0 {
		return &packs[0], nil
	}
	return nil, nil
}

// prefetch reads what is behind the statements of a page, as far as it fits into one: most have little behind them.
func (r *reader) prefetch(ctx context.Context, path []frame, page []pack) error {
	var wanted []*pack
	for i := range page {
		p := &page[i]
		begun := slices.ContainsFunc(path, func(f frame) bool { return f.of() == p.statement() })
		if p.number() != 0 && !begun && !r.shelf.holds(p.statement()) {
			wanted = append(wanted, p)
		}
	}
	slices.SortFunc(wanted, func(a, b *pack) int { return a.statement().compare(b.statement()) }) // as they are read
	wanted = slices.CompactFunc(wanted, func(a, b *pack) bool { return a.statement() == b.statement() })
	if len(wanted) < 2 {
		return nil // it is read when it is its turn
	}
	numbers, floors, parents, xids := make([]int64, len(wanted)), make([]int64, len(wanted)), make([]int64, len(wanted)), make([]string, len(wanted))
	for i, p := range wanted {
		numbers[i], xids[i], floors[i], parents[i] = p.number(), p.txid, p.floor, p.seq
	}
	packs, last, err := r.collect(ctx, r.queries.behind, numbers, xids, floors, parents, 0, 0, 0, r.limits.pagePacks, r.options.MaxRecordBytes, r.limits.pageBytes)
	if err != nil {
		return err
	}
	for _, p := range wanted {
		end := slices.IndexFunc(packs, func(other pack) bool { return other.behindOf() != p.statement() })
		if end < 0 {
			end = len(packs)
		}
		if !last && end == len(packs) { // there may be more of it, and of those behind it
			break
		}
		r.shelf.packs[p.statement()], r.shelf.last[p.statement()] = packs[:end:end], true
		packs = packs[end:]
	}
	return nil
}

// take removes the first pack of a frame, which was told.
func (s *shelf) take(at statement) {
	packs := s.packs[at]
	packs[0].before, packs[0].after, packs[0].olds, packs[0].news = nil, nil, nil, nil
	s.packs[at] = packs[1:]
}

func (s *shelf) holds(at statement) bool {
	_, there := s.packs[at]
	return there
}

func (s *shelf) drop(at statement) {
	delete(s.packs, at)
	delete(s.last, at)
}
