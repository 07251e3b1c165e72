package wal

import (
	"maps"
	"slices"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// memberships are, by relation, the rows of the catalog by which the publications, all and inserts, had it when it was last known
// that everything of it was published, and by which a partition was in its tree. Whatever somebody does to a publication, or to what is
// in it, and be it undone before anybody looks, leaves other rows.
type memberships map[uint32][3]string

// place is that of a partition in its tree; "" where it is none, or an earlier program noted no places.
func (m memberships) place(oid uint32) string { return m[oid][2] }

// byItself tells whether a relation was published by itself.
func (m memberships) byItself(oid uint32) bool { return m[oid][0] != "" || m[oid][1] != "" }

// updates tells whether a table's updates were published, with its tree or by itself.
func (m memberships) updates(t *table) bool { return m.updated(t.oid, t.root) }

func (m memberships) updated(oid, root uint32) bool { return m[oid][0] != "" || m[root][0] != "" }

// changed tells whether a table isn't in a publication any more as it was.
func (m memberships) changed(t *table, publication int) bool {
	was := m[t.oid][publication]
	return was != "" && was != t.rows[publication]
}

// unpublished is a time in which not every change of a stream may have been published, since a publication wasn't as it is to be.
type unpublished struct {
	table    knownTable
	from, to time.Time
	identity string // of which table the replica identity came or went; "" where that isn't why
}

// judge finds which of the tables that were captured were, or are, not published as they are to be. One that isn't yet is told, and
// what follows when it is.
func (w *watcher) judge(now *look, all []*table) {
	now.rows, now.wrong = memberships{}, map[uint32]time.Time{}
	told := map[unpublished]bool{}
	selected := map[uint32]bool{}
	for _, t := range all {
		selected[t.oid] = t.wantAll || t.wantInserts
	}
	for _, t := range all {
		rows, right, touched := w.judgeTable(t)
		if selected[t.root] {
			rows[2] = t.rows[2]
		}
		if rows != [3]string{} {
			now.rows[t.oid] = rows
		}
		since, wasWrong := w.wrong[t.oid]
		known, was := w.known[t.oid]
		gap := unpublished{table: knownTable{Schema: t.rootSchema, Table: t.rootName}, from: w.right, to: now.at}
		if t.wantAll && !w.rows.updates(t) && (w.rows[t.oid][1] != "" || w.rows[t.root][1] != "") {
			gap.identity, touched = t.ident(), true
		}
		switch {
		case !w.came(t):
			continue
		case was && w.moved(t, known) && !wasWrong: // which is told
			continue
		case !right && wasWrong:
			now.wrong[t.oid] = since
			continue
		case !right:
			now.wrong[t.oid] = now.at
		case wasWrong:
			gap.from = since
		case !touched:
			continue
		}
		if !told[gap] { // by the tree's root, or another partition
			told[gap] = true
			now.unpublished = append(now.unpublished, gap)
		}
	}
	for _, t := range withoutUpdates(all) {
		if known, came := w.known[t.oid]; came && w.rows.updates(t) && !now.rows.updates(t) {
			now.unpublished = append(now.unpublished, unpublished{known, w.right, now.at, t.ident()})
		}
	}
}

// judgeTable tells whether a table is published as it is to be, and whether it was touched since the last look. Where it is put right by
// us, it is right only when that was done: whoever wrote to it when somebody else added it wasn't waited for.
func (w *watcher) judgeTable(t *table) (rows [3]string, right, touched bool) {
	right = true
	redone := w.redone[t.ident()]
	for i, want := range [2]bool{t.wantAll, t.wantInserts} {
		changed := w.rows.changed(t, i)
		switch {
		case !want:
			rows[i] = t.rows[i]
		case t.sound[i] && (!changed || redone || !w.config.ManageTriggers):
			rows[i] = t.rows[i]
			touched = touched || changed
		default:
			rows[i] = w.rows[t.oid][i]
			right = false
		}
	}
	was := w.rows[t.oid]
	return rows, right, touched || redone && was[0] == "" && was[1] == ""
}

// came tells whether changes of a table, or of a partition tree, were captured at the last look.
func (w *watcher) came(t *table) bool {
	if !t.partitioned {
		_, came := w.known[t.oid]
		return came
	}
	for _, known := range w.known {
		if known.sameTree(knownTable{Schema: t.schema, Table: t.name, Root: true, Tree: t.oid}) {
			return true
		}
	}
	return false
}

// joinUnpublished makes one of what two looks found of a table.
func joinUnpublished(earlier, later []unpublished) []unpublished {
	for _, u := range later {
		i := slices.IndexFunc(earlier, func(e unpublished) bool { return e.table == u.table && e.identity == u.identity })
		if i < 0 {
			earlier = append(earlier, u)
		} else if u.to.After(earlier[i].to) {
			earlier[i].to = u.to
		}
	}
	return earlier
}

// unpublished tells of what may not have been published.
func (r *reader) unpublished(now *look) {
	for _, u := range now.unpublished {
		cause, do := causeUnpublished, reason.DoUnpublished.With(r.names.all, r.names.inserts)
		if u.identity != "" {
			cause, do = causeNotPublished, reason.DoNoIdentity.With(u.identity)
		}
		r.gap(r.streamOf(u.table), event.Gap{From: u.from.UTC(), To: u.to.UTC(), Cause: cause}.Advising(do))
	}
}

// absences are, by relation, until when those were captured that are there and aren't any more: they may be again, as one that the
// configuration leaves out for a time.
type absences map[uint32]time.Time

// capturedUntil is until when all tables of a stream were captured, if that is before.
func (r *reader) capturedUntil(absent absences, tables knownTables, stream event.Stream, before time.Time) time.Time {
	for id, until := range absent {
		if t, is := tables[id]; is && r.streamOf(t) == stream && until.Before(before) {
			before = until
		}
	}
	return before
}

// takeTables takes what a look found for known, and has it committed.
func (r *reader) takeTables(now *look) {
	absent := absences{}
	for id := range now.there {
		until, was := r.absent[id]
		if _, known := r.known[id]; known {
			until, was = now.since.UTC(), true
		}
		if _, is := now.tables[id]; was && !is {
			absent[id] = until
		}
	}
	r.absent = absent
	r.known, r.rows, r.counted = now.tables, now.rows, now.counted
	r.noteTables()
}

// noteTables has the batch commit what is known of tables.
func (r *reader) noteTables() {
	r.batch.tables = &tablesEntry{
		Version: progressVersion, Tables: r.known, Published: r.rows, Counted: r.counted, Keys: maps.Clone(r.keys), InAdvance: r.inAdvance, Pending: r.pending, Absent: r.absent,
	}
}

// right is when the publications were last known to be right; earlier programs noted no more than what they had read.
func (s *stored) right() time.Time {
	if s.read == nil {
		return time.Time{}
	}
	if s.read.Right.IsZero() {
		return s.read.At
	}
	return s.read.Right
}
