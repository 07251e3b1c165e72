package wal

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/postgres"
	"datawatch/collector/internal/source"
	"datawatch/pkg/control"
	"datawatch/pkg/reason"
)

const (
	// lookEvery is how often new, dropped and altered tables are looked for. It also bounds how long a server that is shut
	// down waits for us: this session ends at once then, and the stream with it.
	lookEvery = 2 * time.Second
	// answerTimeout is how long the server may take to answer all that is asked at a look.
	answerTimeout = time.Minute
	// warnBelow is the part of max_slot_wal_keep_size that is left when people are told.
	warnBelow = 5
)

// look is what the catalog says at a moment: which tables are captured, and what isn't told by the WAL.
type look struct {
	next       uint64        // behind the newest transaction that others see
	running    []uint64      // transactions before it that others don't see yet
	lsn        pglogrepl.LSN // reading has to come to it before it counts
	written    pglogrepl.LSN // the end of what is on the server's disk, and can be sent; 0 where it may be within a record
	since, at  time.Time     // the look before, and this one
	tables     knownTables
	there      knownTables // relations that exist, captured or not
	types      string      // changes with what composite types are made of
	seen       knownTables // what looks before it found, with which nothing was compared
	fresh      map[uint32]freshTable
	away       map[uint32]bool // tables that weren't captured at a look before it, with which nothing was compared
	uncaptured []uncaptured
	counted    counted
	waiting    map[uint32]time.Time // selected relations that aren't captured yet, and the last look that didn't find them

	rows        memberships          // those that are right, and else those that were
	wrong       map[uint32]time.Time // relations that aren't published as they are to be, and until when that was told
	unpublished []unpublished
}

// freshTable is a relation that wasn't captured at the look before, or not in the same place.
type freshTable struct {
	name     string
	rows     bool      // it isn't empty
	attached bool      // it became a partition after it was made, or the branch did that it is of
	moved    bool      // it was attached or detached since, be it back to where it was
	renamed  bool      // or it, or its tree, has another name
	since    time.Time // the last look that didn't find it, where it had to wait to be published; else zero
}

// sees tells whether a transaction has ended, for all who look later.
func (l *look) sees(xid uint64) bool { return xid < l.next && !slices.Contains(l.running, xid) }

// after takes over what an earlier look found, which was compared with nothing yet.
func (l *look) after(earlier *look) {
	if earlier == nil {
		return
	}
	l.since = earlier.since
	l.seen = maps.Clone(earlier.tables)
	for id, t := range earlier.seen {
		if _, ok := l.seen[id]; !ok {
			l.seen[id] = t
		}
	}
	l.away = map[uint32]bool{}
	for id := range l.tables {
		if _, there := earlier.tables[id]; !there || earlier.away[id] {
			l.away[id] = true
		}
	}
	for id, fresh := range earlier.fresh {
		if again, ok := l.fresh[id]; ok {
			fresh.rows, fresh.attached = again.rows, fresh.attached || again.attached
			fresh.moved, fresh.renamed = fresh.moved || again.moved, fresh.renamed || again.renamed
		}
		l.fresh[id] = fresh
	}
	l.uncaptured = joinUncaptured(earlier.uncaptured, l.uncaptured)
	l.unpublished = joinUnpublished(earlier.unpublished, l.unpublished)
}

// right is until when all that wasn't published is told.
func (l *look) right() time.Time {
	right := l.at
	for _, told := range l.wrong {
		if told.Before(right) {
			right = told
		}
	}
	return right.UTC()
}

// watcher keeps publications as they are to be, and looks after the slot.
type watcher struct {
	*Source
	db      *pgx.Conn
	server  server
	near    *nearXID
	looks   chan *look
	known   knownTables
	since   time.Time
	counted counted
	warned  bool
	told    string // by remind

	published [2]uint32 // the publications' oids
	rows      memberships
	right     time.Time            // the last look, in an earlier run where there was none
	wrong     map[uint32]time.Time // as in look
	redone    map[string]bool      // tables that had to be published, or published anew, since the last look
	waiting   map[uint32]time.Time // as in look
}

func (w *watcher) run(ctx context.Context) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		now, err := w.once(ctx)
		if err != nil {
			return err
		}
		select { // the newest counts, with what nobody has looked at yet of the one before
		case earlier := <-w.looks:
			now.after(earlier)
		default:
		}
		w.looks <- now
		w.take(now)
	}
}

// take has the next look be compared with this one.
func (w *watcher) take(now *look) {
	w.known, w.since, w.right = now.tables, now.at, now.at
	w.rows, w.wrong, w.redone, w.counted, w.waiting = now.rows, now.wrong, nil, now.counted, now.waiting
}

// once looks after everything. A server that doesn't answer is an error, and the run ends.
func (w *watcher) once(ctx context.Context) (*look, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if err := w.slot(ctx); err != nil {
		return nil, err
	}
	if err := w.publications(ctx); err != nil {
		return nil, err
	}
	if err := w.db.QueryRow(ctx, "select current_setting('synchronous_standby_names')").Scan(&w.server.synchronous); err != nil {
		return nil, fmt.Errorf("ask which standbys are waited for: %w", err)
	}
	if takesAny(w.server.synchronous) { // which may have been set since
		return nil, errSynchronous
	}
	if w.config.ManageTriggers {
		w.reconcile(ctx)
	}
	return w.look(ctx)
}

// reconcile publishes what is new, and puts right what is otherwise than it was. What can't be done now is tried again at the next time.
func (w *watcher) reconcile(ctx context.Context) {
	db := w.db
	if w.config.InstallDSN != "" {
		steps, err := w.planPublications(ctx, w.db, w.server, true, w.rows)
		if err == nil && len(steps) == 0 {
			return // nothing to connect for
		}
		if db, err = w.connectInstaller(ctx); err != nil {
			w.log.Warn("publications can't be kept as they are to be", "error", err)
			return
		}
		defer postgres.CloseConn(ctx, db)
	}
	var err error
	if w.redone, err = w.installPublications(ctx, db, w.server, true, 1, w.rows); err != nil && ctx.Err() == nil {
		w.log.Warn("publications can't be kept as they are to be", "error", err)
	}
}

// remind tells, where the collector publishes nothing itself, what somebody else is to publish; once, and again where it changed.
func (w *watcher) remind(all []*table) {
	var told string
	if slices.ContainsFunc(all, (*table).missing) {
		told = unmanaged(all).Error()
	}
	if told != "" && told != w.told {
		w.log.Warn(told, "remedy", "collector triggers plan --source "+w.name)
	}
	w.told = told
}

// publications ends the run where one was dropped: what is written until it is there again can't be decoded, or isn't told
// of, and the next run says so.
func (w *watcher) publications(ctx context.Context) error {
	all, inserts, err := askPublications(ctx, w.db, w.names, w.server.version)
	if err == nil && w.published != [2]uint32{all.oid, inserts.oid} {
		err = reason.New(w.publicationGone())
	}
	return err
}

// publicationGone says that one was dropped while it was read.
func (s *Source) publicationGone() reason.Text {
	return reason.PublicationGone.With(s.names.all, s.names.inserts)
}

// nearlyLost tells how near a slot whose WAL is bounded is to its bound; it says nothing where it is far.
func (s *slot) nearlyLost(name string) reason.Text {
	switch bound := s.Retained + *s.Safe; {
	case *s.Safe <= 0: // until a checkpoint
		return reason.SlotOverdue.With(name, s.Retained)
	case s.WALStatus == "unreserved" || *s.Safe < bound/warnBelow:
		return reason.SlotNearlyLost.With(name, s.Retained, *s.Safe)
	default:
		return reason.Text{}
	}
}

// slot tells how much WAL the slot holds back, and when it is about to be lost.
func (w *watcher) slot(ctx context.Context) error {
	s, err := askSlot(ctx, w.db, w.names.slot, w.server.version)
	if err != nil {
		return err
	}
	if s == nil {
		return reason.New(reason.SlotDroppedNow.With(w.names.slot))
	}
	w.metrics.retained.Set(float64(s.Retained))
	if why := s.lost(); !why.IsZero() {
		return reason.New(reason.SlotIsLost.With(w.names.slot, why))
	}
	var near reason.Text
	if s.Safe != nil {
		w.metrics.safe.Set(float64(*s.Safe))
		if reporter, ok := w.reporter.(source.WindowReporter); ok {
			reporter.Window(control.Window{Left: max(*s.Safe, 0), Size: s.Retained + *s.Safe})
		}
		near = s.nearlyLost(w.names.slot)
	}
	if !near.IsZero() && s.Unread < s.Retained/2 {
		open, err := oldestOpen(ctx, w.db)
		if err != nil {
			return err
		}
		if !open.IsZero() {
			near = reason.SlotOpen.With(w.names.slot, s.Retained, open, max(*s.Safe, 0))
		}
	}
	switch {
	case !near.IsZero():
		w.reporter.State(source.Stalled, near)
		if !w.warned {
			w.log.Warn(near.String())
		}
	case w.warned:
		w.reporter.State(source.Streaming, reason.Text{})
	}
	w.warned = !near.IsZero()
	return nil
}

func (w *watcher) look(ctx context.Context) (*look, error) {
	now := &look{since: w.since, there: knownTables{}, fresh: map[uint32]freshTable{}, waiting: map[uint32]time.Time{}}
	var next int64
	var running []int64
	err := w.db.QueryRow(ctx, `select clock_timestamp(), pg_snapshot_xmax(s)::text::bigint, array(select pg_snapshot_xip(s)::text::bigint)
		from pg_current_snapshot() s`).Scan(&now.at, &next, &running)
	if err != nil {
		return nil, fmt.Errorf("look at the tables: %w", err)
	}
	now.next = uint64(next)
	for _, xid := range running {
		now.running = append(now.running, uint64(xid))
	}
	w.near.known.Store(now.next)
	all, err := w.listTables(ctx, w.db, w.server.version)
	if err != nil {
		return nil, err
	}
	now.tables = captured(all, w.known)
	w.judge(now, all)
	if !w.config.ManageTriggers {
		w.remind(all)
	}
	for _, t := range all {
		now.there[t.oid] = t.known()
		if _, is := now.tables[t.oid]; !is {
			if since, waits := w.waiting[t.oid]; waits {
				now.waiting[t.oid] = since
			} else if !w.since.IsZero() && w.config.Selects(t.rootSchema, t.rootName) {
				now.waiting[t.oid] = w.since
			}
			continue
		}
		known, was := w.known[t.oid]
		moved, renamed := was && w.moved(t, known), was && !known.same(t.known())
		if w.known == nil || was && !moved && !renamed {
			continue
		}
		fresh, err := w.freshTable(ctx, now, t)
		if err != nil {
			return nil, err
		}
		fresh.moved, fresh.renamed, fresh.since = moved, renamed && !moved, w.waiting[t.oid]
		now.fresh[t.oid] = fresh
	}
	if err := w.countUncaptured(ctx, now, all); err != nil {
		return nil, err
	}
	if err := w.db.QueryRow(ctx, compositesSQL).Scan(&now.types); err != nil {
		return nil, fmt.Errorf("look at the types: %w", err)
	}
	// Behind the queries: whoever has read to here has read all that they could see.
	var lsn, written string
	if err := w.db.QueryRow(ctx, endSQL).Scan(&lsn, &written); err != nil {
		return nil, fmt.Errorf("look at the tables: %w", err)
	}
	if now.lsn, err = pglogrepl.ParseLSN(lsn); err != nil {
		return nil, fmt.Errorf("look at the tables: %w", err)
	}
	now.written, err = pglogrepl.ParseLSN(written)
	return now, err
}

// endSQL tells where the WAL ends, and where on disk: behind whole pages where no commit had it written, and then a record may go on.
const endSQL = `select pg_current_wal_insert_lsn()::text, (case when (lsn - '0/0') % current_setting('wal_block_size')::int = 0 then '0/0' else lsn end)::text
from pg_current_wal_flush_lsn() lsn`

const compositesSQL = `select coalesce(encode(sha256(convert_to(string_agg(concat_ws('.', a.attrelid, a.attnum, a.xmin), ' ' order by a.attrelid, a.attnum), 'UTF8')), 'hex'), '')
from pg_attribute a join pg_class c on c.oid = a.attrelid where c.relkind = 'c'`

// moved tells whether a table that was captured was attached or detached since, be it back to where it was.
func (w *watcher) moved(t *table, known knownTable) bool {
	was := w.rows.place(t.oid)
	return was != t.rows[2] && (was != "" || !known.Root)
}

// freshTable looks at a table that is new. One that somebody locks isn't waited for, and taken for one with rows.
func (w *watcher) freshTable(ctx context.Context, now *look, t *table) (f freshTable, err error) {
	f.name = t.ident()
	if f.attached, err = w.attached(ctx, now, t); err != nil {
		return f, err
	}
	switch err := w.db.QueryRow(ctx, "select coalesce(pg_relation_size($1::oid), 0) > 0", t.oid).Scan(&f.rows); {
	case hasCode(err, codeLocked):
		f.rows = true
	case err != nil:
		return f, fmt.Errorf("look at %s: %w", t.ident(), err)
	}
	return f, nil
}

//go:embed sql/made.sql
var madeSQL string

// attached tells whether a table that is new in its tree may have had rows before it was there: it, or a branch that it is of, wasn't made
// as a partition, or was there and not captured, as an unlogged one.
func (w *watcher) attached(ctx context.Context, now *look, t *table) (bool, error) {
	if w.rows.place(t.oid) != "" {
		return true, nil
	}
	rows, err := w.db.Query(ctx, madeSQL, t.oid)
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", t.ident(), err)
	}
	var oid uint32
	var made, attached, known bool
	_, err = pgx.ForEachRow(rows, []any{&oid, &made}, func() error {
		was := w.rows.place(oid)
		known = known || was != "" && was == now.rows.place(oid)
		attached = attached || !known && !made
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", t.ident(), err)
	}
	return attached, nil
}
