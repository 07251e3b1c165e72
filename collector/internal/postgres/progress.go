package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
)

// entry is the name of the entry of progress that tells how far was read.
const entry = ""

// progress is how far the outbox was read. Ticks up to Tick are committed; Open is the one after it, where a part of it
// is committed.
type progress struct {
	Version  int         `json:"version"`           // 4
	Capture  string      `json:"capture,omitempty"` // another way of capture, whose progress this is: only Epoch and At are known then
	Epoch    event.Epoch `json:"epoch"`
	Install  string      `json:"install"`        // the installation that the snapshot is of
	Meta     uint32      `json:"meta,omitempty"` // the oid of its datawatch.meta, another where a dump brought it back; 0 where an earlier program read
	Timeline uint32      `json:"timeline"`       // 0 where the server didn't tell
	Tick     int64       `json:"tick"`
	Snapshot snapshot    `json:"snapshot"`
	Marks    marks       `json:"marks,omitempty"`
	Failed   int64       `json:"failed"`  // statements whose capture failed, and
	Skipped  int64       `json:"skipped"` // that were left out for want of room, as far as told
	At       time.Time   `json:"at"`      // when Snapshot was taken
	Last     *lastPack   `json:"last,omitempty"`
	Open     *openTick   `json:"open,omitempty"`
}

// lastPack is the last pack that was told which is behind no other's statement. It is in the outbox until the database was
// told of its tick: where it isn't, the database is an earlier one than was read.
type lastPack struct {
	Tick int64     `json:"tick"`
	Seq  int64     `json:"seq"`
	Part int64     `json:"part"`
	At   time.Time `json:"at"` // a restored database gives numbers of before again, but not their moment
}

// openTick is a tick that was read in part.
type openTick struct {
	Snapshot snapshot  `json:"snapshot"`
	At       time.Time `json:"at"`
	Low      int64     `json:"low"`    // below the number of each of its packs
	Path     []frame   `json:"path"`   // where reading is
	N        int64     `json:"n"`      // events so far
	Nested   int64     `json:"nested"` // packs so far that are behind a statement
	Indexes  indexes   `json:"indexes,omitempty"`
	Last     *lastPack `json:"last,omitempty"`
}

// index is the place in a transaction that its next event gets.
type index struct {
	XID string `json:"xid"`
	N   int64  `json:"n"`
}

// indexes are those of transactions in which it isn't told by how many rows were captured before: a changed key gives two
// events, and what triggers did is captured before the statement that set it off. The latest is last.
type indexes []index

// maxIndexes bounds what a tick of very many such transactions remembers; beyond it, a transaction's index may repeat.
const maxIndexes = 2048

func (x indexes) of(xid string) (n int64, known bool) {
	for i := len(x) - 1; i >= 0; i-- {
		if x[i].XID == xid {
			return x[i].N, true
		}
	}
	return 0, false
}

func (x indexes) set(xid string, n int64) indexes {
	for i := len(x) - 1; i >= 0; i-- {
		if x[i].XID == xid {
			x[i].N = n
			return x
		}
	}
	if len(x) == maxIndexes {
		x = append(indexes(nil), x[1:]...)
	}
	return append(x, index{XID: xid, N: n})
}

const (
	progressVersion = 4
	// oldestOpen is the oldest version with frames as they are now, but for the transactions of what was told: numbers were of one alone.
	oldestOpen = 3
)

// parseProgress reads what was committed; nil where nothing was.
func parseProgress(p source.Progress) (*progress, error) {
	text := p[entry]
	if len(text) == 0 {
		return nil, nil
	}
	var head progress
	if err := json.Unmarshal(text, &struct {
		Capture *string
		Epoch   *event.Epoch
		At      *time.Time
	}{&head.Capture, &head.Epoch, &head.At}); err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	if head.Capture != "" {
		return &head, nil
	}
	var read progress
	if err := json.Unmarshal(text, &read); err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	if read.Version > progressVersion {
		return nil, fmt.Errorf("read progress: version %d is unknown: it was written by a newer datawatch", read.Version)
	}
	if read.Version < oldestOpen {
		read.Open = nil // the tick is read again from its start
	}
	read.Version = progressVersion
	return &read, nil
}

func (p *progress) source() (source.Progress, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("write progress: %w", err)
	}
	return source.Progress{entry: text}, nil
}

// complete finds the transactions of what was told by a program that knew them by their numbers. What isn't there any more was told whole.
func (o *openTick) complete(ctx context.Context, db querier, installed int) error {
	find := func(seq int64, xid *string) error {
		sql := "select coalesce((select max(txid::text) from " + packsOf(installed) + " where seq = $1), $2)"
		if err := db.QueryRow(ctx, sql, seq, lastXID).Scan(xid); err != nil {
			return fmt.Errorf("find where reading was: %w", err)
		}
		return nil
	}
	for i := range o.Path {
		f := &o.Path[i]
		if f.At == "" && f.Part != wholeStatement {
			if err := find(f.Seq, &f.At); err != nil {
				return err
			}
		}
		if f.Moves != nil && f.Moves.XID == "" {
			if err := find(f.Moves.Seq, &f.Moves.XID); err != nil {
				return err
			}
		}
	}
	return nil
}
