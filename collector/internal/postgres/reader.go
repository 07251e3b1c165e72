package postgres

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/reason"
)

//go:embed sql/poll.sql
var pollSQL string

const (
	// Polling, from the beginning of one tick to that of the next: at once where a tick took longer, with growing pauses where
	// nothing comes.
	shortestPause = 20 * time.Millisecond
	longestPause  = 250 * time.Millisecond
	// markEvery bounds the transaction ids that marks use up.
	markEvery = 100 * time.Millisecond
	// gapEvery is how often a gap that goes on is told.
	gapEvery = time.Minute
)

// errRewound ends a run whose database was rewound under it; the next run begins a new epoch.
var errRewound = reason.New(reason.PostgresRewound.With())

// errRemade ends a run whose schema datawatch was made anew under it, which the open session doesn't notice; the next run begins a new epoch.
var errRemade = reason.New(reason.PostgresRemade.With())

const (
	// pollPatience is how long a poll is waited for, which takes a millisecond: where no answer comes, the session may hang.
	pollPatience = time.Minute
	// pagePatience is how long a page of packs is waited for, which takes some milliseconds, and more where the server is slow.
	pagePatience = 10 * time.Minute
)

// otherAlive is how long another datawatch counts as at work after the last that it told the database of.
const otherAlive = 2 * time.Minute

// errShared ends a run where another datawatch, whose progress isn't in this broker, began to read behind it.
var errShared = reason.New(reason.PostgresShared.With(int(otherAlive.Minutes())))

// errUpgraded ends a run whose outbox was upgraded under it; the next run reads what is new there.
var errUpgraded = reason.New(reason.PostgresUpgraded.With())

// reader reads the outbox, tick by tick, on a session of its own.
type reader struct {
	*Source
	db       *pgx.Conn
	emit     source.Emit
	shapes   *shapes
	database string
	version  int    // of what is installed
	meta     uint32 // the oid of datawatch.meta
	queries  *queries
	p        progress
	begun    Streams

	shelf shelf
	deep  string   // the transaction whose statements are too deep behind each other, which was told
	last  position // of the poll before
	// unflushed is where the WAL ends that the last poll saw; "" where the server's disk has it.
	unflushed string
	marked    time.Time
	gapTold   time.Time
	cleanAt   time.Time // when nothing was known to be missing
	missed    uncaptured
	lastRead  time.Time
	events    int64  // of the last tick
	usual     int    // how many events the last batch had: the next one has as many, mostly
	written   []byte // the last event's value; its memory is the next one's

	snapshots *backfill.Tracker
	chunk     *chunk // that ends the open tick; nil where none does
}

// position is where the database is.
type position struct {
	xid      uint64
	snapshot snapshot
	at       time.Time
	seq      int64
	failed   int64
	skipped  int64
}

func (s *Source) newReader(ctx context.Context, db *pgx.Conn, from *progress, begun Streams, emit source.Emit) (*reader, error) {
	standby, err := isHotStandby(ctx, db)
	if err != nil {
		return nil, err
	}
	if standby {
		return nil, ErrStandby
	}
	if err := tellsPlaces(ctx, db); err != nil {
		return nil, err
	}
	server, err := serverIdentity(ctx, db)
	if err != nil {
		return nil, err
	}
	w, err := readWhereabouts(ctx, db)
	if err != nil {
		return nil, err
	}
	if !sameServer(w.server, server) {
		if err := s.adopt(ctx, db, w.version, server); err != nil {
			return nil, err
		}
		dumped := w.toldAt
		if w, err = readWhereabouts(ctx, db); err != nil {
			return nil, err
		}
		w.dumped = dumped
	}
	r := &reader{Source: s, db: db, emit: emit, begun: Streams{}, database: w.database, version: w.version, meta: w.meta, queries: queriesOf(w.version)}
	if begun != nil {
		r.begun = begun
	}
	r.shapes = &shapes{source: s.name, database: w.database, db: db, byID: map[int64]*shape{}}
	if len(w.waiting) > 0 {
		// With a later transaction that has ended, the snapshot names them.
		if _, err = r.poll(ctx, true); err != nil {
			return nil, err
		}
	}
	if r.last, err = r.poll(ctx, false); err != nil {
		return nil, err
	}
	if w.holds, err = holdsLast(ctx, db, w.version, from); err != nil {
		return nil, err
	}
	if from != nil && from.Capture == "" && from.Install == w.install && w.epoch > from.Epoch && r.last.at.Sub(w.toldAt) < otherAlive {
		return nil, errShared
	}
	p, missing := begin(from, w, r.last.snapshot, r.last.at)
	r.p, r.cleanAt = p, p.At
	if missing != nil && (missing.Cause != causeReinstalled || !w.dumped.IsZero()) { // the gap tells of what was counted so far
		r.p.Failed, r.p.Skipped = r.last.failed, r.last.skipped
	} else if from == nil || from.Install != w.install {
		r.cleanAt = w.since
	}
	if from != nil && missing == nil && (from.Meta == 0 || begun == nil) {
		if err := r.takeOver(ctx); err != nil {
			return nil, err
		}
	}
	if p.Open != nil { // which r.p has too
		if err := p.Open.complete(ctx, db, w.version); err != nil {
			return nil, err
		}
		r.readTo.Store(r.readUpTo())
	} else {
		r.readTo.Store(r.low(r.last.snapshot))
	}
	if missing != nil {
		if err := r.beginEpoch(ctx, missing.Gap); err != nil {
			return nil, err
		}
	}
	return r, r.claim(ctx, w)
}

// claim tells the database of a new epoch before anything is read in it. From then on nobody else's progress has the outbox emptied; that
// nobody's had meanwhile is seen by what was told, which is as it was found.
func (r *reader) claim(ctx context.Context, w whereabouts) error {
	if r.p.Epoch == w.epoch {
		return nil
	}
	claimed, err := r.db.Exec(ctx, `update datawatch.progress set epoch = $1, tick = $2, snapshot = $3::text::pg_snapshot, told_at = clock_timestamp()
		where epoch = $4 and tick = $5`, string(r.p.Epoch), r.p.Tick, r.p.Snapshot.String(), string(w.epoch), w.tick)
	if err != nil {
		return fmt.Errorf("tell the database who reads it: %w", err)
	}
	if claimed.RowsAffected() == 0 {
		return errShared
	}
	return nil
}

// answered has the server asked, and gives up where there is no answer within patience.
func (r *reader) answered(ctx context.Context, patience time.Duration, ask func(context.Context) error) error {
	patience = cmp.Or(r.limits.answer, patience)
	silent := reason.New(reason.PostgresHangs.With(patience)).Advise(reason.DoPostgresHangs.With())
	ctx, cancel := context.WithTimeoutCause(ctx, patience, silent)
	defer cancel()
	err := ask(ctx)
	if err != nil && errors.Is(context.Cause(ctx), silent) {
		return silent
	}
	return err
}

func (r *reader) poll(ctx context.Context, marking bool) (position, error) {
	var p position
	var xid, snap string
	var meta uint32
	err := r.answered(ctx, pollPatience, func(ctx context.Context) error {
		err := r.db.QueryRow(ctx, r.queries.poll, marking).Scan(&xid, &snap, &p.at, &p.seq, &p.failed, &p.skipped, &meta, &r.unflushed)
		if err != nil {
			err = r.unpolled(ctx, err)
		}
		return err
	})
	if err != nil {
		return p, err
	}
	if meta != r.meta {
		return p, errRemade
	}
	if p.xid, err = strconv.ParseUint(xid, 10, 64); err != nil {
		return p, fmt.Errorf("poll the outbox: %w", err)
	}
	p.snapshot, err = parseSnapshot(snap)
	return p, err
}

// unpolled tells why a poll failed. An upgrade renames what is polled, so that no snapshot is taken that sees packs which
// the queries of before don't.
func (r *reader) unpolled(ctx context.Context, err error) error {
	var server *pgconn.PgError
	if errors.As(err, &server) && server.Code == codeUndefinedTable {
		var installed int
		if r.db.QueryRow(ctx, "select version from datawatch.meta").Scan(&installed) == nil && installed > r.version {
			return errUpgraded
		}
	}
	return fmt.Errorf("poll the outbox: %w", err)
}

func (r *reader) run(ctx context.Context) error {
	r.report.State(source.Streaming, reason.Text{})
	pause := shortestPause
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		began := time.Now()
		events, err := r.tick(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
		if events > 0 {
			pause = shortestPause
		} else {
			pause = min(pause*5/4, longestPause)
		}
		timer.Reset(max(0, pause-time.Since(began)))
	}
}

// tick reads what became visible since the last one, or the rest of one that was read in part.
func (r *reader) tick(ctx context.Context) (events int64, err error) {
	r.events = 0
	if r.p.Open == nil {
		if err := r.tellUncaptured(ctx); err != nil {
			return 0, err
		}
		opened, err := r.open(ctx)
		if err != nil || !opened {
			return 0, err
		}
	}
	return r.events, r.walk(ctx)
}

// open takes the snapshot of the next tick. It tells false where nothing can have been written.
func (r *reader) open(ctx context.Context) (bool, error) {
	marking := r.lastRead.After(r.marked) && time.Since(r.marked) > markEvery
	now, err := r.poll(ctx, marking)
	if err != nil {
		return false, err
	}
	// What was told from the WAL while its commit waited for a standby may be unseen still; then a chunk would be older than it.
	seen := now.snapshot.after(r.p.Snapshot)
	r.chunk = nil
	if len(seen.running) == len(now.snapshot.running) {
		if r.chunk, err = r.readChunk(ctx, now.snapshot); err != nil {
			return false, err
		}
	}
	now.snapshot = seen
	if r.chunk != nil {
		r.chunk.now.xid = now.xid
		now = r.chunk.now
	} else if err := r.settle(ctx); err != nil {
		return false, err
	}
	if now.snapshot.xmax < r.p.Snapshot.xmax {
		return false, errRewound
	}
	if marking {
		r.marked = time.Now()
		r.p.Marks = r.p.Marks.add(mark{xid: now.xid, seq: r.last.seq})
	}
	if err := r.tellCounted(ctx, now); err != nil {
		return false, err
	}
	r.last = now
	if r.chunk == nil && now.snapshot.equal(r.p.Snapshot) {
		r.report.Lag(0)
		r.readTo.Store(now.seq)
		return false, nil
	}
	low := r.low(now.snapshot)
	r.p.Open = &openTick{Snapshot: now.snapshot, At: now.at, Low: low, Path: []frame{{Seq: low, Part: wholeStatement}}}
	return true, nil
}

// low is a number below every pack of the tick that ends with s2.
func (r *reader) low(s2 snapshot) int64 {
	oldest := r.p.Snapshot.xmax
	for _, xid := range r.p.Snapshot.ended(s2) {
		if !r.p.Marks.own(xid) {
			oldest = min(oldest, xid)
		}
	}
	return r.p.Marks.before(oldest)
}

// close ends the tick with its last batch. A tick without events is not worth a record: it is forgotten, unless the outbox waits
// for it.
func (r *reader) close(ctx context.Context, b *batch) error {
	if err := r.alone(ctx); err != nil {
		return err
	}
	next := r.p
	next.Open, next.Snapshot, next.At = nil, b.open.Snapshot, b.open.At
	next.Marks = next.Marks.prune(b.open.Snapshot.xmin)
	if b.open.Last != nil {
		next.Last = b.open.Last
	}
	if r.chunk != nil {
		if err := r.chunk.add(b); err != nil {
			return err
		}
		r.chunk = nil
	}
	r.events = b.open.N
	if b.open.N == 0 && b.also == nil && !r.wanting.CompareAndSwap(true, false) {
		r.p = next
		r.report.Lag(0)
		return nil
	}
	next.Tick++
	return r.commit(ctx, next, b)
}

// commit hands events and the progress behind them to the broker, once no crash of the server can undo them.
func (r *reader) commit(ctx context.Context, next progress, b *batch) error {
	state, err := next.source()
	if err != nil {
		return err
	}
	maps.Copy(state, b.also)
	if b.begun != nil {
		if state[entryStreams], err = b.begun.entry(); err != nil {
			return err
		}
	}
	if err := r.durable(ctx); err != nil {
		return err
	}
	out := source.Batch{Events: b.events, Progress: state}
	if err := r.emit(ctx, out); err != nil {
		return fmt.Errorf("commit events: %w", err)
	}
	r.p, r.usual = next, len(out.Events)
	if b.begun != nil {
		r.begun = b.begun
	}
	if n := len(out.Events); n > 0 {
		r.lastRead = time.Now()
		r.report.Lag(max(0, r.now().Sub(out.Events[n-1].Time).Seconds()))
	}
	r.readTo.Store(r.readUpTo())
	r.tellMaintenance()
	return nil
}

// alone makes sure that the outbox is the one that was polled, and that nobody else can have had it emptied before it was read.
func (r *reader) alone(ctx context.Context) error {
	var other, remade bool
	err := r.answered(ctx, pollPatience, func(ctx context.Context) error {
		return r.db.QueryRow(ctx, `select epoch <> $1, to_regclass('datawatch.meta') is distinct from $2::oid from datawatch.progress`, string(r.p.Epoch), r.meta).Scan(&other, &remade)
	})
	if err != nil {
		return fmt.Errorf("ask who reads the outbox: %w", err)
	}
	if remade {
		return errRemade
	}
	if other {
		return errShared
	}
	return nil
}

// readUpTo is about how many statements were read.
func (r *reader) readUpTo() int64 {
	if r.p.Open != nil {
		return r.p.Open.Path[0].Seq
	}
	return r.last.seq
}
