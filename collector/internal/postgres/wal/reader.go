package wal

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"golang.org/x/sync/errgroup"

	"datawatch/collector/internal/postgres"
	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// limits bound what is held and committed at a time.
type limits struct {
	// A batch is committed when it has this much, else at the end of a transaction as soon as the broker has time. What one
	// message of the WAL gives is never divided.
	batchEvents int
	batchBytes  int
	// heartbeat is how often progress without events is committed, so that the slot moves on where nothing is captured.
	heartbeat time.Duration
	// chunkRows is what a snapshot reads at a time; 0 is what capture by triggers does.
	chunkRows int
	// unseen is how long a transaction is waited for that is read, and that nobody sees yet.
	unseen time.Duration
	// quiet is how long the server may send nothing of what it has until the log has a line of it.
	quiet time.Duration
}

var defaultLimits = limits{batchEvents: 3000, batchBytes: 3 << 20, heartbeat: 10 * time.Second, unseen: 10 * time.Second, quiet: time.Minute}

// reader turns the stream into batches and commits them. One goroutine reads ahead by a batch while another one waits for
// the broker.
type reader struct {
	*Source
	catalog   *catalog
	server    server // as it was before this run published anything
	stream    *stream
	emit      source.Emit
	near      *nearXID
	looks     chan *look
	out       chan *batch
	proof     *proof   // nil where none is due
	p         progress // behind all that was read
	known     knownTables
	rows      memberships
	counted   counted
	keys      streamKeys
	relations map[uint32]*relation
	named     map[uint32]*pglogrepl.RelationMessage // tables that the stream told of, and nothing was asked about yet
	types     string                                // as in the last look that was compared
	there     knownTables                           // tables that the last look saw
	strays    map[uint32]bool                       // that were told
	inAdvance pglogrepl.LSN                         // known is what there was at this place
	early     map[uint32]uint64                     // tables that the stream told to be others than they were known, by the transactions that did
	lost      map[uint32]bool                       // of these, those that nobody knows the name of
	brought   knownTables                           // and those whose rows from before are told to be missing, since the last look
	kept      map[uint32]bool                       // partitions of which the stream told, and whether they were of the tree that they are known in
	pending   map[uint32]unseen                     // relations of which rows are to be read yet
	absent    absences

	walker    *postgres.Walker
	snapshots *backfill.Tracker
	chunk     *chunk   // nil where none waits
	unseen    int      // how often in a row a chunk was read in vain
	recent    []uint64 // transactions that were told, or may have been, and that no look has seen yet

	tx      *transaction
	row     rowMessage
	written []byte // the last event's value; its memory is the next one's
	batch   *batch
	usual   int           // how many events the last batch had: the next one has as many, mostly
	look    *look         // to be compared when reading has reached it
	later   *look         // and then this one
	ahead   pglogrepl.LSN // how far the WAL was on disk at the last look
	quiet   time.Time     // the first look since which nothing came though it was due; else zero
	warned  bool          // of that
	beaten  time.Time
	sent    pglogrepl.LSN // progress that was handed to the broker
}

// batch is what is committed together.
type batch struct {
	events []event.Raw
	bytes  int
	now    time.Time
	p      progress
	tables *tablesEntry    // where they changed
	also   source.Progress // of snapshots
	ended  error           // what ends the run once it is committed
}

// transaction is the one that is being read.
type transaction struct {
	lsn    pglogrepl.LSN // of its commit
	xid    string
	wide   uint64 // xid
	at     time.Time
	n      int64 // events so far
	change pglogrepl.LSN
	count  int // messages of the record at change
	done   bool
	resume *openTx // what of it is done already
	again  int     // messages of the record at resume.Change that came again
	tag    string
	unseen []uint32 // relations of which its rows are left out
}

func (b *batch) full(l limits) bool { return len(b.events) >= l.batchEvents || b.bytes >= l.batchBytes }

// run reads until ctx is done.
func (r *reader) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.stream.receive(ctx) })
	g.Go(func() error { return r.stream.report(ctx) })
	g.Go(func() error { return r.commitAll(ctx) })
	g.Go(func() error { return r.read(ctx) })
	return g.Wait()
}

// read takes in what the stream gives while there is room, and hands batches over when the broker has time.
func (r *reader) read(ctx context.Context) error {
	beat := time.NewTicker(r.limits.heartbeat)
	defer beat.Stop()
	step := time.NewTicker(stepEvery)
	defer step.Stop()
	for {
		in, out := r.stream.chunks, r.out
		if r.batch.full(r.limits) {
			in = nil
		}
		if !r.ready() {
			out = nil
		} else {
			r.seal()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case out <- r.batch:
			r.sent, r.beaten = r.batch.p.LSN, time.Now()
			r.usual, r.batch = len(r.batch.events), &batch{}
		case chunk := <-in:
			for i := range chunk {
				if err := r.take(ctx, &chunk[i]); err != nil {
					return err
				}
			}
		case now := <-r.looks:
			r.looked(now)
			r.behind(now)
			r.recent = slices.DeleteFunc(r.recent, now.sees)
			r.compare()
		case <-step.C:
			if r.proof != nil {
				continue
			}
			if err := r.step(ctx); err != nil {
				return err
			}
		case <-beat.C:
		}
	}
}

// ready tells whether there is something to commit: events up to the end of a transaction, as many as a batch takes, or
// progress that is due.
func (r *reader) ready() bool {
	switch {
	case r.proof != nil:
		return false
	case r.batch.full(r.limits):
		return true
	case r.tx != nil && !r.tx.done:
		return false
	case len(r.batch.events) > 0 || r.batch.tables != nil || r.batch.also != nil:
		return true
	default:
		return r.p.Open == nil && r.p.LSN > r.sent && time.Since(r.beaten) >= r.limits.heartbeat
	}
}

// seal gives the batch the progress that stands behind it.
func (r *reader) seal() {
	r.batch.p = r.p
	if r.tx != nil && !r.tx.done {
		r.batch.p.Open = &openTx{LSN: r.tx.lsn, N: r.tx.n, Change: r.tx.change, Count: r.tx.count, XID: uint32(r.tx.wide)}
	}
}

// commitAll commits batches, one at a time, and then lets the server forget what is in them.
func (r *reader) commitAll(ctx context.Context) error {
	for {
		var b *batch
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b = <-r.out:
		}
		if err := r.commit(ctx, b); err != nil {
			return err
		}
		r.stream.confirm(b.p.LSN)
		if b.ended != nil {
			return b.ended
		}
	}
}

func (s *Source) commitWith(ctx context.Context, emit source.Emit, b *batch) error {
	state, err := b.p.source(b.tables)
	if err != nil {
		return err
	}
	maps.Copy(state, b.also)
	if err := emit(ctx, source.Batch{Events: b.events, Progress: state}); err != nil {
		return fmt.Errorf("commit events: %w", err)
	}
	return nil
}

func (r *reader) commit(ctx context.Context, b *batch) error {
	if err := r.commitWith(ctx, r.emit, b); err != nil {
		return err
	}
	if n := len(b.events); n > 0 {
		r.reporter.Lag(max(0, time.Since(b.events[n-1].Time).Seconds()))
	}
	return nil
}

// behind tells the lag where no commit does: of a server that doesn't send what it had on disk at the look before, since the place that
// was read.
func (r *reader) behind(now *look) {
	switch {
	case r.batch.full(r.limits): // whoever commits it tells it
	case r.p.LSN < r.ahead:
		at := r.p.At
		if r.tx != nil && r.tx.at.After(at) {
			at = r.tx.at
		}
		r.reporter.Lag(max(0, now.at.Sub(at).Seconds()))
		if r.quiet.IsZero() {
			r.quiet, r.warned = now.at, false
		}
		if now.at.Sub(r.quiet) >= r.limits.quiet && !r.warned {
			r.warned = true
			r.log.Warn("the server has WAL for us and sends none of it", "since", r.quiet, "read_to", r.p.LSN, "written_to", r.ahead,
				"remedy", fmt.Sprintf("see what process %d of the server waits for, in pg_stat_activity: a standby of synchronized_standby_slots that is away holds it, too", r.stream.conn.PID()))
		}
	case len(r.batch.events) == 0:
		r.reporter.Lag(0)
	}
	r.ahead = max(r.ahead, now.written)
}

// take takes in one message.
func (r *reader) take(ctx context.Context, m *message) error {
	switch {
	case m.ended != nil:
		return r.pass(m.ended)
	case m.alive:
		return r.alive(m)
	}
	r.quiet = time.Time{}
	if err := r.changed(m.data[0]); err != nil {
		return err
	}
	switch m.data[0] {
	case 'I', 'U', 'D':
		if r.skips(m.lsn) {
			return nil
		}
		return r.takeRow(ctx, m)
	default:
		parsed, err := pglogrepl.Parse(m.data)
		if err != nil {
			return fmt.Errorf("%w: %w", errMessage, err)
		}
		return r.takeOther(ctx, m, parsed)
	}
}

func (r *reader) takeOther(ctx context.Context, m *message, parsed pglogrepl.Message) error {
	switch p := parsed.(type) {
	case *pglogrepl.BeginMessage:
		return r.begin(p)
	case *pglogrepl.CommitMessage:
		r.end(p)
	case *pglogrepl.RelationMessage:
		if r.named[p.RelationID] != nil {
			r.kept[p.RelationID] = false
		}
		r.named[p.RelationID] = p
		delete(r.relations, p.RelationID)
	case *pglogrepl.TruncateMessage:
		if !r.skips(m.lsn) {
			return r.takeTruncate(ctx, p)
		}
	case *pglogrepl.LogicalDecodingMessage:
		switch {
		case !p.Transactional || r.tx == nil:
		case p.Prefix == tagPrefix:
			r.tx.tag = strings.ToValidUTF8(string(p.Content), "")
		case p.Prefix == checkpointPrefix:
			r.beaten = time.Time{} // somebody waits for progress
		}
	}
	return nil
}

// tagPrefix is that of messages which tag what follows in their transaction:
// select pg_logical_emit_message(true, 'datawatch.tag', 'checkout-test').
const tagPrefix = "datawatch.tag"

// maxTag is how much of a tag is told: each change that follows has it, and anybody may write one of any size.
const maxTag = 1 << 10

func (r *reader) begin(m *pglogrepl.BeginMessage) error {
	if r.proof != nil {
		if err := r.proven(r.proof.begins(m)); err != nil {
			return err
		}
	}
	r.land(m.FinalLSN)
	xid := r.near.widen(m.Xid)
	r.tx = &transaction{lsn: m.FinalLSN, xid: strconv.FormatUint(xid, 10), wide: xid, at: m.CommitTime.UTC(), done: m.FinalLSN < r.p.LSN}
	r.recent = append(r.recent, xid)
	open := r.p.Open
	if r.tx.done || open == nil {
		return nil
	}
	r.p.Open = nil
	if open.LSN == m.FinalLSN {
		r.tx.n, r.tx.change, r.tx.count, r.tx.resume = open.N, open.Change, open.Count, open
	}
	return nil
}

func (r *reader) end(m *pglogrepl.CommitMessage) {
	if r.tx != nil && !r.tx.done {
		r.p.LSN, r.p.Told, r.p.At = m.TransactionEndLSN, 0, r.tx.at
		if r.tx.change != 0 {
			r.p.Last = doneTx{LSN: r.tx.lsn, XID: uint32(r.tx.wide), At: r.tx.at}
		}
		for _, id := range r.tx.unseen {
			delete(r.relations, id)
		}
	}
	r.tx = nil
	r.land(r.p.LSN)
	r.compare()
}

// pass goes on behind a transaction of which the server can't send a row, now and for ever, in the next run. Which row, and of which
// table, nobody tells.
func (r *reader) pass(ended *streamError) error {
	if r.tx == nil || r.tx.done || r.proof != nil {
		return ended
	}
	for _, stream := range r.streams() {
		r.gap(stream, event.Gap{From: r.tx.at, To: r.tx.at, Cause: causeUnreadable}.Advising(reason.DoRowUnreadable.With(ended)))
	}
	if r.chunk != nil {
		r.chunk.again = true
	}
	r.p.LSN, r.p.Told, r.p.At = r.tx.lsn+2, 0, r.tx.at // within the record of the commit, and behind the places of its events
	r.p.Last = doneTx{LSN: r.p.LSN}
	r.tx, r.batch.ended = nil, ended
	return nil
}

// alive moves on where the server has nothing for us up to a place.
func (r *reader) alive(m *message) error {
	if r.proof != nil {
		if err := r.proven(r.proof.reaches(m.lsn)); err != nil {
			return err
		}
	}
	if r.tx != nil || r.p.Open != nil || m.lsn <= r.p.LSN {
		return nil
	}
	r.p.LSN, r.p.Told, r.quiet = m.lsn, 0, time.Time{}
	if len(r.batch.events) == 0 && r.p.LSN >= r.ahead {
		r.reporter.Lag(0)
	}
	r.land(r.p.LSN)
	r.compare()
	return nil
}

// skips tells whether a change is done already, and else counts it. A record of the WAL may hold several.
func (r *reader) skips(lsn pglogrepl.LSN) bool {
	t := r.tx
	if t == nil || t.done {
		return true
	}
	if done := t.resume; done != nil {
		switch {
		case lsn < done.Change:
			return true
		case lsn == done.Change && t.again < done.Count:
			t.again++
			return true
		}
		t.resume = nil
	}
	if lsn != t.change {
		t.change, t.count = lsn, 0
	}
	t.count++
	return false
}
