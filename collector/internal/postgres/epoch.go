package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

//go:embed sql/where.sql
var whereSQL string

// whereabouts is what the database says of itself before reading begins.
type whereabouts struct {
	version  int
	install  string
	meta     uint32    // the oid of the table that says so
	since    time.Time // when it was installed
	server   string    // as it was when it was installed
	timeline uint32
	database string
	epoch    event.Epoch // what the database was told
	tick     int64
	snapshot snapshot
	toldAt   time.Time
	holds    bool // the outbox has the last pack that was told; see progress.last
	// dumped: the installation came with a dump, which isn't older than this.
	dumped time.Time
	// waiting are transactions that are in the WAL, and wait for a synchronous standby: nobody sees them yet.
	waiting []uint32
}

func readWhereabouts(ctx context.Context, db querier) (whereabouts, error) {
	var w whereabouts
	var told string
	var timeline int64
	err := db.QueryRow(ctx, whereSQL).Scan(&w.version, &w.install, &w.meta, &w.since, &w.server, &timeline, &w.database, &w.epoch, &w.tick, &told, &w.toldAt, &w.waiting)
	if err != nil {
		return w, fmt.Errorf("read what is installed: %w", err)
	}
	w.timeline = uint32(timeline)
	w.snapshot, err = parseSnapshot(told)
	return w, err
}

// Causes of gaps.
const (
	causeCaptureChanged = string(reason.CaptureChanged)
	causeReinstalled    = string(reason.Reinstalled)
	causeRestored       = string(reason.Restored)
	causeProgressLost   = string(reason.ProgressLost)
	causeReadFurther    = string(reason.ReadFurther)
	causeOutboxFull     = string(reason.OutboxFull)
	causeCaptureFailed  = string(reason.CaptureFailed)
	causeTableNew       = string(reason.TableNew)
	causeKeyChanged     = string(reason.KeyChanged)
	causeNotCaptured    = string(reason.NotCaptured)
	causeSwitchedOff    = string(reason.SwitchedOff)
	causePartitionGone  = string(reason.PartitionGone)
	causeTooLarge       = string(reason.RowTooLarge)
	causeUnreadable     = string(reason.Unreadable)
)

// gap is a stretch that wasn't captured, in one stream ("" is all).
type gap struct {
	stream event.Stream
	event.Gap
}

// begin decides where reading goes on: at the progress where it fits the database, else in a new epoch, with the gap that
// tells why.
func begin(from *progress, w whereabouts, present snapshot, now time.Time) (progress, *gap) {
	fresh := progress{
		Version: progressVersion, Install: w.install, Meta: w.meta, Timeline: w.timeline, Snapshot: beginning, At: now,
	}
	before := w.epoch
	if from != nil {
		before = max(before, from.Epoch)
	}
	told := func(since time.Time, cause string, do reason.Code) *gap {
		return &gap{Gap: event.Gap{From: since, To: now, Cause: cause}.Advising(do.With())}
	}
	switch {
	case from == nil && !w.dumped.IsZero():
		// Whatever was written since the dump was brought here went with the other server's outbox.
		fresh.Epoch = event.NewEpoch(now, before)
		return fresh, told(w.dumped, causeReinstalled, reason.DoReinstalled)
	case from == nil && w.tick == 0:
		fresh.Epoch = event.NewEpoch(now, before)
		return fresh, nil
	case from == nil:
		// Somebody read here before. What the database was told is committed somewhere; the rest is still in the outbox.
		fresh.Epoch, fresh.Snapshot = event.NewEpoch(now, before), w.snapshot
		return fresh, told(w.toldAt, causeProgressLost, reason.DoProgressLost)
	case from.Capture != "":
		// The outbox has what was told from the WAL too, and which that is isn't known.
		fresh.Epoch, fresh.Snapshot = event.NewEpoch(now, before), present.with(w.waiting)
		return fresh, told(from.At, causeCaptureChanged, reason.DoCaptureChanged)
	case from.Install != w.install:
		fresh.Epoch = event.NewEpoch(now, before)
		return fresh, told(from.At, causeReinstalled, reason.DoReinstalled)
	case from.overtaken(w):
		// What the database was told beyond progress may be reclaimed; what is left of it is told once more.
		fresh.Epoch, fresh.Snapshot = event.NewEpoch(now, before), present.and(from.Snapshot)
		return fresh, told(from.At, causeReadFurther, reason.DoReadFurther)
	case from.remade(w) || from.rewound(w, present):
		// All that was told is of transactions that progress sees. What else is in the outbox wasn't; of those that use an id
		// again which progress has seen, nobody can tell.
		fresh.Epoch, fresh.Snapshot = event.NewEpoch(now, before), present.and(from.seen())
		return fresh, told(from.At, causeRestored, reason.DoRestored)
	default:
		p := *from
		p.Meta, p.Timeline = w.meta, w.timeline
		p.Marks = p.Marks.below(p.seen().xmax)
		return p, nil
	}
}

// overtaken tells whether the database was told of more than progress has seen: the broker lost it, or another's has it.
func (p *progress) overtaken(w whereabouts) bool {
	return w.snapshot.xmax > p.Snapshot.xmax || len(p.Snapshot.ended(w.snapshot)) > 0 || w.epoch == p.Epoch && w.tick > p.Tick
}

// remade tells whether the schema datawatch was made anew with the same installation, as by a dump that was brought back: what was
// written behind the dump is undone, be it that its outbox was told of as much since.
func (p *progress) remade(w whereabouts) bool { return p.Meta != 0 && p.Meta != w.meta }

// rewound tells whether the database is earlier than what progress has seen of it. Its transaction ids alone don't tell: it may
// have used as many again before it is looked at.
func (p *progress) rewound(w whereabouts, present snapshot) bool {
	if p.Snapshot.xmax > present.xmax || p.Open != nil && p.Open.Snapshot.xmax > present.xmax {
		return true
	}
	told := int64(-1)
	if w.epoch == p.Epoch {
		told = w.tick
	}
	if told >= p.Tick && p.Open == nil {
		return false // what the database was told is behind all that was read, and so nothing of it was undone
	}
	if p.Timeline != 0 && w.timeline != 0 && p.Timeline != w.timeline {
		return true
	}
	last := p.last()
	return last != nil && told < last.Tick && !w.holds
}

// seen sees all that was told, and perhaps more.
func (p *progress) seen() snapshot {
	if p.Open != nil {
		return p.Open.Snapshot
	}
	return p.Snapshot
}

// last is the last pack that was told, nil where that isn't known.
func (p *progress) last() *lastPack {
	if p.Open != nil && p.Open.Last != nil {
		return p.Open.Last
	}
	return p.Last
}

// holdsLast looks for the last pack that was told.
func holdsLast(ctx context.Context, db querier, installed int, from *progress) (holds bool, err error) {
	if from == nil || from.last() == nil {
		return false, nil
	}
	last := from.last()
	err = db.QueryRow(ctx, `select exists (select from `+packsOf(installed)+` where behind is null and seq = $1 and part = $2 and at = $3)`,
		last.Seq, last.Part, last.At).Scan(&holds)
	if err != nil {
		return false, fmt.Errorf("look for what was read last: %w", err)
	}
	return holds, nil
}

// sameServer compares identities; where one lacks the cluster's part, the database's has to do.
func sameServer(a, b string) bool {
	clusterA, databaseA, _ := strings.Cut(a, "/")
	clusterB, databaseB, _ := strings.Cut(b, "/")
	return databaseA == databaseB && (clusterA == clusterB || clusterA == "" || clusterB == "")
}

// adopt makes an installation that came with a dump this server's own: another server's outbox and transaction ids mean
// nothing here.
func (s *Source) adopt(ctx context.Context, db *pgx.Conn, installed int, server string) error {
	s.log.Warn("the schema datawatch came from another server: its outbox is emptied")
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		for _, sql := range []string{
			"truncate " + allTables(installed),
			"update datawatch.progress set epoch = '', tick = 0, snapshot = '1:1:', told_at = clock_timestamp()",
			"update datawatch.slots set switched_xid = null, switched_seq = null",
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, "update datawatch.meta set install = gen_random_uuid(), server = $1", server)
		return err
	})
	if err != nil {
		return fmt.Errorf("take over an installation that came with a dump: %w", err)
	}
	return nil
}
