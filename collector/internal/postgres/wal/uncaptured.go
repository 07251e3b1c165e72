package wal

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// counted is what the server's statistics say of tables whose updates and deletes can't be published.
type counted struct {
	Since   string           `json:"since,omitempty"` // when the statistics were reset; others count anew
	Changes map[uint32]int64 `json:"changes,omitempty"`
}

func (c counted) equal(other counted) bool {
	return c.Since == other.Since && maps.Equal(c.Changes, other.Changes)
}

// uncaptured are changes that can't be published.
type uncaptured struct {
	table   knownTable
	name    string
	changes *int64 // nil where it isn't known how many, nor whether there were any
	from    time.Time
}

// statisticsLate is how late a session tells the server what it did, while the server is busy (PGSTAT_MAX_INTERVAL in
// src/backend/utils/activity/pgstat.c).
const statisticsLate = time.Minute

// Others than a superuser's reset are those of a crash, which these two show. Before version 15 a database has no statistics until it
// has some.
const countedSQL = `select concat_ws(' ', (select stats_reset from pg_stat_archiver), d.stats_reset), $1::int < 150000 and d.stats_reset is null
from pg_stat_database d where d.datname = current_database()`

// countUncaptured tells by the server's statistics what tables were changed whose changes can't be published, also since an earlier run.
func (w *watcher) countUncaptured(ctx context.Context, now *look, all []*table) error {
	now.counted = counted{Changes: map[uint32]int64{}}
	byOID := map[uint32]*table{}
	var oids []uint32
	for _, t := range withoutUpdates(all) {
		byOID[t.oid] = t
		oids = append(oids, t.oid)
	}
	if len(oids) == 0 {
		return nil
	}
	var none bool
	if err := w.db.QueryRow(ctx, countedSQL, w.server.version).Scan(&now.counted.Since, &none); err != nil {
		return fmt.Errorf("count changes: %w", err)
	}
	if none { // what it will have of these is from now on
		now.counted.Since = w.counted.Since
		for _, oid := range oids {
			now.counted.Changes[oid] = w.counted.Changes[oid]
		}
		return nil
	}
	rows, err := w.db.Query(ctx, "select relid::oid, n_tup_upd + n_tup_del from pg_stat_all_tables where relid = any ($1)", oids)
	if err != nil {
		return fmt.Errorf("count changes: %w", err)
	}
	var oid uint32
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&oid, &n}, func() error { now.counted.Changes[oid] = n; return nil }); err != nil {
		return fmt.Errorf("count changes: %w", err)
	}
	for _, oid := range oids {
		known, is := now.tables[oid]
		before, was := w.counted.Changes[oid]
		if _, old := w.known[oid]; !old && known.Root && w.known != nil && !now.fresh[oid].attached {
			before, was = 0, true // made as a partition since
		}
		n := now.counted.Changes[oid]
		told := uncaptured{table: known, name: byOID[oid].ident(), from: w.right.Add(-statisticsLate)}
		switch {
		case !is || !was:
			continue
		case n < before || w.counted.Since != "" && w.counted.Since != now.counted.Since: // how many there were before the reset nobody knows
		case n == before:
			continue
		default:
			told.changes = new(n - before)
		}
		now.uncaptured = append(now.uncaptured, told)
	}
	return nil
}

// joinUncaptured makes one of what two looks found of a table.
func joinUncaptured(earlier, later []uncaptured) []uncaptured {
	for _, u := range later {
		i := slices.IndexFunc(earlier, func(e uncaptured) bool { return e.table == u.table && e.name == u.name })
		switch {
		case i < 0:
			earlier = append(earlier, u)
		case earlier[i].changes == nil || u.changes == nil:
			earlier[i].changes = nil
		default:
			earlier[i].changes = new(*earlier[i].changes + *u.changes)
		}
	}
	return earlier
}

// uncaptured tells of updates and deletes of tables whose replica identity keeps them from being published.
func (r *reader) uncaptured(now *look) {
	for _, u := range now.uncaptured {
		r.gap(r.streamOf(u.table), event.Gap{From: u.from.UTC(), To: now.at.UTC(), Cause: causeNotPublished, Lost: u.changes}.Advising(reason.DoNoIdentity.With(u.name)))
	}
}
