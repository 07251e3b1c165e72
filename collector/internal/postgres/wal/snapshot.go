package wal

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/postgres"
	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

var _ source.Snapshotter = (*Source)(nil)

// TakeSnapshots implements source.Snapshotter.
func (s *Source) TakeSnapshots(requests <-chan source.SnapshotRequest) { s.requests = requests }

const (
	// stepEvery is how often is looked whether a chunk is due.
	stepEvery = 20 * time.Millisecond
	// unseenPause is the longest until a chunk is read again that didn't see what was told.
	unseenPause = time.Second
)

var errUnseen = errors.New("a transaction that was told isn't seen yet")

// chunk is what was read of a table, and waits until the stream has come to where the WAL ended then. Whoever committed
// before that place and isn't seen by the chunk's snapshot has changed rows that the chunk has as they were: these go.
type chunk struct {
	*postgres.Chunk
	rel    *relation
	lsn    pglogrepl.LSN
	keys   []string // of the rows
	gone   map[string]bool
	again  bool // which rows were changed can't be told, or not wholly: it is read once more
	nudged time.Time

	unreadable map[int]error // rows of which no event can be made
}

// step goes on with snapshots.
func (r *reader) step(ctx context.Context) error {
	defer r.account()
	if r.chunk != nil && r.tx == nil && r.p.Open == nil {
		r.land(r.p.LSN)
	}
	if r.chunk != nil {
		return r.nudge(ctx)
	}
	job := r.snapshots.Job()
	if job == nil || !r.snapshots.Due() {
		return nil
	}
	if job.Began.IsZero() {
		return r.plan(ctx, job)
	}
	err := r.readChunk(ctx, job.Current())
	if err == nil && r.chunk != nil && r.snapshots.Replaces() { // it can be read, which is done once more behind the end
		r.replace()
	}
	if err == nil || ctx.Err() != nil || r.catalog.db.IsClosed() {
		r.unseen = 0
		return err
	}
	why, wait := r.walker.Obstacle(err)
	switch {
	case wait > 0:
		r.snapshots.Hindered(why.String(), wait)
	case errors.Is(err, errUnseen):
		r.snapshots.Postpone(min(stepEvery<<min(r.unseen, 10), unseenPause)) // a commit may wait for a standby for long
		r.unseen++
	case why.String() != "":
		r.leaveOut(job, why)
	default:
		return err
	}
	return nil
}

// replace ends the stream of the chunk that was read, between transactions, and forgets the chunk: what changes from here on is told, and
// the rows are read behind that.
func (r *reader) replace() {
	rel := r.chunk.rel
	r.chunk = nil
	if r.tx != nil || r.p.Open != nil {
		r.snapshots.Postpone(stepEvery)
		return
	}
	r.ended(knownTable{Schema: rel.streamSchema, Table: rel.streamTable}, backfill.ReasonReplaced)
	r.snapshots.Replaced()
}

// leaveOut leaves the table that is being read out of the snapshot. Nobody waits for what was attached: that its rows are
// missing is a gap, which stands between transactions.
func (r *reader) leaveOut(job *backfill.Job, why postgres.Refused) {
	switch part := job.Current(); {
	case !job.Partial:
		r.snapshots.LeaveOut(why.String())
	case r.tx != nil || r.p.Open != nil:
		r.snapshots.Postpone(stepEvery)
	default:
		r.snapshots.LeaveOut(why.String())
		r.gap(part.Stream, event.Gap{From: job.Asked, To: r.now().UTC(), Cause: causePartition}.Advising(why.Attached()))
	}
}

// flushSQL has the server write the WAL to disk that it holds back for want of a commit, for it sends nothing else. The
// message that does it has a prefix.
func flushSQL(prefix string) string {
	return `begin; set local synchronous_commit = local; select pg_logical_emit_message(true, '` + prefix + `', ''); commit`
}

// nudge has the server say how far it is: where nobody writes, it sends nothing by itself.
func (r *reader) nudge(ctx context.Context) error {
	if time.Since(r.chunk.nudged) < 5*stepEvery {
		return nil
	}
	r.chunk.nudged = time.Now()
	if err := r.stream.status(ctx, true); err != nil {
		return fmt.Errorf("ask the server how far it is: %w", err)
	}
	return nil
}

// account has the batch commit what changed in the account of snapshots.
func (r *reader) account() {
	if !r.snapshots.Dirty() {
		return
	}
	progress, err := r.snapshots.Progress()
	if err != nil {
		panic(err) // an account is made of what JSON has
	}
	r.batch.also = progress
}

// noteInserts is what doesn't hold of a table whose updates and deletes can't be published.
const noteInserts = "without a usable replica identity: rows that were updated or deleted while it was read may be missing, or too many"

// plan makes a part of each table, and of each partition: rows that move between two are told by the stream.
func (r *reader) plan(ctx context.Context, job *backfill.Job) error {
	var parts []*backfill.Part
	for oid, t := range r.known {
		stream := r.streamOf(t)
		if !job.Wants(stream) {
			continue
		}
		var estimate int64
		err := r.catalog.db.QueryRow(ctx, "select greatest(reltuples, 0)::bigint from pg_class where oid = $1", oid).Scan(&estimate)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("plan a snapshot: %w", err)
		}
		rel, err := r.catalog.present(ctx, oid, &t)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("plan a snapshot: %w", err)
		}
		part := postgres.Part(stream, oid, estimate, err == nil && rel.keyless)
		if !r.rows.updated(oid, t.Tree) {
			part.Note = noteInserts
		}
		parts = append(parts, part)
	}
	bare, err := r.bare(ctx)
	if err != nil {
		return err
	}
	for oid, t := range bare {
		if stream := r.streamOf(t); job.Wants(stream) {
			parts = append(parts, postgres.Part(stream, oid, 0, false))
		}
	}
	slices.SortFunc(parts, func(a, b *backfill.Part) int {
		return strings.Compare(string(a.Stream)+" "+a.Place, string(b.Stream)+" "+b.Place)
	})
	r.snapshots.Planned(parts)
	return nil
}

// bare are the partition trees that have no partitions which hold rows: nothing is read of them, but they may have to be replaced.
func (r *reader) bare(ctx context.Context) (knownTables, error) {
	rows, err := r.catalog.db.Query(ctx, `select c.oid, n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind = 'p' and not c.relispartition and not exists (select from pg_partition_tree(c.oid) p join pg_class leaf on leaf.oid = p.relid where leaf.relkind <> 'p')`)
	if err != nil {
		return nil, fmt.Errorf("look for partition trees: %w", err)
	}
	bare := knownTables{}
	var oid uint32
	var t knownTable
	_, err = pgx.ForEachRow(rows, []any{&oid, &t.Schema, &t.Table}, func() error {
		if r.config.Selects(t.Schema, t.Table) {
			bare[oid] = t
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for partition trees: %w", err)
	}
	return bare, nil
}

//go:embed sql/identity.sql
var identitySQL string

// present is a relation as it is now, told as the stream would tell it.
func (c *catalog) present(ctx context.Context, oid uint32, root *knownTable) (*relation, error) {
	m := &pglogrepl.RelationMessage{RelationID: oid}
	var identity string
	var names []string
	var types []uint32
	var modifiers []int32
	var keys []bool
	if err := c.db.QueryRow(ctx, identitySQL, oid).Scan(&m.Namespace, &m.RelationName, &identity, &names, &types, &modifiers, &keys); err != nil {
		return nil, err
	}
	m.ReplicaIdentity = identity[0]
	for i, name := range names {
		column := &pglogrepl.RelationMessageColumn{Name: name, DataType: types[i], TypeModifier: modifiers[i]}
		if keys[i] {
			column.Flags = 1
		}
		m.Columns = append(m.Columns, column)
	}
	return c.relation(ctx, m, root)
}

// readChunk reads the next rows of a table, which wait for the stream then.
func (r *reader) readChunk(ctx context.Context, part *backfill.Part) error {
	oid, err := postgres.PartOID(part)
	if err != nil {
		return err
	}
	t, ok := r.known[oid]
	if !ok {
		bare, err := r.bare(ctx)
		if err != nil {
			return err
		}
		t, ok = bare[oid]
	}
	if !ok || r.streamOf(t) != part.Stream {
		r.snapshots.LeaveOut("the table isn't captured any more under this name")
		return nil
	}
	c := &chunk{gone: map[string]bool{}, unreadable: map[int]error{}}
	c.Chunk, err = r.walker.Read(ctx, r.catalog.db, part, func(ctx context.Context) error {
		var lsn string
		if err := r.catalog.db.QueryRow(ctx, "select pg_current_wal_insert_lsn()::text").Scan(&lsn); err != nil {
			return err
		}
		if c.lsn, err = pglogrepl.ParseLSN(lsn); err != nil {
			return err
		}
		c.rel, err = r.catalog.present(ctx, oid, &t)
		return err
	})
	if err != nil {
		return err
	}
	for _, xid := range r.recent { // a commit is in the WAL before others see it
		if !c.Sees(xid) {
			return errUnseen
		}
	}
	if c.rel.stream != part.Stream {
		r.snapshots.LeaveOut("the table isn't captured any more under this name")
		return nil
	}
	// Rows hold the computed columns too, which the stream leaves out.
	c.rel.shape = c.Columns
	if err := c.rel.complete(r.name); err != nil {
		return err
	}
	for i, row := range c.Rows {
		var key []byte
		if row.Row != nil {
			if key, err = postgres.RowKey(c.Columns, c.rel.key, row.Row); err != nil {
				c.unreadable[i] = err
			}
		}
		c.keys = append(c.keys, string(key))
	}
	var held bool
	if err := r.catalog.db.QueryRow(ctx, "select pg_current_wal_flush_lsn() < $1::text::pg_lsn", c.lsn.String()).Scan(&held); err != nil {
		return fmt.Errorf("ask what is on disk: %w", err)
	}
	if held {
		if _, err := r.catalog.db.PgConn().Exec(ctx, flushSQL("datawatch.snapshot")).ReadAll(); err != nil {
			return fmt.Errorf("have the WAL written to disk: %w", err)
		}
	}
	r.chunk = c
	return r.nudge(ctx)
}

// overtakes takes rows out of the waiting chunk that the transaction which is being read has changed since.
func (r *reader) overtakes(rel *relation, changes []change) {
	c := r.chunk
	if c == nil || r.tx == nil || rel.stream != c.rel.stream || c.Sees(r.tx.wide) {
		return
	}
	for _, change := range changes {
		if change.key == nil || change.incomplete != nil && len(change.incomplete.Fields) > 0 {
			c.again = true
		}
		c.gone[string(change.key)] = true
	}
	if len(changes) == 0 {
		c.again = true
	}
}

// land tells the waiting chunk once all that committed before its place was.
func (r *reader) land(reached pglogrepl.LSN) {
	c := r.chunk
	if c == nil || reached < c.lsn {
		return
	}
	r.chunk = nil
	if c.again {
		return // its cursor stands where it was
	}
	r.keyed(c.rel)
	for i, row := range c.Rows {
		switch key := c.keys[i]; {
		case row.Row == nil:
			r.tooLarge(c.rel, reason.DoSnapshotTooLarge.With(strings.Join(row.At, ", ")))
		case c.unreadable[i] != nil:
			r.unreadable(c.rel, c.unreadable[i])
		case c.gone[key] && !c.rel.keyless: // told by whoever changed it
		default:
			var id []byte
			if !c.rel.keyless {
				id = []byte(key)
			}
			r.add(c.rel, change{op: event.Read, key: id, after: row.Row})
		}
	}
	r.snapshots.Read(len(c.Rows), c.Bytes, c.Next, c.Done)
	r.account()
}

// recall notes the transactions that run now: they may have been told before this run, and wait for a standby.
func (r *reader) recall(ctx context.Context) error {
	var running []int64
	err := r.catalog.db.QueryRow(ctx, `select array(select transactionid::text::bigint from pg_locks
		where locktype = 'transactionid' and mode = 'ExclusiveLock' and granted)`).Scan(&running) // a snapshot doesn't name the newest ones
	if err != nil {
		return fmt.Errorf("ask which transactions run: %w", err)
	}
	for _, xid := range running {
		r.recent = append(r.recent, r.near.widen(uint32(xid)))
	}
	return nil
}
