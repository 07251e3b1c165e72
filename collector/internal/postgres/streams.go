package postgres

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
)

// Entries of progress beside the one of how far was read.
const (
	entryStreams = "streams" // which streams have begun; it is committed where they change
	entryTables  = "tables"  // of capture from the WAL: which tables were captured
)

// Streams are those that were told of anything, and haven't ended since.
type Streams map[event.Stream]bool

type streamsEntry struct {
	Version  int      `json:"version"`  // 1
	Entities []string `json:"entities"` // sorted
}

// BegunStreams reads which streams of a source have begun; nil where an earlier program read, or none.
func BegunStreams(name string, committed source.Progress) (Streams, error) {
	text := committed[entryStreams]
	if len(text) == 0 {
		return nil, nil
	}
	var e streamsEntry
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("read which streams have begun: %w", err)
	}
	streams := Streams{}
	for _, entity := range e.Entities {
		streams[event.StreamOf(name, entity)] = true
	}
	return streams, nil
}

func (s Streams) entry() (json.RawMessage, error) {
	e := streamsEntry{Version: 1, Entities: make([]string, 0, len(s))}
	for stream := range s {
		e.Entities = append(e.Entities, stream.Entity())
	}
	slices.Sort(e.Entities)
	text, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("write which streams have begun: %w", err)
	}
	return text, nil
}

// begunStreams are those of the progress, be it of another way of capture.
func (s *Source) begunStreams(from *progress, committed source.Progress) (Streams, error) {
	if from != nil && from.Capture != "" {
		return streamsFromWAL(s.name, committed[entryTables])
	}
	return BegunStreams(s.name, committed)
}

// streamsFromWAL are those of the tables that were captured from the WAL. The entry may be packed.
func streamsFromWAL(name string, text []byte) (Streams, error) {
	var e struct {
		Tables map[string]struct{ Schema, Table string }
		Packed []byte
	}
	streams := Streams{}
	if len(text) == 0 {
		return streams, nil
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("read which tables were captured from the WAL: %w", err)
	}
	if e.Packed != nil {
		r, err := gzip.NewReader(bytes.NewReader(e.Packed))
		if err == nil {
			text, err = io.ReadAll(r)
		}
		if err != nil {
			return nil, fmt.Errorf("read which tables were captured from the WAL: %w", err)
		}
		return streamsFromWAL(name, text)
	}
	for _, t := range e.Tables {
		streams[event.StreamOf(name, event.TableEntity(t.Schema, t.Table))] = true
	}
	return streams, nil
}

// Why all rows of a stream are gone from it, as its truncate says. Where a table just got another key, its stream goes on.
const (
	reasonDrop   = "drop"
	reasonRename = "rename"
	reasonAttach = "attach"
)

// tells takes note that an event of a stream was made.
func (b *batch) tells(stream event.Stream, c change) {
	ends := c.op == event.Truncate && (c.reason == reasonDrop || c.reason == reasonRename || c.reason == reasonAttach)
	begun := b.begun
	if begun == nil {
		begun = b.r.begun
	}
	if begun[stream] != ends {
		return
	}
	if b.begun == nil {
		b.begun = maps.Clone(begun)
	}
	if ends {
		delete(b.begun, stream)
	} else {
		b.begun[stream] = true
	}
}

// end tells that no row of a stream is left, whose table isn't there.
func (b *batch) end(stream event.Stream, at time.Time) error {
	schema, table, err := event.TableOf(stream.Entity())
	if err != nil {
		return fmt.Errorf("read which streams have begun: %w", err)
	}
	s, err := (&shape{schema: schema, table: table, columns: []event.Column{}}).complete(b.r.name, b.r.database)
	if err != nil {
		return err
	}
	b.row(&pack{at: at, rows: 1, total: 1}, s, 0, change{op: event.Truncate, reason: reasonDrop})
	return nil
}

// beginEpoch commits the gap that an epoch begins with, also in streams that have begun before. Those end whose tables aren't there.
func (r *reader) beginEpoch(ctx context.Context, g event.Gap) error {
	there, err := r.streams(ctx)
	if err != nil {
		return err
	}
	gone := maps.Clone(r.begun)
	for _, stream := range there {
		delete(gone, stream)
	}
	return r.tellAside(ctx, func(b *batch) error {
		b.begun = maps.Clone(r.begun) // also where these are as before: progress may be of another way of capture
		for _, stream := range there {
			b.gap(stream, g)
		}
		for _, stream := range slices.Sorted(maps.Keys(gone)) {
			b.gap(stream, g)
			if err := b.end(stream, g.To); err != nil {
				return err
			}
		}
		return nil
	})
}

// takeOver notes what an earlier program didn't, so that the next epoch is told by it, be there no event before. The streams that have begun by
// then are taken to be those of the tables that are there.
func (r *reader) takeOver(ctx context.Context) error {
	b := &batch{begun: maps.Clone(r.begun)}
	there, err := r.streams(ctx)
	if err != nil {
		return err
	}
	for _, stream := range there {
		b.begun[stream] = true
	}
	return r.commit(ctx, r.p, b)
}
