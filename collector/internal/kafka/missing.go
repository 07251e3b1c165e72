package kafka

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// A cluster shows nobody a topic that they may not describe, as if there were none of the name. Only who asks for it by its name
// is told, and a topic that is gone is told from it so.

var errDenied = reason.New(reason.KafkaDenied.With())

// denied are those of some topics that there may be, and that the client may not describe.
func (k *cluster) denied(ctx context.Context, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	metadata, err := k.describe(ctx, names)
	var denied []string
	for _, m := range metadata {
		if errors.Is(m.Err, sarama.ErrTopicAuthorizationFailed) {
			denied = append(denied, m.Name)
		}
	}
	return denied, err
}

// unseen are the topics that are to be read by name, or were read, and that the cluster doesn't show.
func (s *Source) unseen(topics map[string]topic, positions map[partition]position) []string {
	names := map[string]bool{}
	for _, glob := range s.Config.Topics {
		names[glob] = !strings.ContainsAny(glob, `*?[\`)
	}
	for p := range positions {
		names[p.topic] = true
	}
	maps.DeleteFunc(names, func(name string, is bool) bool {
		_, seen := topics[name]
		return !is || seen || !s.selection.includes(name)
	})
	return slices.Sorted(maps.Keys(names))
}

// missing tells why topics aren't read that the cluster doesn't show. Those that it doesn't show for want of a right stay
// among what is to be read: of one that was never seen, the first partition stands for all. Where one was deleted that had
// more than was read, a gap says so.
func (r *reader) missing(ctx context.Context, topics map[string]topic, present map[partition]int32, now time.Time) {
	unseen := r.unseen(topics, r.positions)
	denied, err := r.cluster.denied(ctx, unseen)
	if err != nil {
		r.Log.Debug("ask for topics that aren't shown", "error", err)
		return
	}
	for _, name := range unseen {
		of := []partition{{name, 0}}
		for p := range r.positions {
			if p.topic == name && p.id > 0 {
				of = append(of, p)
			}
		}
		hidden := slices.Contains(denied, name)
		for _, p := range of {
			switch {
			case !r.mine(p):
			case hidden:
				present[p] = noLeader
				r.board.hold(p, errDenied, now)
			default:
				r.deleted(p, now)
			}
		}
	}
}

// deleted tells of what a partition held that was known and not read yet. Nothing is gained by a stop: there is nothing that
// could be read again.
func (r *reader) deleted(p partition, now time.Time) {
	at, known := r.positions[p]
	end, some := r.board.left(p)
	if !known || !some || at.Offset < 0 || end <= at.Offset {
		return
	}
	r.addGap(p, deleted(p, at, end, now), now)
	delete(r.suspects, p)
	r.move(p, position{Version: progressVersion, Epoch: event.NewEpoch(now, at.Epoch), Offset: nowhere, Time: at.Time})
}
