package control

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// BeatKind is the kind of a service's sign of life.
const BeatKind = "beat"

// Beat is a sign of life of one running service: others tell people when it stays away.
type Beat struct {
	Version  int              `json:"version"` // 1
	Kind     string           `json:"kind"`
	Service  string           `json:"service"`
	Instance string           `json:"instance"` // one run of a program
	At       time.Time        `json:"at"`
	Stopping bool             `json:"stopping,omitempty"` // the last one: it was told to stop
	Parts    []Part           `json:"parts,omitempty"`    // what of it isn't as it should be
	Tallies  map[string]Tally `json:"tallies,omitempty"`  // by stream: what was judged since the beat before
	Canaries Canaries         `json:"canaries,omitempty"` // that this validator judged
	Alerts   *int             `json:"alerts,omitempty"`   // that are open, of the validator that keeps them
	Sources  []Source         `json:"sources,omitempty"`  // that this collector reads
	// Changes are what this collector captured since the beat before and may be shown, by stream.
	Changes map[event.Stream]Changes `json:"changes,omitempty"`
}

// Changes are how much was captured of a stream.
type Changes struct {
	Count int64     `json:"count"`
	First time.Time `json:"first"` // when the first of them was captured
	Last  time.Time `json:"last"`  // the source's time of the newest
}

// Add sums.
func (c Changes) Add(o Changes) Changes {
	switch {
	case c.Count == 0:
		return o
	case o.Count == 0:
		return c
	}
	c.Count += o.Count
	if o.First.Before(c.First) {
		c.First = o.First
	}
	if o.Last.After(c.Last) {
		c.Last = o.Last
	}
	return c
}

// Part is a dependency of a service that isn't as it should be.
type Part struct {
	Name   string    `json:"name"`
	Ready  bool      `json:"ready"` // it works, but somebody should look
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	// Why is the reason by its code; nil where an earlier version wrote the beat.
	Why *reason.Text `json:"why,omitempty"`
}

// Source is how a source fares that a collector reads. What isn't known is zero.
type Source struct {
	Name       string         `json:"name"`
	LagSeconds float64        `json:"lag_seconds,omitempty"`
	Backlog    int64          `json:"backlog,omitempty"`     // bytes that wait in its outbox
	BacklogCap int64          `json:"backlog_cap,omitempty"` // of them, with which capture stops
	Window     *Window        `json:"window,omitempty"`
	Trouble    *SourceTrouble `json:"trouble,omitempty"`
}

// Window is what a source holds for who reads it late: beyond it changes are lost. In bytes of WAL, or seconds of an oplog.
type Window struct {
	Left    int64 `json:"left"`
	Size    int64 `json:"size"`
	Seconds bool  `json:"seconds,omitempty"`
}

// SourceTrouble is why a source isn't read.
type SourceTrouble struct {
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
	Remedy string    `json:"remedy,omitempty"`
	// Why and Do are reason and remedy by their codes; nil where an earlier version wrote the beat.
	Why *reason.Text `json:"why,omitempty"`
	Do  *reason.Text `json:"do,omitempty"`
}

// Tally is how many events of a stream were found valid, invalid, or not checked.
type Tally struct {
	Valid     int64 `json:"valid,omitempty"`
	Invalid   int64 `json:"invalid,omitempty"`
	Unchecked int64 `json:"unchecked,omitempty"`
}

// Add sums.
func (t Tally) Add(o Tally) Tally {
	return Tally{t.Valid + o.Valid, t.Invalid + o.Invalid, t.Unchecked + o.Unchecked}
}

// Total are all events.
func (t Tally) Total() int64 { return t.Valid + t.Invalid + t.Unchecked }

// BeatRecord is the record of a beat.
func BeatRecord(topic string, b Beat) broker.Record {
	b.Version, b.Kind, b.At = 1, BeatKind, b.At.UTC()
	value, err := json.Marshal(b)
	if err != nil {
		panic(err) // texts, numbers and times
	}
	return broker.Record{Topic: topic, Key: []byte(uuid.NewString()), Value: value}
}

// ReadBeat gives back what a record was made of; ok is false for records of other kinds and of other versions.
func ReadBeat(r broker.Record) (b Beat, ok bool) {
	ok = json.Unmarshal(r.Value, &b) == nil && b.Kind == BeatKind && b.Version == 1
	return b, ok
}
