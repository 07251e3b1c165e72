package wal

import (
	"context"
	"strings"

	"github.com/jackc/pglogrepl"

	"datawatch/pkg/reason"
)

// undoneError: the server's history isn't the one that was read, though it is as long and has the same name.
type undoneError struct {
	// common: what committed before it was read from this history, too. 0 where that isn't known.
	common pglogrepl.LSN
}

func (e *undoneError) Error() string { return "the server doesn't have what was read" }

// proof compares what the server sends first with what was read: a copy of its files that has been written to since has
// other transactions in the same place. The slot, which is in the copy, is behind what was read then, so that the server
// sends it again. Until it is done nothing is told, and nothing is confirmed.
type proof struct {
	last    doneTx
	awaited bool // last has to come
	open    *openTx
	until   pglogrepl.LSN // what was read: but for last, nothing that is captured commits before it
}

// newProof is what has to be seen of a server whose slot is at a place; nil where nothing has to. An earlier program noted
// nothing.
func newProof(p *progress, slot pglogrepl.LSN) *proof {
	if p.Last.LSN == 0 || p.Open == nil && slot >= p.LSN {
		return nil
	}
	return &proof{last: p.Last, awaited: p.Last.XID != 0 && slot <= p.Last.LSN, open: p.Open, until: p.LSN}
}

// from is where the server is to begin.
func (p *progress) from() pglogrepl.LSN {
	if p.Last.LSN == 0 {
		return p.LSN
	}
	return p.Last.LSN
}

func (p *proof) undone() error {
	switch {
	case p.awaited:
		return &undoneError{}
	case p.last.XID == 0:
		return &undoneError{p.last.LSN}
	default:
		return &undoneError{p.last.LSN + 1}
	}
}

// begins looks at the beginning of a transaction; done tells that the proof is.
func (p *proof) begins(m *pglogrepl.BeginMessage) (done bool, err error) {
	switch {
	case p.awaited && !p.last.is(m):
		return false, p.undone()
	case m.FinalLSN < p.until:
		p.awaited = false
		return false, nil
	case p.open != nil && (p.open.LSN != m.FinalLSN || p.open.XID != m.Xid):
		return false, p.undone()
	default:
		return true, nil
	}
}

// changed looks at what tells of a change.
func (r *reader) changed(kind byte) error {
	if r.proof == nil || r.tx == nil || !strings.ContainsRune("IUDT", rune(kind)) {
		return nil
	}
	return r.proof.changes(r.tx.lsn)
}

// changes looks at a change of the transaction that commits at a place.
func (p *proof) changes(commit pglogrepl.LSN) error {
	if commit < p.until && (commit != p.last.LSN || p.last.XID == 0) {
		return p.undone()
	}
	return nil
}

// reaches looks at a place up to which the server has sent all.
func (p *proof) reaches(lsn pglogrepl.LSN) (done bool, err error) {
	if p.awaited && lsn > p.last.LSN || p.open != nil && lsn > p.open.LSN {
		return false, p.undone()
	}
	return p.open == nil && lsn >= p.until, nil
}

// proven takes what a look at the stream gave.
func (r *reader) proven(done bool, err error) error {
	if done && err == nil {
		r.proof = nil
		r.stream.confirm(r.p.LSN)
	}
	return err
}

// beginStream has the server send what follows the progress, and before it what proves that it has what was read.
func (r *reader) beginStream(ctx context.Context, about *server) error {
	if err := r.stream.start(ctx, r.names, r.p.from(), about.tellsMessages()); err != nil {
		return err
	}
	slot, err := askSlot(ctx, r.catalog.db, r.names.slot, about.version) // which nobody else moves now
	if err != nil {
		return err
	}
	if slot == nil {
		return reason.New(reason.SlotDroppedNow.With(r.names.slot))
	}
	if slot.confirmed > r.p.LSN { // by a session that held it until now
		return reason.New(reason.SlotMovedNow.With(r.names.slot))
	}
	if r.proof = newProof(&r.p, slot.confirmed); r.proof != nil {
		r.stream.startsAt(slot.confirmed)
	} else {
		r.stream.startsAt(r.p.LSN)
	}
	return nil
}
