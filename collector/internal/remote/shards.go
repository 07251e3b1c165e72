package remote

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/reason"
)

// key is where the status of a source, or of one of its shards, lies: shards run in different collectors, and each speaks
// for itself. One of another number of shards has a place of its own: its last word must not hide its successor's.
func (s Status) key(name string) string {
	if s.Shards > 1 {
		name += "/" + strconv.Itoa(s.Shard) + "/" + strconv.Itoa(s.Shards)
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
		if last == nil || speaksFor(s, last) {
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

// handover is how far apart the last words of the former number of shards and the first of the present one may be.
const handover = 10 * time.Second

// speaksFor tells whether a is rather of the number of shards in force than b: it spoke later; of two that spoke at about the
// same time, one that stopped has been taken over from.
func speaksFor(a, b *Status) bool {
	if a.At.Sub(b.At).Abs() < handover && (a.State == Stopped) != (b.State == Stopped) {
		return b.State == Stopped
	}
	return a.At.After(b.At)
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
	whole.State, whole.Reason, whole.Why, whole.Since, whole.Shard = worst.State, worst.Reason, nil, worst.Since, 0
	if worst.Reason != "" {
		why := reason.Quote(worst.Reason)
		whole.Reason = reason.ShardOf.With(worst.Shard, of, why).String()
		if worst.Why != nil {
			why = *worst.Why
		}
		whole.Why = reason.ShardOf.With(worst.Shard, of, why).Pointer()
	}
	if missing := of - len(shards); missing > 0 {
		why := reason.ShardsMissing.With(missing, of)
		whole.State, whole.Reason, whole.Why = source.Failed, why.String(), why.Pointer()
	}
	return &whole
}
