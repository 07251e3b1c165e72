package wal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"datawatch/collector/internal/postgres"
	"datawatch/collector/internal/source"
	"datawatch/pkg/config"
	"datawatch/pkg/reason"
)

// Options are what a source works with besides its configuration. The zero value of each is usable.
type Options struct {
	// MaxRecordBytes is the size of the largest record that the broker takes.
	MaxRecordBytes int64
	Log            *slog.Logger
	Metrics        prometheus.Registerer
	Reporter       source.Reporter
	// Mask keeps values out of what is told of rows that no record could hold, and of how far a snapshot is; the rest is the work of
	// whoever takes the events.
	Mask []config.Mask
}

// Source captures one database from its WAL.
type Source struct {
	name     string
	names    names
	config   postgres.Config
	options  Options
	log      *slog.Logger
	reporter source.Reporter
	metrics  *metrics
	now      func() time.Time
	limits   limits
	requests <-chan source.SnapshotRequest // nil where nobody asks
}

var _ source.Source = (*Source)(nil)

const defaultMaxRecordBytes = 8 << 20

// New is the source of that name. Nothing is connected yet.
func New(name string, c postgres.Config, o Options) *Source {
	if o.MaxRecordBytes <= 0 {
		o.MaxRecordBytes = defaultMaxRecordBytes
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Reporter == nil {
		o.Reporter = silent{}
	}
	return &Source{
		name: name, names: namesOf(name), config: c, options: o, log: o.Log.With("source", name), reporter: o.Reporter,
		metrics: newMetrics(o.Metrics, name), now: time.Now, limits: defaultLimits,
	}
}

func (s *Source) connectReader(ctx context.Context) (*pgx.Conn, error) {
	return postgres.Connect(ctx, postgres.KeyDSN, s.config.DSN)
}

func (s *Source) connectInstaller(ctx context.Context) (*pgx.Conn, error) {
	if s.config.InstallDSN != "" {
		return postgres.Connect(ctx, postgres.KeyInstallDSN, s.config.InstallDSN)
	}
	return s.connectReader(ctx)
}

// newWalker reads tables for snapshots.
func (s *Source) newWalker() *postgres.Walker {
	return postgres.NewWalker(s.name, s.config, postgres.Options{MaxRecordBytes: s.options.MaxRecordBytes, Log: s.options.Log, Reporter: s.reporter, Mask: s.options.Mask})
}

// Run captures until ctx is done: it makes publications and slot where they are missing (unless manage_triggers is off),
// reads the slot, and in a second session follows new and dropped tables and watches the slot.
func (s *Source) Run(ctx context.Context, committed source.Progress, emit source.Emit) error {
	s.reporter.State(source.Connecting, reason.Text{})
	from, err := storedProgress(s.name, committed)
	if err != nil {
		return err
	}
	db, err := s.connectReader(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseConn(ctx, db)
	server, slot, err := s.survey(ctx, db)
	if err != nil {
		return err
	}
	if err := server.fit(s.config.AllowUnboundedWAL); err != nil {
		return err
	}
	w := whereabouts{server: server}
	if err := s.prepare(ctx, db, &w, slot, from); err != nil {
		return err
	}
	walker := s.newWalker()
	walker.ChunkRows(s.limits.chunkRows)
	snapshots, err := walker.Tracker(committed, s.requests)
	if err != nil {
		return err
	}
	err = s.follow(ctx, &reader{Source: s, emit: emit, walker: walker, snapshots: snapshots}, db, from, w)
	if errors.As(err, &w.undone) {
		s.log.Warn("the server was restored from a copy of its files, and written to since")
		if err := s.takeSlot(ctx, db, &w); err != nil {
			return err
		}
		err = s.follow(ctx, &reader{Source: s, emit: emit, walker: walker, snapshots: snapshots}, db, from, w)
	}
	if undecodable(err) {
		err = s.giveUp(ctx, db, &w, err)
	}
	return err
}

// follow reads the slot.
func (s *Source) follow(ctx context.Context, r *reader, db *pgx.Conn, from stored, w whereabouts) error {
	st, err := openStream(ctx, s.config.DSN)
	if err != nil {
		return err
	}
	defer st.close(ctx)
	if err := s.locate(ctx, db, st, from, &w); err != nil {
		return err
	}
	r.catalog, r.stream = &catalog{source: s.name, database: w.server.database, db: db}, st
	r.server, r.near, r.looks, r.out = w.server, new(nearXID), make(chan *look, 1), make(chan *batch)
	r.relations, r.named = map[uint32]*relation{}, map[uint32]*pglogrepl.RelationMessage{}
	r.early, r.lost, r.brought, r.strays, r.kept = map[uint32]uint64{}, map[uint32]bool{}, knownTables{}, map[uint32]bool{}, map[uint32]bool{}
	r.batch, r.beaten = &batch{}, time.Now()
	watching, err := s.connectReader(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseConn(ctx, watching)
	if _, err := watching.Exec(ctx, "set lock_timeout = '"+postgres.LockTimeout+"'"); err != nil {
		return fmt.Errorf("watch the tables: %w", err)
	}
	watch := &watcher{
		Source: s, db: watching, server: w.server, near: r.near, looks: r.looks, since: from.right(), right: from.right(), known: from.tables.looked(), rows: from.rows,
		counted: from.counted, redone: w.redone, published: w.publications,
	}
	if err := s.open(ctx, r, watch, from, w); err != nil {
		return err
	}
	s.reporter.State(source.Streaming, reason.Text{})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.run(ctx) })
	g.Go(func() error { return watch.run(ctx) })
	if err := g.Wait(); err != nil {
		return err
	}
	return errors.New("the source stopped")
}

// open decides where reading begins, tells the gap that lies before it, and has the server begin.
func (s *Source) open(ctx context.Context, r *reader, watch *watcher, from stored, w whereabouts) error {
	p, missing := begin(from, w)
	anew := from.read == nil || missing != nil || from.tables == nil
	if anew {
		watch.since, watch.known, watch.rows, watch.counted = w.now, nil, nil, counted{}
	}
	first, err := watch.look(ctx)
	if err != nil {
		return err
	}
	r.p, r.known, r.rows, r.counted, r.keys, r.inAdvance, r.absent = p, from.tables, from.rows, from.counted, from.keys, from.inAdvance, from.absent
	if anew {
		r.p.Right, r.inAdvance, first.since = first.right(), first.lsn, from.right()
		r.takeTables(first)
		if missing != nil {
			if err := r.beginEpoch(*missing, from, first); err != nil {
				return err
			}
		}
		r.seal()
		if err := s.commitWith(ctx, r.emit, r.batch); err != nil {
			return err
		}
		r.batch = &batch{}
	} else {
		r.look, r.pending = first, from.pending
	}
	watch.take(first)
	r.sent, r.ahead = r.p.LSN, first.written
	if err := r.recall(ctx); err != nil {
		return err
	}
	return retry(ctx, func() error {
		err := r.beginStream(ctx, &w.server)
		if !hasCode(err, codeInUse) {
			return err
		}
		// Of a collector that was fenced by now, or died without the server's knowing, or of somebody else.
		held := slotHolder(ctx, r.catalog.db, s.names.slot)
		if denied := endReader(ctx, r.catalog.db, s.names.slot); denied != nil {
			s.log.Warn("the slot is in use, and its reader can't be ended", "error", denied)
			s.reporter.State(source.Connecting, held)
		}
		return reason.Wrap(err, held)
	}, codeInUse)
}

// prepare makes what is missing, or says what it is.
func (s *Source) prepare(ctx context.Context, db *pgx.Conn, w *whereabouts, old *slot, from stored) error {
	name := s.names.slot
	if old != nil {
		if err := old.usable(name, w.server); err != nil {
			return err
		}
		w.created = old.lost()
	}
	tables, err := s.listTables(ctx, db, w.server.version)
	if err != nil {
		return err
	}
	if err := s.refuseOwner(ctx, db, tables); err != nil {
		return err
	}
	all, inserts, err := askPublications(ctx, db, s.names, w.server.version)
	if err != nil {
		return err
	}
	if old != nil && w.created.IsZero() && from.read.unpublished(old, all, inserts) {
		w.created, w.unpublished = reason.SlotUnpublished.With(), true
	}
	if !s.config.ManageTriggers {
		return s.asInstalled(ctx, db, w, old)
	}
	if old != nil && !w.created.IsZero() {
		s.log.Warn("the slot can't be read any more; it is made anew", "slot", name, "why", w.created)
		if err := dropSlot(ctx, db, name); err != nil {
			return err
		}
		old = nil
	}
	if w.redone, err = s.publish(ctx, db, w.server, old != nil, from.rows); err != nil {
		return err
	}
	if old == nil {
		if w.created.IsZero() {
			w.created = reason.SlotDroppedOnce.With()
		}
		s.reporter.State(source.Connecting, reason.SlotMaking.With(name))
		if err := createSlot(ctx, db, name, w.server.version); err != nil {
			return err
		}
	}
	return s.takeSlot(ctx, db, w)
}

// installTries are made at the start; tables that long transactions keep are left to the watcher.
const installTries = 3

// publish makes the publications. Tables that can't be had now are tried again while running.
func (s *Source) publish(ctx context.Context, db *pgx.Conn, server server, running bool, was memberships) (done map[string]bool, err error) {
	if s.config.InstallDSN != "" {
		if db, err = s.connectInstaller(ctx); err != nil {
			return nil, err
		}
		defer postgres.CloseConn(ctx, db)
	}
	for _, f := range s.checkKeeping(ctx, db) {
		s.log.Warn(f.Err.Error(), "remedy", f.Remedy)
	}
	done, err = s.installPublications(ctx, db, server, running, installTries, was)
	if ctx.Err() != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	all, inserts, asked := askPublications(ctx, db, s.names, server.version)
	if asked != nil {
		return nil, asked
	}
	if err != nil && (!all.there || !inserts.there) {
		return nil, err
	}
	if err != nil {
		s.log.Warn("not everything could be published", "error", err)
	}
	return done, nil
}

// asInstalled takes what somebody else made.
func (s *Source) asInstalled(ctx context.Context, db *pgx.Conn, w *whereabouts, old *slot) error {
	switch {
	case old == nil:
		return reason.New(reason.SlotAbsent.With(s.names.slot, s.name))
	case !w.created.IsZero():
		return reason.New(reason.SlotUnreadable.With(s.names.slot, w.created, s.name))
	}
	return s.takeSlot(ctx, db, w)
}

func (s *Source) takeSlot(ctx context.Context, db *pgx.Conn, w *whereabouts) error {
	all, inserts, err := askPublications(ctx, db, s.names, w.server.version)
	if err != nil {
		return err
	}
	w.publications = [2]uint32{all.oid, inserts.oid}
	slot, err := askSlot(ctx, db, s.names.slot, w.server.version)
	if err != nil {
		return err
	}
	if slot == nil {
		return reason.New(reason.SlotDropped.With(s.names.slot))
	}
	w.slot = *slot
	return nil
}

// locate asks on which timeline the server is, where it left the one that was read, and where it is now.
func (s *Source) locate(ctx context.Context, db *pgx.Conn, st *stream, from stored, w *whereabouts) error {
	id, err := pglogrepl.IdentifySystem(ctx, st.conn)
	if err != nil {
		return fmt.Errorf("ask which server this is: %w", err)
	}
	w.timeline = id.Timeline
	if from.read != nil && from.read.Timeline != id.Timeline {
		history, err := pglogrepl.TimelineHistory(ctx, st.conn, id.Timeline)
		if err != nil {
			s.log.Warn("the server's timeline changed, and its history can't be read", "error", err)
		} else {
			w.left = switchedAt(history.Content, from.read.Timeline)
		}
	}
	// In this order: what is in the WAL by then was written before now. Behind what isn't on disk yet others see commits already.
	var here string
	if err := db.QueryRow(ctx, "select pg_current_wal_insert_lsn()::text").Scan(&here); err != nil {
		return fmt.Errorf("ask where the WAL ends: %w", err)
	}
	if w.here, err = pglogrepl.ParseLSN(here); err != nil {
		return fmt.Errorf("ask where the WAL ends: %w", err)
	}
	if err := db.QueryRow(ctx, "select clock_timestamp()").Scan(&w.now); err != nil {
		return fmt.Errorf("ask for the time: %w", err)
	}
	return nil
}

// giveUp drops a slot that the server can't read from any more, so that the next run makes a new one, with a gap. Where that is for a
// publication which was dropped, the next run sees it, does so itself, and tells why.
func (s *Source) giveUp(ctx context.Context, db *pgx.Conn, w *whereabouts, cause error) error {
	if !s.config.ManageTriggers {
		return &reason.Error{Why: reason.SlotUnreadable.With(s.names.slot, reason.Quote(cause.Error()), s.name), Err: cause}
	}
	for until := time.Now().Add(seenWithin); ; {
		all, inserts, err := askPublications(ctx, db, s.names, w.server.version)
		if err != nil {
			return errors.Join(cause, err)
		}
		if w.publications != [2]uint32{all.oid, inserts.oid} {
			return &reason.Error{Why: s.publicationGone(), Err: cause}
		}
		if !hasCode(cause, codeUndefined) || time.Now().After(until) {
			break
		}
		select {
		case <-ctx.Done():
			return errors.Join(cause, ctx.Err())
		case <-time.After(retryPause):
		}
	}
	s.log.Warn("the slot can't be read any more; it is dropped, and made anew", "slot", s.names.slot, "error", cause)
	return errors.Join(cause, dropSlot(ctx, db, s.names.slot))
}

// silent is a reporter that nobody listens to.
type silent struct{}

func (silent) State(source.State, reason.Text) {}
func (silent) Lag(float64)                     {}
func (silent) Backlog(int64)                   {}
func (silent) Gap(string)                      {}
