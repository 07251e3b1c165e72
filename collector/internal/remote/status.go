package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/reason"
)

// ClientID is the commands' name at the broker.
const ClientID = "datawatch-collector-tools"

// Silent is how long a status counts after it was written; a source that is run again after a failure waits that long at
// most before it says so.
const Silent = 50 * time.Second

// Stopped is the state of a source whose collector ended in order.
const Stopped source.State = "stopped"

const statusVersion = 1

// Status is how a source is, as the collector that runs it said last.
type Status struct {
	Version int          `json:"version"` // 1
	State   source.State `json:"state"`
	Reason  string       `json:"reason,omitempty"` // in English
	Why     *reason.Text `json:"why,omitempty"`    // the same by its code
	Since   time.Time    `json:"since"`            // when the state became what it is
	Host    string       `json:"host"`
	// Shards is into how many units the source is split, of which this is number Shard, from 0; absent where it is whole.
	Shard  int       `json:"shard,omitempty"`
	Shards int       `json:"shards,omitempty"`
	At     time.Time `json:"at"` // when it was written
	// LagSeconds is how far capture is behind; BacklogBytes is what waits in the watched system, where that is known.
	LagSeconds   float64 `json:"lag_seconds"`
	BacklogBytes *int64  `json:"backlog_bytes,omitempty"`
}

const statusPrefix = "status/"

// Record is the status as a record of the state topic.
func (s Status) Record(topic, name string) broker.Record {
	s.Version = statusVersion
	value, err := json.Marshal(s)
	if err != nil {
		panic(err) // texts, times and numbers; a lag is never NaN
	}
	return broker.Record{Topic: topic, Key: []byte(s.key(name)), Value: value}
}

// Running tells whether a collector runs the source, as far as its last word tells.
func (s *Status) Running(now time.Time) bool {
	return s != nil && s.State != Stopped && now.Sub(s.At) < Silent
}

// Seen is what the state topic holds of a source.
type Seen struct {
	Status    *Status // nil where no collector ever ran it
	Snapshots *backfill.Account
}

// Look reads what is known of the sources with these names.
func Look(ctx context.Context, c config.Broker, names []string) (map[string]Seen, error) {
	scanner, err := broker.NewScanner(c, ClientID)
	if err != nil {
		return nil, err
	}
	defer func() { _ = scanner.Close() }() // it only read
	state, err := scanner.State(ctx, broker.TopicsOf(c.TopicPrefix).State, "s")
	if err != nil {
		return nil, err
	}
	seen := map[string]Seen{}
	for _, name := range names {
		one := Seen{}
		if one.Status, err = statusOf(state, name); err != nil {
			return nil, fmt.Errorf("read the status of %s: %w", name, err)
		}
		if one.Snapshots, err = accountOf(state[accountKey(name)]); err != nil {
			return nil, fmt.Errorf("source %s: %w", name, err)
		}
		seen[name] = one
	}
	return seen, nil
}

func accountKey(name string) string {
	return strings.Join([]string{"source", name, backfill.Entry}, "/")
}

func accountOf(text []byte) (*backfill.Account, error) {
	return backfill.Parse(source.Progress{backfill.Entry: text})
}
