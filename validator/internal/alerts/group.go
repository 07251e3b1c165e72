package alerts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/validator/internal/alerts/life"
)

// Keys of the state topic.
const (
	groupPrefix   = "alert/"
	messagePrefix = "alert-message/"
)

// Group is what is known of all errors of one fingerprint.
type Group struct {
	Version     int             `json:"version"` // 1
	Fingerprint string          `json:"fingerprint"`
	Stream      event.Stream    `json:"stream"`
	File        string          `json:"file"`
	Kind        event.ErrorKind `json:"kind"`
	Rule        string          `json:"rule,omitempty"`
	Severity    event.Severity  `json:"severity"`
	Owner       string          `json:"owner,omitempty"`
	Runbook     string          `json:"runbook,omitempty"`
	Count       int64           `json:"count"` // of events
	Keys        sketch          `json:"keys"`  // hashes of the keys touched
	First       time.Time       `json:"first"` // times of events in their source
	Last        time.Time       `json:"last"`
	Example     Example         `json:"example"` // the first one

	Live       int64       `json:"live,omitempty"`   // events that aren't of a snapshot
	Seen       time.Time   `json:"seen,omitzero"`    // when the newest was found
	Born       time.Time   `json:"born,omitzero"`    // when the first was found
	Newest     string      `json:"newest,omitempty"` // the schema's version that found the newest
	Hour       int64       `json:"hour,omitempty"`   // of Seen, since 1970
	InHour     int64       `json:"in_hour,omitempty"`
	HourBefore int64       `json:"hour_before,omitempty"`
	Origin     life.Origin `json:"origin,omitzero"`
	Recent     []Example   `json:"recent,omitempty"` // the newest, the last one last
}

// maxRecent bounds Group.Recent.
const maxRecent = 5

// Example is one error as people are shown it.
type Example struct {
	SHA256   string          `json:"sha256"`
	Place    string          `json:"place"`
	Keyword  string          `json:"keyword"`
	Message  string          `json:"message"`
	Expected string          `json:"expected,omitempty"`
	Actual   string          `json:"actual,omitempty"`
	Key      json.RawMessage `json:"key"`
	Op       event.Op        `json:"op"`
	Sample   string          `json:"sample,omitempty"` // as a message shows it

	Transaction string    `json:"transaction,omitempty"`
	Actor       string    `json:"actor,omitempty"`
	At          time.Time `json:"at,omitzero"` // in its source
}

// newGroup begins a group with its first error.
func newGroup(v *event.Violation, e *event.ViolationError, at time.Time) *Group {
	return &Group{
		Version: 1, Fingerprint: e.Fingerprint, Stream: v.Stream, File: v.Schema.File, Kind: e.Kind, Rule: e.Rule, Example: newExample(v, e, at),
	}
}

func newExample(v *event.Violation, e *event.ViolationError, at time.Time) Example {
	x := Example{
		SHA256: v.Schema.SHA256, Place: e.InstanceLocation, Keyword: e.KeywordLocation[strings.LastIndexByte(e.KeywordLocation, '/')+1:],
		Message: e.Message, Expected: e.Expected, Actual: e.Actual, Key: v.Key, Op: v.Op, Sample: telegram.Shorten(layout(v.Sample), maxSample), At: at,
	}
	if v.Transaction != nil {
		x.Transaction = *v.Transaction
	}
	x.Actor = actorText(v.Actor)
	return x
}

// actorText is who made a change, as people read it.
func actorText(a *event.Actor) string {
	switch {
	case a == nil:
		return ""
	case a.User == "" || a.Application == "":
		return a.Application + a.User
	}
	return a.Application + " (" + a.User + ")"
}

// origin is where an error came from; changed says that its schema has come into force lately, stranger that who made the
// change is new to the stream.
func origin(v *event.Violation, changed, stranger bool) life.Origin {
	var o life.Origin
	if v.Transaction != nil {
		o.Transaction = v.Stream.Source() + " " + *v.Transaction
	}
	if stranger {
		o.Actor = v.Stream.Source() + " " + actorText(v.Actor) + " " + v.Actor.Client
	}
	if changed {
		o.Schema = v.Schema.File + " " + v.Schema.SHA256
	}
	return o
}

// add counts one event. Owner, runbook and severity are those of the newest: a schema may have been changed since. key
// is the record's key, found the time when the judge found it.
func (g *Group) add(v *event.Violation, e *event.ViolationError, key []byte, at, found time.Time) {
	g.Count++
	if v.Op != event.Read {
		g.Live++
	}
	g.Keys.add(key)
	if g.First.IsZero() || at.Before(g.First) {
		g.First = at
	}
	if at.After(g.Last) {
		g.Last = at
	}
	if g.Born.IsZero() {
		g.Born = found
	}
	if found.After(g.Seen) {
		g.Seen = found
	}
	g.inHour(found)
	g.Newest = v.Schema.SHA256
	g.Recent = append(slices.Clone(g.Recent[max(0, len(g.Recent)-maxRecent+1):]), newExample(v, e, at))
	g.Severity, g.Owner, g.Runbook = e.Severity, v.Owner, v.Runbook
	if g.Severity == "" {
		g.Severity = v.Severity
	}
}

// inHour counts an event in the hour in which it was found.
func (g *Group) inHour(found time.Time) {
	hour := found.Unix() / int64(time.Hour/time.Second)
	switch {
	case hour == g.Hour+1:
		g.HourBefore, g.InHour, g.Hour = g.InHour, 0, hour
	case hour > g.Hour:
		g.HourBefore, g.InHour, g.Hour = 0, 0, hour
	}
	g.InHour++
}

// hours are the events of this hour and of the one before.
func (g *Group) hours(now time.Time) (this, before int64) {
	switch now.Unix() / int64(time.Hour/time.Second) {
	case g.Hour:
		return g.InHour, g.HourBefore
	case g.Hour + 1:
		return 0, g.InHour
	}
	return 0, 0
}

// gap is the usual time between two events.
func (g *Group) gap() time.Duration {
	if g.Count < 2 || g.Born.IsZero() {
		return 0
	}
	return g.Seen.Sub(g.Born) / time.Duration(g.Count-1)
}

// clone is a copy that may be added to.
func (g *Group) clone() *Group {
	c := *g
	return &c // a sketch is never altered in place
}

// readGroups reads the state of groups, by fingerprint.
func readGroups(state map[string][]byte) (map[string]*Group, error) {
	groups := make(map[string]*Group, len(state))
	for key, value := range state {
		g := new(Group)
		if err := json.Unmarshal(value, g); err != nil {
			return nil, fmt.Errorf("read state %s: %w", key, err)
		}
		if g.Version != 1 {
			return nil, fmt.Errorf("read state %s: version %d is newer than this program", key, g.Version)
		}
		groups[g.Fingerprint] = g
	}
	return groups, nil
}

// keyText is a key as people read it: the value where there is one, name=value where there are several.
func keyText(key json.RawMessage) string {
	d := json.NewDecoder(bytes.NewReader(key))
	d.UseNumber()
	token, err := d.Token()
	if err != nil || token != json.Delim('{') {
		var s string
		if json.Unmarshal(key, &s) == nil {
			return s
		}
		return string(key)
	}
	var names, values []string
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return string(key)
		}
		names, values = append(names, fmt.Sprint(name)), append(values, keyText(value))
	}
	if len(names) == 1 {
		return values[0]
	}
	for i := range names {
		values[i] = names[i] + "=" + values[i]
	}
	return strings.Join(values, ", ")
}
