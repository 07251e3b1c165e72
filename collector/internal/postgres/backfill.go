package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

var _ source.Snapshotter = (*Source)(nil)

// TakeSnapshots implements source.Snapshotter.
func (s *Source) TakeSnapshots(requests <-chan source.SnapshotRequest) { s.requests = requests }

// Bounds of a chunk. A transaction is open for as long as one takes to read.
const (
	chunkRows  = 5000
	chunkBytes = 1 << 20
	// busyPause is how long a table that somebody locks is left alone.
	busyPause = time.Second
	// Where a chunk can't be read for what may pass, pauses grow up to hinderedPause, and after an hour the table is left out.
	hinderedPause = time.Minute
	maxHindered   = 65
)

func (l limits) chunk() (rows int, bytes int64) {
	rows, bytes = l.chunkRows, l.chunkBytes
	if rows == 0 {
		rows = chunkRows
	}
	if bytes == 0 {
		bytes = chunkBytes
	}
	return rows, bytes
}

// chunk is what was read of a table in a snapshot that ends a tick, and so comes behind all of the tick's changes: what
// is changed later is in a later tick.
type chunk struct {
	now   position
	shape *shape
	rows  []walked
	next  json.RawMessage
	done  bool
	bytes int64
}

// newTracker keeps account of the source's snapshots.
func (s *Source) newTracker(committed source.Progress) (*backfill.Tracker, error) {
	return backfill.NewTracker(committed, backfill.Options{
		Initial: s.config.Snapshot == snapshotInitial, BytesPerSecond: int64(s.config.SnapshotRate),
		MaxRecordBytes: s.options.MaxRecordBytes, Requests: s.requests, Reporter: s.report, Log: s.log, Now: s.now,
	})
}

// readChunk reads the next chunk of the snapshot at work; nil where none is due. now is not later than the read.
func (r *reader) readChunk(ctx context.Context, now snapshot) (*chunk, error) {
	job := r.snapshots.Job()
	if job == nil || !r.snapshots.Due() {
		return nil, nil
	}
	if job.Began.IsZero() {
		parts, err := r.partsOf(ctx, r.db, job.Wants)
		if err != nil {
			return nil, err
		}
		r.snapshots.Planned(parts)
		return nil, nil
	}
	part := job.Current()
	at, err := parsePlace(part.Place)
	if err != nil {
		return nil, err
	}
	if now.xmin < at.behind {
		r.snapshots.Postpone(busyPause)
		return nil, nil
	}
	var c *chunk
	var unpolled error
	var keyless bool
	err = r.withRelation(ctx, r.db, at.oid, func(rel *relation) (err error) {
		if rel.parsed.stream != part.Stream {
			return errMoved
		}
		keyless = len(rel.parsed.key) == 0
		now, err := r.poll(ctx, false) // of the same snapshot as the rows
		if unpolled = err; err != nil {
			return err
		}
		if c, err = r.rowsOf(ctx, r.db, rel, part); err == nil {
			c.now = now
		}
		return err
	})
	if errors.Is(err, errUnordered) {
		return nil, r.split(ctx, part.Stream, at, keyless)
	}
	if err == nil || unpolled != nil || ctx.Err() != nil || r.db.IsClosed() {
		return c, err
	}
	switch why, wait := r.obstacle(err); {
	case wait > 0:
		r.snapshots.Hindered(why.String(), wait)
		return nil, nil
	case why.says != "":
		return nil, r.leaveOut(ctx, job, why, !errors.Is(err, errGone) && !errors.Is(err, errMoved))
	}
	return nil, err
}

// rowsOf reads on in a table, as far as a chunk goes.
func (s *Source) rowsOf(ctx context.Context, db *pgx.Conn, rel *relation, part *backfill.Part) (*chunk, error) {
	c := &chunk{shape: rel.parsed}
	from, fresh, err := rel.resume(part.Cursor)
	if err != nil {
		return nil, err
	}
	if fresh && part.Cursor != nil {
		s.log.Info("a table's snapshot begins anew: its key was altered, or the table rewritten", "table", rel.ident())
	}
	rows, bytes := s.limits.chunk()
	if rate := int64(s.config.SnapshotRate); rate > 0 {
		bytes = min(bytes, max(rate/8, minSnapshotRate/8))
	}
	found, next, done, err := rel.chunk(ctx, db, from, rows, bytes, s.options.MaxRecordBytes)
	if err != nil {
		return nil, err
	}
	s.hindered = 0
	c.rows, c.done = found, done
	for _, w := range found {
		c.bytes += w.size
	}
	c.next, err = next.text()
	return c, err
}

// hidden are the fields that the configuration masks in a stream.
func (s *Source) hidden(stream event.Stream) (fields []string, err error) {
	for _, m := range s.options.Mask {
		matches, err := path.Match(m.Stream, string(stream))
		if err != nil {
			return nil, fmt.Errorf("mask of %q: %w", m.Stream, err)
		}
		if matches {
			fields = append(fields, m.Fields...)
		}
	}
	return fields, nil
}

// refused is why a table isn't read.
type refused struct {
	says      string // in the database's words
	forbidden bool
}

func (r refused) String() string {
	if r.forbidden {
		return r.says + ": a snapshot needs SELECT on the table, and no row security that hides rows, for the role of dsn"
	}
	return r.says
}

// Attached is what to do where it is a partition that was attached.
func (r refused) Attached() reason.Text {
	if r.forbidden {
		return reason.DoAttachedForbidden.With(r.says)
	}
	return reason.DoAttachedUnreadable.With(r.says)
}

// passing are the classes of errors that may pass: transactions that are rolled back, want of resources, locks, cancellation, the system.
// https://www.postgresql.org/docs/current/errcodes-appendix.html
var passing = []string{"40", "53", "55", "57", "58"}

// obstacle is what an error in reading a table means, while the session lives: the table is read again after a while, or it is left
// out, which is said why. It is neither where the error isn't the database's.
func (s *Source) obstacle(err error) (why refused, wait time.Duration) {
	var server *pgconn.PgError
	switch {
	case errors.Is(err, errBusy):
		return refused{}, busyPause
	case errors.Is(err, errGone), errors.Is(err, errMoved), errors.Is(err, errStranger), errors.Is(err, errUnordered):
		return refused{says: err.Error()}, 0
	case !errors.As(err, &server):
		return refused{}, 0
	}
	why = refused{server.Message, server.Code == codeInsufficientPrivilege}
	if s.hindered == maxHindered || !slices.Contains(passing, server.Code[:2]) {
		s.hindered = 0
		return why, 0
	}
	s.hindered++
	return why, min(busyPause<<min(s.hindered-1, 10), hinderedPause)
}

// add makes the chunk's events, behind the tick's changes, and takes account of it.
func (c *chunk) add(b *batch) error {
	p := &pack{at: c.now.at, rows: 1, total: 1}
	if b.r.snapshots.Replaces() {
		b.row(p, c.shape, 0, change{op: event.Truncate, reason: backfill.ReasonReplaced})
		b.r.snapshots.Replaced()
	}
	for _, w := range c.rows {
		if w.row == nil {
			b.gap(c.shape.stream, event.Gap{
				From: p.at, To: p.at, Cause: causeTooLarge, Lost: &p.rows,
			}.Advising(reason.DoSnapshotTooLarge.With(strings.Join(w.at, ", "))))
			continue
		}
		key, err := RowKey(c.shape.columns, c.shape.key, w.row)
		if err != nil {
			b.unreadable(p, c.shape, err)
			continue
		}
		b.row(p, c.shape, 0, change{op: event.Read, key: key, after: w.row})
	}
	b.r.snapshots.Read(len(c.rows), c.bytes, c.next, c.done)
	var err error
	b.also, err = b.r.snapshots.Progress()
	return err
}

// settle commits what only the account of snapshots has to say: a request that was taken, a plan, a table left out.
func (r *reader) settle(ctx context.Context) error {
	progress, err := r.snapshots.Progress()
	if err != nil || progress == nil {
		return err
	}
	if err := r.emit(ctx, source.Batch{Progress: progress}); err != nil {
		return fmt.Errorf("commit the account of snapshots: %w", err)
	}
	return nil
}
