package postgres

import (
	"encoding/json"
	"fmt"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
)

// entry is the name of a database's only entry of progress.
const entry = ""

// progress is how far the outbox was read. Ticks up to Tick are committed; Open is the one after it, where a part of it
// is committed.
type progress struct {
	Version  int         `json:"version"` // 1
	Epoch    event.Epoch `json:"epoch"`
	Install  string      `json:"install"`  // the installation that the snapshot is of
	Timeline uint32      `json:"timeline"` // 0 where the server didn't tell
	Tick     int64       `json:"tick"`
	Snapshot snapshot    `json:"snapshot"`
	Marks    marks       `json:"marks,omitempty"`
	Failed   int64       `json:"failed"`  // statements whose capture failed, and
	Skipped  int64       `json:"skipped"` // that were left out for want of room, as far as told
	At       time.Time   `json:"at"`      // when Snapshot was taken
	Open     *openTick   `json:"open,omitempty"`
}

// openTick is a tick that was read in part.
type openTick struct {
	Snapshot snapshot  `json:"snapshot"`
	At       time.Time `json:"at"`
	Seq      int64     `json:"seq"` // the last pack that was read
	Part     int64     `json:"part"`
	N        int64     `json:"n"` // events so far
	Moves    *moves    `json:"moves,omitempty"`
	Extra    extras    `json:"extra,omitempty"`
}

// moves is how far the deletes of a statement of several packs were made: all of them come before its first insert.
type moves struct {
	Seq   int64  `json:"seq"`
	Part  int64  `json:"part"`  // the last pack that was looked at
	First int64  `json:"first"` // the index of the statement's first row
	XID   string `json:"xid"`
	Count int64  `json:"count"` // deletes so far
	Done  bool   `json:"done"`
}

// extra is how many events more than rows a transaction had, since key changes are two.
type extra struct {
	XID string `json:"xid"`
	N   int64  `json:"n"`
}

// extras are those of the transactions of a tick that changed keys, the latest last.
type extras []extra

// maxExtras bounds what a tick of very many transactions remembers; beyond it, a transaction's index may repeat.
const maxExtras = 2048

func (e extras) of(xid string) int64 {
	for _, one := range e {
		if one.XID == xid {
			return one.N
		}
	}
	return 0
}

func (e extras) add(xid string, n int64) extras {
	for i := range e {
		if e[i].XID == xid {
			e[i].N += n
			return e
		}
	}
	if len(e) == maxExtras {
		e = append(extras(nil), e[1:]...)
	}
	return append(e, extra{XID: xid, N: n})
}

const progressVersion = 1

// parseProgress reads what was committed; nil where nothing was.
func parseProgress(p source.Progress) (*progress, error) {
	text := p[entry]
	if len(text) == 0 {
		return nil, nil
	}
	var read progress
	if err := json.Unmarshal(text, &read); err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	if read.Version != progressVersion {
		return nil, fmt.Errorf("read progress: version %d is unknown: it was written by a newer datawatch", read.Version)
	}
	return &read, nil
}

func (p *progress) source() (source.Progress, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("write progress: %w", err)
	}
	return source.Progress{entry: text}, nil
}
