package postgres

import "slices"

// window holds packs back for as long as one of them may have to go behind a later one: a statement of a trigger is
// captured before the statement that fired it, though it may have changed a row after that.
//
// A transaction has its rows locked until it ends, so that nothing of another transaction between the two is about these
// rows: moving a pack back to the statement that fired it is safe.
type window struct {
	packs   []*pack
	rows    int64
	bytes   int64
	waiting map[string]*wait // by transaction
	seq     int64            // the statement that the last pack is of
	found   int64            // its rows so far
}

// wait is for the statement that fired a transaction's latest triggers, and for the other captures of the same call.
type wait struct {
	since    int // the first pack, in the window
	answered bool
	outer    []*statement // by one pack each
}

// last is where reading goes on.
func (w *window) last() *pack {
	if len(w.packs) == 0 {
		return nil
	}
	return w.packs[len(w.packs)-1]
}

// add holds a pack.
func (w *window) add(p *pack) {
	if p.seq != w.seq {
		w.seq, w.found = p.seq, 0
	}
	w.found += p.rows
	w.packs = append(w.packs, p)
	w.rows += p.rows
	w.bytes += p.size
	if w.waiting == nil {
		w.waiting = map[string]*wait{}
	}
	switch {
	case p.depth > 1:
		if waits := w.waiting[p.txid]; waits == nil || waits.answered {
			w.waiting[p.txid] = &wait{since: len(w.packs) - 1}
		}
	case w.found >= p.total:
		w.answer(p)
	}
}

// answer ends the wait of a transaction when a statement came that can't be of the same call.
func (w *window) answer(p *pack) {
	waits := w.waiting[p.txid]
	switch {
	case waits == nil:
	case !waits.answered || sameCall(waits.outer, &statement{packs: []*pack{p}}):
		waits.answered = true
		waits.outer = append(waits.outer, &statement{packs: []*pack{p}})
	default:
		delete(w.waiting, p.txid)
	}
}

// unanswered tells whether a statement didn't come whose triggers' statements did.
func (w *window) unanswered() bool {
	for _, waits := range w.waiting {
		if !waits.answered {
			return true
		}
	}
	return false
}

// take empties the window: the packs of whole statements, and those of a last one that isn't here to its end.
func (w *window) take() (packs, begun []*pack) {
	packs = w.packs
	if last := w.last(); last != nil && w.found < last.total {
		i := slices.IndexFunc(packs, func(p *pack) bool { return p.seq == last.seq })
		packs, begun = packs[:i], packs[i:]
	}
	*w = window{}
	return packs, begun
}

// cut gives up waiting for what began in the older half: statements of deferred triggers, which nothing follows, and very
// long ones. It leaves in the window what waits since then, and gives what was before it.
func (w *window) cut() (packs, begun []*pack) {
	rows, bytes, at := w.rows, w.bytes, len(w.packs)
	for i, p := range w.packs {
		waits := w.waiting[p.txid]
		if waits != nil && waits.since == i && i > 0 && rows <= w.rows/2 && bytes <= w.bytes/2 {
			at = i
			break
		}
		rows -= p.rows
		bytes -= p.size
	}
	if at == len(w.packs) {
		return w.take()
	}
	packs, kept := w.packs[:at], w.packs[at:]
	*w = window{}
	for _, p := range kept {
		w.add(p)
	}
	return packs, nil
}
