package kafka

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/IBM/sarama"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

const (
	oldest        = sarama.OffsetOldest
	newest        = sarama.OffsetNewest
	readCommitted = sarama.ReadCommitted
)

var (
	errNoLeader  = reason.New(reason.KafkaNoLeader.With())
	errUndecided = reason.New(reason.KafkaUndecided.With())
)

// reconcile brings what is read in line with what the cluster has: new topics and partitions, other leaders, topics that
// were recreated or are gone. first is the source's very first run.
func (r *reader) reconcile(ctx context.Context, topics map[string]topic, first bool) error {
	now := time.Now()
	leaders := map[partition]int32{} // of everything that is to be read
	unplaced := map[partition]int32{}
	for name, t := range topics {
		if !r.selection.includes(name) {
			continue
		}
		for id, leader := range t.leaders {
			p := partition{name, id}
			if !first && !r.mine(p) {
				continue // at the first run, the first shard finds out for all where they begin
			}
			leaders[p] = leader
			at, known := r.positions[p]
			switch {
			case !known, at.Offset < 0:
				unplaced[p] = leader
			case t.id != "" && at.TopicID != "" && t.id != at.TopicID:
				if err := r.recreate(p, t.id, at, now); err != nil {
					return err
				}
				unplaced[p] = leader
			}
		}
	}
	if err := r.place(ctx, topics, unplaced, first, now); err != nil {
		return err
	}
	maps.DeleteFunc(leaders, func(p partition, _ int32) bool { return !r.mine(p) })
	for p, leader := range leaders {
		at, known := r.positions[p]
		switch {
		case leader == noLeader:
			r.board.hold(p, errNoLeader, now)
		case known && at.Offset >= 0:
			r.watchLeader(p, at, topics[p.topic].epochs[p.id])
			r.board.set(p, leader, r.from(p, at))
			r.fetch(leader)
		}
	}
	r.missing(ctx, topics, leaders, now)
	r.board.removeExcept(leaders)
	return nil
}

// place decides where partitions begin that have no place yet: at the first run where start says, later at their
// beginning. Those whose leader can't tell stay without; at a first run that starts at the end, that is kept in progress.
func (r *reader) place(ctx context.Context, topics map[string]topic, unplaced map[partition]int32, first bool, now time.Time) error {
	fromEnd, fromStart := map[partition]int32{}, map[partition]int32{}
	for p, leader := range unplaced {
		at, known := r.positions[p]
		if first && r.Config.Start == startLatest || known && at.Offset == atEnd {
			fromEnd[p] = leader
		} else {
			fromStart[p] = leader
		}
	}
	ends, err := r.offsets(ctx, topics, fromEnd, newest, first)
	if err != nil {
		return err
	}
	starts, err := r.offsets(ctx, topics, fromStart, oldest, first)
	if err != nil {
		return err
	}
	for p := range unplaced {
		at, known := r.positions[p]
		if !known {
			at = position{Version: progressVersion, Epoch: event.NewEpoch(now, "")}
		}
		at.TopicID = topics[p.topic].id
		end, ended := ends[p]
		start, started := starts[p]
		_, waits := fromEnd[p]
		switch {
		case ended:
			at.Offset = end
		case started:
			at.Offset = start
		case waits && !known:
			at.Offset = atEnd
		default:
			continue
		}
		r.move(p, at)
		if !first {
			r.Log.Info("partition found", "stream", p.stream(r.Name), "partition", p.id, "offset", at.Offset)
		}
	}
	return nil
}

// offsets asks for offsets. A leader that can't tell is asked again soon; only at the first run it is an error, since
// what is written before it can tell would be lost.
func (r *reader) offsets(ctx context.Context, topics map[string]topic, leaders map[partition]int32, at int64, first bool) (map[partition]int64, error) {
	serving := r.cluster.serving(leaders, topics)
	found, err := r.cluster.offsets(ctx, serving, at, readCommitted)
	if err == nil && len(serving) < len(leaders) {
		err = sarama.ErrUnknownTopicOrPartition
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		if first {
			return nil, fmt.Errorf("%w: %w", errUndecided, err)
		}
		r.Log.Debug("offsets", "error", err)
		r.refreshSoon()
	}
	return found, nil
}

// recreate begins a new epoch for a partition whose topic is another one than the one that was read.
func (r *reader) recreate(p partition, topicID string, at position, now time.Time) error {
	if err := r.pass(p, recreated(p, at, now), now); err != nil {
		return err
	}
	delete(r.suspects, p)
	// Without a place in the new topic yet: it is found at once, or with the leader.
	r.move(p, position{Version: progressVersion, Epoch: event.NewEpoch(now, at.Epoch), TopicID: topicID, Time: at.Time})
	return nil
}

// outOfRange finds out why a partition doesn't have the offset that is next, and goes on where it can be read.
func (r *reader) outOfRange(ctx context.Context, p partition) error {
	topics, err := r.cluster.topics(ctx)
	if err != nil {
		r.refreshSoon()
		return ctx.Err()
	}
	t, at := topics[p.topic], r.positions[p]
	leader, ok := t.leaders[p.id]
	if !ok || leader == noLeader || t.id != "" && at.TopicID != "" && t.id != at.TopicID {
		r.refreshSoon() // gone or recreated: reconcile knows what to do
		return nil
	}
	has, err := r.cluster.extent(ctx, p, leader)
	if err == nil {
		err = r.skip(ctx, p, leader, t.id, has)
	}
	if err != nil {
		return r.again(ctx, err)
	}
	r.board.set(p, leader, r.from(p, r.positions[p]))
	return nil
}

// skip moves a partition from an offset that it doesn't have to one that it has.
func (r *reader) skip(ctx context.Context, p partition, leader int32, topicID string, has extent) error {
	now, at := time.Now(), r.positions[p]
	switch {
	case at.Offset < has.start:
		if err := r.pass(p, expired(p, at, has.start, now), now); err != nil {
			return err
		}
		at.Offset, at.LeaderEpoch = has.start, nil
		delete(r.suspects, p)
	case at.Offset > has.end && (topicID == "" || at.TopicID == ""):
		// Without ids, a topic that ends before what was read is most likely another one of the same name.
		if err := r.pass(p, recreated(p, at, now), now); err != nil {
			return err
		}
		at = position{Version: progressVersion, Epoch: event.NewEpoch(now, at.Epoch), TopicID: topicID, Offset: has.start, Time: at.Time}
		delete(r.suspects, p)
	case at.Offset == has.start: // what lies before it is gone, so it can't be looked at again
		r.trust(p, &at)
	default: // the log ends before it, or did a moment ago
		return r.fork(ctx, p, leader, has)
	}
	r.move(p, at)
	return nil
}

// pass tells a gap, where the source may go on behind it.
func (r *reader) pass(p partition, g gap, now time.Time) error {
	if r.Config.OnGap == gapStop {
		return &source.StoppedError{Why: g.why, Do: g.do}
	}
	r.addGap(p, g, now)
	return nil
}

// fetch has a broker's partitions fetched.
func (r *reader) fetch(broker int32) {
	if r.fetching[broker] {
		return
	}
	r.fetching[broker] = true
	r.fetchers(&fetcher{
		cluster: r.cluster, board: r.board, broker: broker, brokers: r.cluster.size() * max(r.Config.Shards, 1), chunks: r.chunks, throttle: r.throttle, lost: r.lost,
	})
}
