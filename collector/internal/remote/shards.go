package remote

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"datawatch/collector/internal/source"
)

// key is where the status of a source, or of one of its shards, lies: shards run in different collectors, and each speaks
// for itself.
func (s Status) key(name string) string {
	if s.Shards > 1 {
		name += "/" + strconv.Itoa(s.Shard)
	}
	return statusPrefix + name
}

// statusOf is how a source is by what its shards said last. How many those are, who spoke last knows: what others of
// another number said is of the past. It is nil where none ever spoke.
func statusOf(state map[string][]byte, name string) (*Status, error) {
	var all []*Status
	var last *Status
	for key, text := range state {
		if key != statusPrefix+name && !strings.HasPrefix(key, statusPrefix+name+"/") {
			continue
		}
		s := new(Status)
		if err := json.Unmarshal(text, s); err != nil {
			return nil, err
		}
		all = append(all, s)
		if last == nil || s.At.After(last.At) {
			last = s
		}
	}
	if last == nil || last.Shards < 2 {
		return last, nil
	}
	all = slices.DeleteFunc(all, func(s *Status) bool { return s.Shards != last.Shards })
	slices.SortFunc(all, func(a, b *Status) int { return a.Shard - b.Shard })
	return together(all), nil
}

// gravity orders states: the source is as its worst shard.
var gravity = []source.State{source.Streaming, source.Standby, source.Snapshot, source.Connecting, Stopped, source.Stalled, source.Failed}

// together is the source's status, by its shards' in order. It is as old as the oldest: one that is silent is told so.
func together(shards []*Status) *Status {
	whole := *shards[0]
	worst, of := shards[0], shards[0].Shards
	for _, s := range shards[1:] {
		if slices.Index(gravity, s.State) > slices.Index(gravity, worst.State) {
			worst = s
		}
		if s.At.Before(whole.At) {
			whole.At = s.At
		}
		whole.LagSeconds = max(whole.LagSeconds, s.LagSeconds)
		if s.Host != whole.Host {
			whole.Host = "several"
		}
	}
	whole.State, whole.Reason, whole.Since, whole.Shard = worst.State, worst.Reason, worst.Since, 0
	if worst.Reason != "" {
		whole.Reason = fmt.Sprintf("shard %d of %d: %s", worst.Shard, of, worst.Reason)
	}
	if missing := of - len(shards); missing > 0 {
		whole.State, whole.Reason = source.Failed, fmt.Sprintf("%d of %d shards have not been heard of", missing, of)
	}
	return &whole
}
