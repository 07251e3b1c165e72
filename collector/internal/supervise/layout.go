package supervise

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"datawatch/pkg/broker"
)

// layout is into how many shards a source is split, in the state topic under layoutKey. Each shard of each number of
// shards has a transactional id of its own, so the writers of another number must be fenced before one of the present
// number may trust what progress says.
type layout struct {
	Version int `json:"version"` // 1
	Shards  int `json:"shards"`
	// Former are numbers whose writers may not have been fenced yet.
	Former []int `json:"former,omitempty"`
}

const layoutVersion = 1

func layoutKey(source string) string { return "shards/" + source }

// transactionalID is the writer's of a unit.
func transactionalID(prefix, name string, shard, shards int) string {
	id := prefix + "-source-" + name
	if shards > 1 {
		id += "/" + strconv.Itoa(shard) + "/" + strconv.Itoa(shards)
	}
	return id
}

// settleLayout returns when no writer of another number of shards can commit any more. It is called behind the opening
// of the unit's own writer: whoever changes the layout afterwards writes so first, and then fences this one.
func (r *runner) settleLayout(ctx context.Context) error {
	if r.unit.Shards == 0 {
		return nil
	}
	now, err := r.layout(ctx)
	if err != nil || now.Shards == r.unit.Shards && len(now.Former) == 0 {
		return err
	}
	// One changes it at a time: the next one's opening fences this one.
	id := transactionalID(r.Broker.TopicPrefix, r.unit.Name, 0, 1) + "/layout"
	changer, err := broker.OpenPublisher(ctx, r.Broker, id)
	if err != nil {
		return fmt.Errorf("change the number of shards: %w", err)
	}
	defer func() { _ = changer.Close() }() // what it had to say is committed, or it said so
	if now, err = r.layout(ctx); err != nil {
		return err
	}
	next := layout{Version: layoutVersion, Shards: r.unit.Shards, Former: now.Former}
	if now.Shards != next.Shards && !slices.Contains(next.Former, now.Shards) {
		next.Former = append(next.Former, now.Shards)
	}
	next.Former = slices.DeleteFunc(next.Former, func(n int) bool { return n == next.Shards })
	if err := r.writeLayout(ctx, changer, next); err != nil {
		return err
	}
	for _, shards := range next.Former {
		for shard := range shards {
			if err := r.fence(ctx, shard, shards); err != nil {
				return err
			}
		}
	}
	r.log.Info("the source is split anew", "shards", next.Shards, "before", next.Former)
	next.Former = nil
	return r.writeLayout(ctx, changer, next)
}

// fence has a writer's transactions fail from now on, until somebody opens it anew.
func (r *runner) fence(ctx context.Context, shard, shards int) error {
	writer, err := broker.OpenPublisher(ctx, r.Broker, transactionalID(r.Broker.TopicPrefix, r.unit.Name, shard, shards))
	if err != nil {
		return fmt.Errorf("fence shard %d of %d: %w", shard, shards, err)
	}
	return writer.Close()
}

func (r *runner) writeLayout(ctx context.Context, changer *broker.Publisher, l layout) error {
	topic := broker.TopicsOf(r.Broker.TopicPrefix).State
	if err := changer.Publish(ctx, []broker.Record{{Topic: topic, Key: []byte(layoutKey(r.unit.Name)), Value: encode(l)}}); err != nil {
		return fmt.Errorf("change the number of shards: %w", err)
	}
	return nil
}

// layout is what is in force; a source that was never split is whole.
func (r *runner) layout(ctx context.Context) (layout, error) {
	state, err := r.state(ctx, layoutKey(r.unit.Name))
	l := layout{Version: layoutVersion, Shards: 1}
	value, found := state[layoutKey(r.unit.Name)]
	if err != nil || !found {
		return l, err
	}
	if err := json.Unmarshal(value, &l); err != nil {
		return l, fmt.Errorf("layout of %s: %w", r.unit.Name, err)
	}
	if l.Version != layoutVersion {
		return l, fmt.Errorf("layout of %s has version %d, this datawatch reads %d: it was written by a newer one", r.unit.Name, l.Version, layoutVersion)
	}
	return l, nil
}
