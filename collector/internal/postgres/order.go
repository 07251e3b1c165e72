package postgres

import (
	"bytes"
	"context"
	"slices"
	"time"

	"datawatch/pkg/event"
)

// statement is the packs of one statement.
type statement struct {
	packs  []*pack
	home   *statement   // behind which it goes, nil for its own place
	behind []*statement // those whose home it is
}

// whole tells whether all of the statement's packs are here, with their rows.
func (s *statement) whole() bool {
	var rows int64
	for _, p := range s.packs {
		if p.held() {
			return false
		}
		rows += p.rows
	}
	return rows == s.packs[0].total
}

// merged is the statement as one pack.
func (s *statement) merged() *pack {
	p := *s.packs[0]
	for _, next := range s.packs[1:] {
		p.rows += next.rows
		p.size += next.size
		p.before = appendRows(p.before, next.before)
		p.after = appendRows(p.after, next.after)
	}
	return &p
}

// appendRows joins two arrays of rows.
func appendRows(a, b []byte) []byte {
	if len(a) < 2 || len(b) < 2 {
		return append(a, b...)
	}
	return append(append(a[:len(a)-1:len(a)-1], ','), b[1:]...)
}

// arrange gives packs in the order in which their changes took effect; moved is false where that is the order of the
// sequence. What the images don't decide stays in the sequence's order.
func (r *reader) arrange(ctx context.Context, packs []*pack) (ordered []*pack, moved bool, err error) {
	var statements []*statement
	transactions := map[string][]*statement{}
	for i, p := range packs {
		if i > 0 && packs[i-1].seq == p.seq {
			last := statements[len(statements)-1]
			last.packs = append(last.packs, p)
			continue
		}
		s := &statement{packs: []*pack{p}}
		statements = append(statements, s)
		transactions[p.txid] = append(transactions[p.txid], s)
	}
	for _, own := range transactions {
		one, err := r.arrangeTransaction(ctx, own)
		if err != nil {
			return nil, false, err
		}
		moved = moved || one
	}
	// A statement of several packs has to be whole where the order isn't the sequence's: progress can't name a place in it.
	divided := func(s *statement) bool { return len(s.packs) > 1 && !s.whole() }
	if moved && slices.ContainsFunc(statements, divided) {
		r.undecided(packs[0])
		moved = false
	}
	if !moved {
		return packs, false, nil
	}
	next := map[string]int64{}
	for txid, own := range transactions {
		next[txid] = own[0].packs[0].first
	}
	add := func(s *statement) {
		p := s.merged()
		p.first = next[p.txid] // the index in the transaction follows the order
		next[p.txid] += p.rows
		ordered = append(ordered, p)
	}
	for _, s := range statements {
		if s.home != nil {
			continue
		}
		add(s)
		for _, b := range s.behind {
			add(b)
		}
	}
	return ordered, true, nil
}

// arrangeTransaction finds what goes behind what in one transaction. Statements come in the order of the sequence: those
// of triggers before the one that fired them.
func (r *reader) arrangeTransaction(ctx context.Context, statements []*statement) (moved bool, err error) {
	type tree struct {
		depth      int16
		called     time.Time
		statements []*statement
	}
	var open []tree
	for i := 0; i < len(statements); {
		outer := statements[i : i+1]
		head := outer[0].packs[0]
		first := len(open)
		for first > 0 && open[first-1].depth > head.depth && open[first-1].called.Equal(head.called) {
			first--
		}
		var inner []*statement
		for _, t := range open[first:] {
			inner = append(inner, t.statements...)
		}
		at := len(inner)
		if at > 0 {
			if outer, at, err = r.placeTogether(ctx, statements[i:], inner); err != nil {
				return false, err
			}
		}
		i += len(outer)
		if at < len(inner) {
			moved = true
			moveBehind(outer[len(outer)-1], inner, at)
		}
		open = append(open[:first], tree{head.depth, head.called, slices.Insert(inner, at, outer...)})
	}
	return moved, nil
}

// placeTogether places the captures of one statement among those of its triggers. A statement with several targets, as MERGE,
// an upsert and a WITH that writes, is captured once for each, one right after the other. Where they don't fit in one place,
// the first is placed alone.
func (r *reader) placeTogether(ctx context.Context, following, inner []*statement) (outer []*statement, at int, err error) {
	n := 1
	for n < len(following) && sameCall(following[:n], following[n]) {
		n++
	}
	for ; n > 0; n = min(n-1, 1) {
		at, ok, err := r.place(ctx, following[:n], inner)
		if err != nil || ok {
			return following[:n], at, err
		}
	}
	r.undecided(following[0].packs[0])
	return following[:1], len(inner), nil
}

// sameCall tells whether a statement may be of the same call as those before it: of another table or another kind.
func sameCall(statements []*statement, next *statement) bool {
	p := next.packs[0]
	return !slices.ContainsFunc(statements, func(s *statement) bool {
		o := s.packs[0]
		return o.depth != p.depth || !o.called.Equal(p.called) || o.shape == p.shape && o.op == p.op
	})
}

func moveBehind(outer *statement, inner []*statement, at int) {
	for _, s := range inner[at:] {
		s.home = outer
	}
	for _, s := range inner {
		s.behind = slices.DeleteFunc(s.behind, func(b *statement) bool { return b.home != s })
	}
	outer.behind = slices.Clone(inner[at:])
}

// place is how many of the inner statements took effect before the outer ones, which are one call. Of each row that both
// changed, the images are links of one chain, which tells where the outer one's link is. Where several places fit, the
// first does: what a BEFORE trigger changed, its statement can hardly change. It tells false where none fits.
func (r *reader) place(ctx context.Context, outer, inner []*statement) (at int, ok bool, err error) {
	all := len(inner)
	streams := map[event.Stream]bool{}
	for _, s := range inner {
		shape, err := r.shapes.of(ctx, s.packs[0])
		if err != nil {
			return 0, false, err
		}
		streams[shape.stream] = true
	}
	own, known := map[string]image{}, true
	for _, s := range outer {
		shape, err := r.shapes.of(ctx, s.packs[0])
		if err != nil {
			return 0, false, err
		}
		if !streams[shape.stream] {
			continue
		}
		images, whole, err := r.images(ctx, s)
		if err != nil {
			return 0, false, err
		}
		known = known && whole
		for key, image := range images {
			if _, twice := own[key]; twice {
				return 0, false, nil
			}
			own[key] = image
		}
	}
	if !known {
		return 0, false, nil
	}
	if len(own) == 0 {
		return all, true, nil
	}
	chains := map[string][]link{}
	for i, s := range inner {
		images, known, err := r.images(ctx, s)
		if err != nil || !known {
			return 0, false, err
		}
		for key, image := range images {
			if _, both := own[key]; both {
				chains[key] = append(chains[key], link{i, image})
			}
		}
	}
	if len(chains) == 0 {
		return all, true, nil
	}
	fits := make([]int, all+2) // how many rows' chains allow a place, as differences
	for key, chain := range chains {
		allow(fits, chain, own[key], all)
	}
	count := 0
	for i := range all + 1 {
		if count += fits[i]; count == len(chains) {
			return i, true, nil
		}
	}
	return 0, false, nil
}

// image is a row before and after a statement; nil where it wasn't there.
type image struct {
	before, after []byte
	shape         *shape
}

// link is the image of a row at the inner statement at.
type link struct {
	at int
	image
}

// allow counts the places at which the outer image fits between the links of a row's chain.
func allow(fits []int, chain []link, outer image, all int) {
	for j := range len(chain) + 1 {
		low, high := 0, all
		if j > 0 {
			if !sameRow(chain[j-1].after, outer.before, chain[j-1].shape == outer.shape) {
				continue
			}
			low = chain[j-1].at + 1
		}
		if j < len(chain) {
			if !sameRow(outer.after, chain[j].before, chain[j].shape == outer.shape) {
				continue
			}
			high = chain[j].at
		}
		fits[low]++
		fits[high+1]--
	}
}

// sameRow compares rows; those of a partition may have their members in another order.
func sameRow(a, b []byte, alike bool) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	if bytes.Equal(a, b) || alike {
		return bytes.Equal(a, b)
	}
	x, err := event.Canonical(a)
	if err != nil {
		return false
	}
	y, err := event.Canonical(b)
	return err == nil && bytes.Equal(x, y)
}

// images are the rows that a statement changed, by stream and key; not known where its packs can't be read.
func (r *reader) images(ctx context.Context, s *statement) (images map[string]image, known bool, err error) {
	images = map[string]image{}
	if !s.whole() {
		return nil, false, nil
	}
	for _, p := range s.packs {
		if p.op == packTruncate || p.op == packGap || p.op == packNew {
			continue // of no row
		}
		shape, err := r.shapes.of(ctx, p)
		if err != nil {
			return nil, false, err
		}
		changes, err := changesOf(p, shape)
		if err != nil {
			return nil, false, nil //nolint:nilerr // who makes the events says so
		}
		for _, c := range changes {
			if c.key == nil {
				continue
			}
			key := string(event.RecordKey(shape.stream, c.key))
			image := images[key]
			image.shape = shape
			if c.before != nil && !c.movedFrom {
				image.before = c.before
			}
			if c.after != nil && !c.movedTo {
				image.after = c.after
			}
			images[key] = image
		}
	}
	return images, true, nil
}

// undecided counts what stays in the order of the sequence without being known to be right.
func (r *reader) undecided(p *pack) {
	r.metrics.undecided.Inc()
	r.log.Info("changes of one row by a statement and by its triggers may be told in the order in which the statements ended", "transaction", p.txid)
}
