package alerts

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
)

const (
	// mostWriters bounds how many events tell who usually writes.
	mostWriters = 2_000
	// writersFor is how long what was read of a partition is believed.
	writersFor = time.Minute
)

// writers know who wrote to the streams of a partition of clean before a while ago, by its newest events of then. Errors
// belong together by who made them only where that one is new there: what a stream's usual writer does in its day's work
// has no one cause.
type writers struct {
	scanner *broker.Scanner
	log     *slog.Logger
	known   map[int32]written
}

// written is who wrote to the streams of a partition before a moment.
type written struct {
	read    time.Time // the moment for which it was read
	streams map[event.Stream]map[string]bool
	sources map[string]map[string]bool
}

func newWriters(scanner *broker.Scanner, log *slog.Logger) *writers {
	return &writers{scanner: scanner, log: log, known: map[int32]written{}}
}

// isNew tells whether who made a change hadn't written to its stream until a while before; where the stream had no changes
// that tell, to its source. Where nothing tells who usually writes, nobody is new.
func (w *writers) isNew(ctx context.Context, v *event.Violation, found time.Time) bool {
	actor := actorText(v.Actor)
	if actor == "" || v.Position.Topic == "" {
		return false
	}
	p := v.Position.Partition
	if known, ok := w.known[p]; !ok || found.Sub(known.read).Abs() > writersFor {
		read, err := w.read(ctx, v.Position.Topic, p, found)
		if err != nil { // the alert matters more than whom it stands with
			w.log.Warn("who usually writes isn't known; alerts don't belong together by who made them", "partition", p, "error", err)
			return false
		}
		w.known[p] = read
	}
	usual := w.known[p].streams[v.Stream]
	if len(usual) == 0 {
		usual = w.known[p].sources[v.Stream.Source()]
	}
	return len(usual) > 0 && !usual[actor]
}

func (w *writers) read(ctx context.Context, topic string, partition int32, found time.Time) (written, error) {
	known := written{found, map[event.Stream]map[string]bool{}, map[string]map[string]bool{}}
	to, err := w.scanner.Since(topic, partition, found.Add(-lately))
	if err != nil {
		return known, err
	}
	oldest, err := w.scanner.Oldest(topic, partition)
	if err != nil {
		return known, err
	}
	from := max(oldest, to-mostWriters)
	if from >= to {
		return known, nil
	}
	return known, w.scanner.Scan(ctx, topic, partition, from, to, func(r broker.Record) error {
		known.add(r)
		return nil
	})
}

func (k *written) add(r broker.Record) {
	var e struct {
		Source  string `json:"source"`
		Subject string `json:"subject"`
		Data    struct {
			Origin struct {
				Actor *event.Actor `json:"actor"`
			} `json:"origin"`
		} `json:"data"`
	}
	if json.Unmarshal(r.Value, &e) != nil {
		return
	}
	actor := actorText(e.Data.Origin.Actor)
	if actor == "" {
		return
	}
	stream := event.Stream(e.Source + "/" + e.Subject)
	if k.streams[stream] == nil {
		k.streams[stream] = map[string]bool{}
	}
	if k.sources[e.Source] == nil {
		k.sources[e.Source] = map[string]bool{}
	}
	k.streams[stream][actor], k.sources[e.Source][actor] = true, true
}
