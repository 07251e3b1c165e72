package alerts

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"datawatch/pkg/broker"
)

// acceptKind is the kind of a record of the control topic that accepts a group.
const acceptKind = "accept"

// Accept says that a group is known and accepted until a time, or those of its rows whose keys are named.
type Accept struct {
	Version int       `json:"version"` // 1
	Kind    string    `json:"kind"`
	Group   string    `json:"group"`
	Keys    []string  `json:"keys,omitempty"` // canonical JSON
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Until   time.Time `json:"until"`
	Reason  string    `json:"reason"`
}

// MaxAcceptedKeys bounds Accept.Keys.
const MaxAcceptedKeys = 5_000

// AcceptRecord is the record that has the keeper accept.
func AcceptRecord(topic string, a Accept) broker.Record {
	a.Version, a.Kind = 1, acceptKind
	value, err := json.Marshal(a)
	if err != nil {
		panic(err) // texts and times
	}
	return broker.Record{Topic: topic, Key: []byte(uuid.NewString()), Value: value}
}

func readAccept(r broker.Record) (a Accept, ok bool) {
	ok = json.Unmarshal(r.Value, &a) == nil && a.Kind == acceptKind && a.Version == 1
	return a, ok
}

// Known tells whether there is a group of that ID.
func Known(ctx context.Context, scanner *broker.Scanner, stateTopic, group string) (bool, error) {
	state, err := scanner.State(ctx, stateTopic, groupPrefix+group)
	_, known := state[groupPrefix+group]
	return known, err
}
