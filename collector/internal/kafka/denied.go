package kafka

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"

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

// withhold has the topics that the cluster shows no more, for want of a right, told as not read; they stay among what is to
// be read. Of one that was never seen, the first partition stands for all.
func (r *reader) withhold(ctx context.Context, topics map[string]topic, present map[partition]int32) {
	denied, err := r.cluster.denied(ctx, r.unseen(topics, r.positions))
	if err != nil {
		r.Log.Debug("ask for topics that aren't shown", "error", err)
	}
	for _, name := range denied {
		of := []partition{{name, 0}}
		for p := range r.positions {
			if p.topic == name {
				of = append(of, p)
			}
		}
		for _, p := range of {
			if r.mine(p) {
				present[p] = noLeader
				r.board.hold(p, errDenied, time.Now())
			}
		}
	}
}
