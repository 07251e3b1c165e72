package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

const (
	maintainEvery  = time.Second
	reconcileEvery = 10 * time.Second
	// anywayEvery is how often it is done though no catalog has changed that it looks at.
	anywayEvery = time.Minute
	lookEvery   = 2 * time.Second
	aliveEvery  = time.Minute
	// mostCounted is how many packs that wait are counted: more stand for as many.
	mostCounted = 10000
	// queueTimeout: a transaction that has called datawatch.off() may be left open.
	queueTimeout = "1s"
)

// told is progress that was committed, and so may be reclaimed.
type told struct {
	meta     uint32 // the oid of datawatch.meta, beside which it may be
	epoch    event.Epoch
	tick     int64
	snapshot snapshot
}

// tellMaintenance leaves the newest progress for maintain, in the place of an older one.
func (r *reader) tellMaintenance() {
	select {
	case <-r.told:
	default:
	}
	r.told <- told{meta: r.p.Meta, epoch: r.p.Epoch, tick: r.p.Tick, snapshot: r.p.Snapshot}
}

// maintain tells the database what was committed, reclaims it, says that a collector lives, and follows new, altered and
// deselected tables.
func (s *Source) maintain(ctx context.Context) error {
	db, err := s.connectReader(ctx)
	if err != nil {
		return err
	}
	defer closeConn(ctx, db)
	if _, err := db.Exec(ctx, "set lock_timeout = '"+queueTimeout+"'"); err != nil {
		return fmt.Errorf("bound how long maintenance waits: %w", err)
	}
	ticker := time.NewTicker(maintainEvery)
	defer ticker.Stop()
	var alive pulse
	reconciled, looked := time.Now(), time.Now() // prepare did it
	known := map[uint32]bool{}
	stalled := false
	for {
		if err := alive.beat(ctx, s, db); err != nil {
			return err
		}
		fresh := false
		if time.Since(looked) > lookEvery {
			if fresh, err = s.look(ctx, db, known); err != nil {
				return err
			}
			looked = time.Now()
		}
		if fresh || time.Since(reconciled) > reconcileEvery {
			s.reconcile(ctx, db)
			reconciled = time.Now()
		}
		if err := s.reclaim(ctx, db); err != nil {
			return err
		}
		if stalled, err = s.tellStalled(ctx, db, stalled); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// pulse is when the database was last told that a collector lives.
type pulse struct {
	at   time.Time
	held bool // by another's transaction, which was logged
}

// beat tells it, where that is due.
func (p *pulse) beat(ctx context.Context, s *Source, db querier) error {
	if time.Since(p.at) <= aliveEvery {
		return nil
	}
	err := s.keepAlive(ctx, db)
	switch {
	case err == nil:
		p.at, p.held = time.Now(), false
	case !isLocked(err):
		return err
	case !p.held:
		p.held = true
		s.log.Warn("a transaction that has called datawatch.off() or on() is open: triggers can't be told meanwhile that a collector lives")
	}
	return nil
}

// keepAlive moves the moment at which triggers stop because no collector comes, and what a dump or a changed
// configuration made untrue.
func (s *Source) keepAlive(ctx context.Context, db querier) error {
	var looked *time.Time
	if !s.looked.IsZero() {
		looked = &s.looked
	}
	_, err := db.Exec(ctx, fmt.Sprintf(`update datawatch.queue q set expires = %s, main = c.oid, toast = c.reltoastrelid, looked = coalesce($1, q.looked),
		room = greatest(0, %d - %s)
		from pg_class c where c.oid = ('datawatch.outbox_' || q.current)::regclass`, s.expires(), s.room(), bytesSQL("slot <> q.current::text")), looked)
	if err != nil {
		return fmt.Errorf("tell the database that a collector lives: %w", err)
	}
	return nil
}

//go:embed sql/uncaptured.sql
var uncapturedTemplate string

var uncapturedSQL = strings.NewReplacer("{{tracked}}", trackedSQL, "{{table.of p}}", tableOfSQL).Replace(uncapturedTemplate)

// look finds tables without triggers, or without all, by one query over the catalog, so that reconcile needn't be done at each look. It
// tells whether there is one that wasn't known at the look before; known becomes what is there now.
func (s *Source) look(ctx context.Context, db querier, known map[uint32]bool) (fresh bool, err error) {
	var at time.Time
	if err := db.QueryRow(ctx, "select clock_timestamp()").Scan(&at); err != nil {
		return false, fmt.Errorf("ask for the time: %w", err)
	}
	rows, err := db.Query(ctx, uncapturedSQL)
	if err != nil {
		return false, fmt.Errorf("look for new tables: %w", err)
	}
	found, lacking := map[uint32]bool{}, map[uint32]event.Stream{}
	missing := false
	var oid uint32
	var schema, table string
	var captured bool
	_, err = pgx.ForEachRow(rows, []any{&oid, &schema, &table, &captured}, func() error {
		if s.config.selects(schema, table) {
			found[oid] = true
			missing = missing || !captured
			if !captured {
				lacking[oid] = event.StreamOf(s.name, event.TableEntity(schema, table))
			}
			if !known[oid] {
				fresh = true
				s.log.Info("a table lacks triggers", "schema", schema, "table", table, "captured", captured)
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("look for new tables: %w", err)
	}
	if !missing {
		s.looked = at
	}
	if why := s.uninstalled(); !why.IsZero() {
		refused := uncaptured{}
		for oid, stream := range lacking {
			if known[oid] {
				refused[stream] = lack{since: s.looked, why: why}
			}
		}
		s.refused.Store(&refused)
	}
	clear(known)
	maps.Copy(known, found)
	return fresh, nil
}

// uninstalled is why nothing is installed on tables that lack triggers; nothing where it is.
func (s *Source) uninstalled() reason.Text {
	switch {
	case !s.config.ManageTriggers:
		return reason.Quote("manage_triggers is off, and nobody has run what `collector triggers plan` prints")
	case s.barred != nil:
		key := KeyDSN
		if s.config.InstallDSN != "" {
			key = KeyInstallDSN
		}
		return words(reason.Wrap(s.barred, reason.NotInstalling.With(key)))
	}
	return reason.Text{}
}

// reconcile installs what is missing. What can't be done now is tried again at the next time. To find that nothing is takes a query for
// each table, and so it is looked first whether anything has changed.
func (s *Source) reconcile(ctx context.Context, db querier) {
	if !s.config.ManageTriggers {
		return
	}
	unchanged, err := s.unchanged(ctx, db)
	if unchanged {
		return
	}
	if err = errors.Join(err, s.install(ctx, 1)); err != nil {
		s.settled = settled{}
		if ctx.Err() == nil {
			s.log.Warn("not everything could be installed", "error", message(err))
		}
	}
}

// tellStalled tells that triggers capture nothing, as long as that is so; was tells whether it was so before.
func (s *Source) tellStalled(ctx context.Context, db querier, was bool) (bool, error) {
	var off, full bool
	err := db.QueryRow(ctx, "select to_jsonb(q) ->> 'off' is not null, clock_timestamp() > expires or case when to_regclass('datawatch.gate') is null then false else "+fullSQL+
		" end from datawatch.queue q").Scan(&off, &full)
	if err != nil {
		return was, fmt.Errorf("ask whether triggers capture: %w", err)
	}
	switch {
	case off:
		s.report.State(source.Stalled, reason.SwitchedOff.With())
	case full:
		s.report.State(source.Stalled, reason.OutboxFull.With())
	case was:
		s.report.State(source.Streaming, reason.Text{})
	}
	return off || full, nil
}

// reclaim tells what was committed, and empties what nobody needs.
func (s *Source) reclaim(ctx context.Context, db *pgx.Conn) error {
	var installed int
	if err := db.QueryRow(ctx, "select version from datawatch.meta").Scan(&installed); err != nil {
		return fmt.Errorf("ask what is installed: %w", err)
	}
	select {
	case t := <-s.told:
		// Another's isn't overwritten: it ends the reading (see alone). Nor is that of an outbox which was made anew.
		_, err := db.Exec(ctx, `update datawatch.progress set epoch = $1, tick = $2, snapshot = $3::text::pg_snapshot, told_at = clock_timestamp()
			where epoch = $1 and tick <= $2 and to_regclass('datawatch.meta') = $4::oid`,
			string(t.epoch), t.tick, t.snapshot.String(), t.meta)
		if err != nil {
			return fmt.Errorf("tell the database what was committed: %w", err)
		}
	default:
	}
	bytes, err := outboxBytes(ctx, db)
	if err != nil {
		return err
	}
	s.metrics.bytes.Set(float64(bytes))
	var waiting int64
	err = db.QueryRow(ctx, fmt.Sprintf("select count(*) from (select from %s where seq > $1 limit %d) waiting", packsOf(installed), mostCounted), s.readTo.Load()).Scan(&waiting)
	if err != nil {
		return fmt.Errorf("ask how much waits in the outbox: %w", err)
	}
	s.metrics.rows.Set(float64(waiting))
	s.report.Backlog(bytes)
	if err := s.rotate(ctx, db, installed); err != nil {
		if isLocked(err) {
			return nil // somebody reads there, pg_dump perhaps: the next time
		}
		return err
	}
	return nil
}

// isTaken tells of what somebody else installed at that moment.
func isTaken(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && slices.Contains([]string{codeDuplicateObject, codeDuplicateFunction, codeUniqueViolation}, server.Code)
}

// isLocked tells whether a lock couldn't be had in time.
func isLocked(err error) bool {
	var server *pgconn.PgError
	return errors.Is(err, errPartitions) || errors.As(err, &server) && server.Code == codeLockNotAvailable
}

// isBehind tells of a partition whose root comes first.
func isBehind(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && server.Code == codeObjectInUse
}

// errPartitions says that a tree's partitions couldn't be locked together within their bound.
var errPartitions = errors.New("its partitions couldn't all be locked in time")

func isCanceled(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && server.Code == codeQueryCanceled
}
