package wal

import (
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"

	"datawatch/collector/internal/postgres"
	"datawatch/pkg/event"
)

// Causes of gaps.
const (
	causeSlotLost       = "slot_lost"
	causeSlotMoved      = "slot_moved"
	causeRestored       = "restored"
	causeProgressLost   = "progress_lost"
	causeCaptureChanged = "capture_changed"
	causeTableNew       = "table_new"
	causePartition      = "partition_changed"
	causeNotPublished   = "no_replica_identity"
	causeTooLarge       = "row_too_large"
	causeUnreadable     = "unreadable"
)

// whereabouts is what reading begins with.
type whereabouts struct {
	server   server
	timeline int32
	left     pglogrepl.LSN // where the server left progress' timeline; 0 where it didn't
	slot     slot
	created  string // why the slot was created just now, "" where it was there
	now      time.Time
}

// begin decides where reading goes on: at the progress where it fits the server and the slot, else in a new epoch, with the
// gap that tells why.
func begin(s stored, w whereabouts) (progress, *event.Gap) {
	fresh := progress{
		Version: progressVersion, Capture: captureName, System: w.server.system, Timeline: w.timeline, LSN: w.slot.confirmed, At: w.now,
	}
	from := s.read
	anew := func(previous event.Epoch, since time.Time, cause, remedy string) (progress, *event.Gap) {
		fresh.Epoch = event.NewEpoch(w.now, previous)
		return fresh, &event.Gap{From: since.UTC(), To: w.now.UTC(), Cause: cause, Remedy: remedy}
	}
	switch {
	case from == nil && s.otherEpoch != "":
		return anew(s.otherEpoch, s.otherAt, causeCaptureChanged,
			"Capture changed from triggers to wal. Changes that the outbox still held, and those in between, are not here. "+postgres.Recapture)
	case from == nil && w.slot.Used:
		return anew("", w.now, causeProgressLost,
			"The collector's progress is gone from the state topic. Events just before this one may stand twice, and after it none is missing: nothing is to be done where whoever reads takes `after` by key.")
	case from == nil:
		fresh.Epoch = event.NewEpoch(w.now, "")
		return fresh, nil
	case !sameSystem(from.System, w.server.system):
		return anew(from.Epoch, from.At, causeRestored, "The address leads to another server or database. Changes since then are not here, and some that were sent may be unknown there. "+postgres.Recapture)
	case from.undone(w):
		return anew(from.Epoch, from.At, causeRestored, "The server was restored or failed over. Changes since then may be missing, and some that were sent may be undone. "+postgres.Recapture)
	case w.created != "":
		return anew(from.Epoch, from.At, causeSlotLost,
			fmt.Sprintf("The replication slot was lost (%s), and made anew. Changes in between are not here. %s", w.created, postgres.Recapture))
	case w.slot.confirmed > from.LSN:
		return anew(from.Epoch, from.At, causeSlotMoved,
			"The replication slot was moved on, or dropped and created, by somebody else. Changes in between are not here. "+postgres.Recapture)
	default:
		p := *from
		p.Timeline = w.timeline
		return p, nil
	}
}

// undone tells whether the server's history isn't the one that progress has read.
func (p *progress) undone(w whereabouts) bool {
	if p.Timeline != w.timeline {
		// A switch that came behind all that was read has undone none of it.
		return w.left == 0 || p.last() > w.left
	}
	return p.last() > w.server.lsn
}

// last is the last place that was read.
func (p *progress) last() pglogrepl.LSN {
	if p.Open != nil {
		return max(p.LSN, p.Open.LSN)
	}
	return p.LSN
}

// sameSystem compares identities; where one lacks the cluster's part, the database's has to do.
func sameSystem(a, b string) bool {
	clusterA, databaseA, _ := strings.Cut(a, "/")
	clusterB, databaseB, _ := strings.Cut(b, "/")
	return databaseA == databaseB && (clusterA == clusterB || clusterA == "" || clusterB == "")
}
