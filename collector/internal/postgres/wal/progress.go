package wal

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pglogrepl"

	"datawatch/collector/internal/postgres"
	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// Entries of progress.
const (
	entryRead   = ""       // how far the WAL was read
	entryTables = "tables" // which tables were captured when it was; capture by triggers that follows reads their names
)

const (
	progressVersion = 1
	captureName     = "wal"
)

// progress is how far the WAL was read.
type progress struct {
	Version  int         `json:"version"` // 1
	Capture  string      `json:"capture"` // "wal"; capture by triggers has progress of its own kind
	Epoch    event.Epoch `json:"epoch"`
	System   string      `json:"system"` // the cluster's identifier and the database's oid
	Timeline int32       `json:"timeline"`
	// Publications are the oids of the two that were read by. Where one was dropped and made anew, servers of version 18 leave
	// out what was written in between without a word; older ones can't decode it.
	Publications [2]uint32     `json:"publications,omitzero"`
	LSN          pglogrepl.LSN `json:"lsn"` // every transaction that committed before it is done
	// Told counts the events, gaps as a rule, that aren't of a transaction and are told at LSN.
	Told int64 `json:"told,omitempty"`
	// Last is the last transaction with changes that is done, or, without an XID, where the epoch begins. Between it and LSN there
	// may be empty ones, which servers before version 15 tell of.
	Last doneTx    `json:"last,omitzero"`
	At   time.Time `json:"at"` // every transaction that committed before it is done
	// Right is until when all was published, or else a gap tells of it.
	Right time.Time `json:"right,omitzero"`
	Open  *openTx   `json:"open,omitempty"`
}

// doneTx is what a server tells of a transaction, as long as its slot isn't past it. Another history of the same server doesn't
// have it, or not there.
type doneTx struct {
	LSN pglogrepl.LSN `json:"lsn"` // of its commit
	XID uint32        `json:"xid,omitempty"`
	At  time.Time     `json:"at,omitzero"`
}

func (t *doneTx) is(m *pglogrepl.BeginMessage) bool {
	return t.LSN == m.FinalLSN && t.XID == m.Xid && t.At.Equal(m.CommitTime)
}

// openTx is a transaction that was done in part.
type openTx struct {
	LSN    pglogrepl.LSN `json:"lsn"` // of its commit
	XID    uint32        `json:"xid,omitempty"`
	N      int64         `json:"n"`      // events so far
	Change pglogrepl.LSN `json:"change"` // of the last change that is done, of which
	Count  int           `json:"count"`  // so many messages are: a record of the WAL may hold many rows
}

// knownTable is a table, or a partition, that was captured.
type knownTable struct {
	Schema string `json:"schema"` // of the stream: the partition tree's root
	Table  string `json:"table"`
	Root   bool   `json:"root,omitempty"` // the relation is a partition of it, or it itself
	Tree   uint32 `json:"tree,omitempty"` // the root's oid; 0 where it is none, or an earlier program noted it
	// Key is the primary key where old rows come whole, its columns in JSON: a name that isn't in the catalog any more when they are read.
	Key string `json:"key,omitempty"`
	// Early: the stream told of it, and nothing was compared yet with a look that sees it.
	Early bool `json:"early,omitempty"`
}

// same tells whether two are of one stream.
func (t knownTable) same(other knownTable) bool {
	return t.Schema == other.Schema && t.Table == other.Table
}

// sameTree tells whether two are partitions of one tree, as far as that is known.
func (t knownTable) sameTree(other knownTable) bool {
	return t.Root && other.Root && t.same(other) && (t.Tree == other.Tree || t.Tree == 0 || other.Tree == 0)
}

// knownTables are the relations that were captured, by oid.
type knownTables map[uint32]knownTable

// looked are those that a look has found.
func (k knownTables) looked() knownTables {
	looked := maps.Clone(k)
	maps.DeleteFunc(looked, func(_ uint32, t knownTable) bool { return t.Early })
	return looked
}

type tablesEntry struct {
	Version   int         `json:"version"` // 1
	Tables    knownTables `json:"tables"`
	Published memberships `json:"published,omitempty"` // not of earlier programs
	Counted   counted     `json:"counted,omitzero"`
	// Keys are those that rows were last told by, of each stream that has one.
	Keys streamKeys `json:"keys,omitempty"`
	// InAdvance is where the WAL ended when the tables were listed, where nothing was read yet.
	InAdvance pglogrepl.LSN `json:"in_advance,omitzero"`
	// Pending are the relations of which rows are to be read yet.
	Pending map[uint32]unseen `json:"pending,omitempty"`
	Absent  absences          `json:"absent,omitempty"`
	// Packed is all of the entry, by gzip, where there are so many tables that the broker may not take it.
	Packed []byte `json:"packed,omitempty"`
}

// packedFrom is the size from which on an entry is packed. Each table takes some 100 bytes.
const packedFrom = 1 << 20

func (t *tablesEntry) encode() ([]byte, error) {
	text, err := json.Marshal(t)
	if err != nil || len(text) < packedFrom {
		return text, err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return json.Marshal(&tablesEntry{Version: t.Version, Packed: packed.Bytes()})
}

func decodeTables(text []byte) (t tablesEntry, err error) {
	if err := json.Unmarshal(text, &t); err != nil || t.Packed == nil {
		return t, err
	}
	r, err := gzip.NewReader(bytes.NewReader(t.Packed))
	if err != nil {
		return t, err
	}
	t = tablesEntry{}
	return t, json.NewDecoder(r).Decode(&t)
}

// stored is all progress that was committed.
type stored struct {
	read      *progress // nil where there is none
	tables    knownTables
	rows      memberships
	counted   counted
	keys      streamKeys
	inAdvance pglogrepl.LSN
	pending   map[uint32]unseen
	absent    absences
	// other is where capture by triggers ended.
	otherEpoch event.Epoch
	otherAt    time.Time
	// begun are the streams that were told of anything, by whichever way of capture, and haven't ended since.
	begun postgres.Streams
}

// storedProgress is all progress of a source of that name.
func storedProgress(name string, p source.Progress) (s stored, err error) {
	if s, err = parseProgress(p); err != nil {
		return s, err
	}
	if s.otherEpoch != "" {
		s.begun, err = postgres.BegunStreams(name, p)
		return s, err
	}
	s.begun = postgres.Streams{}
	for _, t := range s.tables {
		s.begun[event.StreamOf(name, event.TableEntity(t.Schema, t.Table))] = true
	}
	return s, nil
}

func parseProgress(p source.Progress) (stored, error) {
	var s stored
	if text := p[entryTables]; len(text) > 0 {
		t, err := decodeTables(text)
		if err != nil {
			return s, fmt.Errorf("read progress: %w", err)
		}
		s.tables, s.rows, s.counted, s.keys, s.inAdvance, s.pending, s.absent = t.Tables, t.Published, t.Counted, t.Keys, t.InAdvance, t.Pending, t.Absent
	}
	text := p[entryRead]
	if len(text) == 0 {
		return s, nil
	}
	var head struct {
		Version int
		Capture string
		Epoch   event.Epoch
		At      time.Time
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return s, fmt.Errorf("read progress: %w", err)
	}
	if head.Capture != captureName { // with versions of its own
		s.otherEpoch, s.otherAt, s.tables, s.rows, s.counted, s.keys = head.Epoch, head.At, nil, nil, counted{}, nil
		return s, nil
	}
	if head.Version != progressVersion {
		return s, reason.New(reason.NewerProgress.With(head.Version))
	}
	s.read = new(progress)
	if err := json.Unmarshal(text, s.read); err != nil {
		return s, fmt.Errorf("read progress: %w", err)
	}
	return s, nil
}

// source is the progress as it is committed; tables are given where they changed.
func (p *progress) source(tables *tablesEntry) (source.Progress, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("write progress: %w", err)
	}
	out := source.Progress{entryRead: text}
	if tables != nil {
		if out[entryTables], err = tables.encode(); err != nil {
			return nil, fmt.Errorf("write progress: %w", err)
		}
	}
	return out, nil
}
