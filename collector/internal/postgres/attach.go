package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/event"
)

// attached is what datawatch.tell_attached writes: a table that became a partition with the rows that it had.
type attached struct {
	Table  uint32 `json:"table"`
	Locked bool   `json:"locked"` // nobody wrote to it meanwhile
}

// attached has the rows of a partition read that was attached. They came to the stream without being written.
func (b *batch) attached(p *pack, s *shape) error {
	var a attached
	if err := json.Unmarshal(p.after, &a); err != nil {
		b.unreadable(p, s, fmt.Errorf("what was attached: %w", err))
		return nil
	}
	place := place{oid: a.Table}
	if !a.Locked {
		place.behind = b.open.Snapshot.xmax
	}
	part := partAt(s.stream, place, 0, len(s.key) == 0)
	b.r.snapshots.AddPart(fmt.Sprintf("attach-%s-%d-%s", b.r.p.Epoch, p.seq, p.txid), p.at, part)
	var err error
	b.also, err = b.r.snapshots.Progress()
	return err
}

// place is what a part of a snapshot is known by.
type place struct {
	oid uint32
	// behind is a transaction id: the part is read when all transactions below it are over, for until then its rows may be
	// changed by who knows it under another name; 0 where nobody does.
	behind uint64
}

func (p place) String() string {
	text := strconv.FormatUint(uint64(p.oid), 10)
	if p.behind > 0 {
		text += "@" + strconv.FormatUint(p.behind, 10)
	}
	return text
}

func parsePlace(text string) (p place, err error) {
	oid, behind, waits := strings.Cut(text, "@")
	n, err := strconv.ParseUint(oid, 10, 32)
	if err == nil && waits {
		p.behind, err = strconv.ParseUint(behind, 10, 64)
	}
	if err != nil {
		return p, fmt.Errorf("read the account of snapshots: %w", err)
	}
	p.oid = uint32(n)
	return p, nil
}

// leaveOut leaves the table that is being read out of the snapshot. Nobody waits for what was attached: where its rows are
// still there, people are told that they are missing.
func (r *reader) leaveOut(ctx context.Context, job *backfill.Job, why refused, there bool) error {
	part := job.Current()
	r.snapshots.LeaveOut(why.String())
	if !job.Partial || !there {
		return nil
	}
	g := event.Gap{From: job.Asked, To: r.now().UTC(), Cause: causeTableNew}.Advising(why.Attached())
	return r.tell(ctx, gap{stream: part.Stream, Gap: g})
}
