package control

import (
	"encoding/json"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
)

// GapKind is the kind of the record of a gap.
const GapKind = "gap"

// Gap is a stretch of a stream that was not captured: whoever judges the stream hands it to who tells people, in the
// transaction that carries its verdicts, so each gap is handed on once.
type Gap struct {
	Version int          `json:"version"` // 1
	Kind    string       `json:"kind"`
	Stream  event.Stream `json:"stream"`
	What    event.Gap    `json:"gap"`
}

// GapRecord is the record of a gap event.
func GapRecord(topic string, e *event.Clean) broker.Record {
	g := Gap{Version: 1, Kind: GapKind, Stream: e.Stream}
	if e.Gap != nil {
		g.What = *e.Gap
	}
	value, err := json.Marshal(g)
	if err != nil {
		panic(err) // texts, numbers and times
	}
	return broker.Record{Topic: topic, Key: []byte("gap-" + e.ID), Value: value}
}

// ReadGap gives back what a record was made of; ok is false for records of other kinds and of other versions.
func ReadGap(r broker.Record) (g Gap, ok bool) {
	ok = json.Unmarshal(r.Value, &g) == nil && g.Kind == GapKind && g.Version == 1
	return g, ok
}
