package wal

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"

	"datawatch/collector/internal/postgres"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// Causes of gaps.
const (
	causeSlotLost       = string(reason.SlotLost)
	causeNoPublication  = string(reason.PublicationLost)
	causeSlotMoved      = string(reason.SlotMoved)
	causeRestored       = string(reason.Restored)
	causeProgressLost   = string(reason.ProgressLost)
	causeCaptureChanged = string(reason.CaptureChanged)
	causeTableNew       = string(reason.TableNew)
	causeKeyChanged     = string(reason.KeyChanged)
	causePartition      = string(reason.PartitionChanged)
	causeNotPublished   = string(reason.NoIdentity)
	causeUnpublished    = string(reason.Unpublished)
	causeTooLarge       = string(reason.RowTooLarge)
	causeUnreadable     = string(reason.Unreadable)
)

// whereabouts is what reading begins with.
type whereabouts struct {
	server   server
	timeline int32
	left     pglogrepl.LSN // where the server left progress' timeline; 0 where it didn't
	slot     slot
	here     pglogrepl.LSN // the end of the WAL
	created  reason.Text   // why the slot was created just now; says nothing where it was there
	// unpublished: since a publication wasn't there for a time, in which changes may have been left out of what was read.
	unpublished bool
	// publications are their oids, all and inserts.
	publications [2]uint32
	redone       map[string]bool // tables that had to be published, or published anew, just now
	now          time.Time
	undone       *undoneError // the server's history was seen not to be the one that was read
}

// begin decides where reading goes on: at the progress where it fits the server and the slot, else in a new epoch, with the
// gap that tells why.
func begin(s stored, w whereabouts) (progress, *event.Gap) {
	fresh := progress{
		Version: progressVersion, Capture: captureName, System: w.server.system, Timeline: w.timeline, Publications: w.publications, LSN: w.slot.confirmed, At: w.now,
	}
	from := s.read
	anew := func(previous event.Epoch, since time.Time, cause string, do reason.Text) (progress, *event.Gap) {
		fresh.Epoch, fresh.Last = event.NewEpoch(w.now, previous), doneTx{LSN: fresh.LSN}
		return fresh, new(event.Gap{From: since.UTC(), To: w.now.UTC(), Cause: cause}.Advising(do))
	}
	switch {
	case from == nil && s.otherEpoch != "":
		if w.created.IsZero() { // a slot of before has what was told by triggers too
			fresh.LSN = max(fresh.LSN, w.here)
		}
		return anew(s.otherEpoch, s.otherAt, causeCaptureChanged, reason.DoCaptureChanged.With())
	case from == nil && w.slot.Used:
		return anew("", w.now, causeProgressLost, reason.DoProgressLost.With())
	case from == nil:
		fresh.Epoch, fresh.Last = event.NewEpoch(w.now, ""), doneTx{LSN: fresh.LSN}
		return fresh, nil
	case !sameSystem(from.System, w.server.system):
		return anew(from.Epoch, from.At, causeRestored, reason.DoOtherServer.With())
	case w.undone != nil:
		fresh.LSN = max(fresh.LSN, w.undone.common)
		return anew(from.Epoch, from.At, causeRestored, reason.DoRestored.With())
	case from.undone(w):
		return anew(from.Epoch, from.At, causeRestored, reason.DoRestored.With())
	case w.unpublished:
		since := from.At
		if right := s.right(); right.Before(since) {
			since = right
		}
		return anew(from.Epoch, since, causeNoPublication, reason.DoPublicationLost.With())
	case !w.created.IsZero():
		return anew(from.Epoch, from.At, causeSlotLost, reason.DoSlotLost.With(w.created))
	case w.slot.confirmed > from.LSN:
		return anew(from.Epoch, from.At, causeSlotMoved, reason.DoSlotMoved.With())
	default:
		p := *from
		p.Timeline, p.Publications = w.timeline, w.publications
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

// unpublished tells whether a publication wasn't there at some time since the progress; where the slot begins behind that,
// it makes no difference.
func (p *progress) unpublished(slot *slot, all, inserts publication) bool {
	if !all.there || !inserts.there {
		return true
	}
	known := p != nil && p.Publications != [2]uint32{}
	return known && p.Publications != [2]uint32{all.oid, inserts.oid} && slot.confirmed <= p.LSN
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

// beginEpoch tells the gap that an epoch begins with, also in streams that have begun before. Those end whose tables aren't there.
func (r *reader) beginEpoch(g event.Gap, from stored, now *look) error {
	there, all := postgres.Streams{}, postgres.Streams{}
	for _, t := range now.there {
		there[r.streamOf(t)] = r.config.Selects(t.Schema, t.Table)
	}
	maps.Copy(all, from.begun)
	for _, stream := range r.streams() {
		all[stream] = true
	}
	for _, stream := range slices.Sorted(maps.Keys(all)) {
		missing := g
		missing.From = r.capturedUntil(from.absent, r.known, stream, g.From)
		r.gap(stream, missing)
		if there[stream] {
			continue
		}
		schema, table, err := event.TableOf(stream.Entity())
		if err != nil {
			return fmt.Errorf("read which streams have begun: %w", err)
		}
		r.ended(knownTable{Schema: schema, Table: table}, leftDrop)
	}
	r.noteTables()
	return nil
}

// streams are those of the captured tables.
func (r *reader) streams() []event.Stream {
	var streams []event.Stream
	for _, t := range r.known {
		if stream := r.streamOf(t); !slices.Contains(streams, stream) {
			streams = append(streams, stream)
		}
	}
	slices.Sort(streams)
	return streams
}
