package alerts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
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
}

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
}

// newGroup begins a group with its first error.
func newGroup(v *event.Violation, e *event.ViolationError) *Group {
	return &Group{
		Version: 1, Fingerprint: e.Fingerprint, Stream: v.Stream, File: v.Schema.File, Kind: e.Kind, Rule: e.Rule,
		Example: Example{
			SHA256: v.Schema.SHA256, Place: e.InstanceLocation, Keyword: e.KeywordLocation[strings.LastIndexByte(e.KeywordLocation, '/')+1:],
			Message: e.Message, Expected: e.Expected, Actual: e.Actual, Key: v.Key, Op: v.Op, Sample: telegram.Shorten(layout(v.Sample), maxSample),
		},
	}
}

// add counts one event. Owner, runbook and severity are those of the newest: a schema may have been changed since. key
// is the record's key.
func (g *Group) add(v *event.Violation, e *event.ViolationError, key []byte, at time.Time) {
	g.Count++
	g.Keys.add(key)
	if g.First.IsZero() || at.Before(g.First) {
		g.First = at
	}
	if at.After(g.Last) {
		g.Last = at
	}
	g.Severity, g.Owner, g.Runbook = e.Severity, v.Owner, v.Runbook
	if g.Severity == "" {
		g.Severity = v.Severity
	}
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
