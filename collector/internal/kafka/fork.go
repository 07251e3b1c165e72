package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
)

// A leader that doesn't have all that was read (after an unclean election, or a crash that took what wasn't on the disk) goes
// on from where its log ends, with offsets that were read before. What tells is the leader epoch, which each new leader
// raises and each batch bears: along a log it never falls, so the log is still the one that was read where the batch before
// the place isn't of a higher epoch than the last one that was read
// (https://cwiki.apache.org/confluence/display/KAFKA/KIP-320%3A+Allow+fetchers+to+detect+and+handle+log+truncation).

// from is where a partition is fetched: at its place, or one before where the log is to be looked at again.
func (r *reader) from(p partition, at position) int64 {
	if _, ok := r.suspects[p]; ok {
		return at.Offset - 1
	}
	return at.Offset
}

// watchLeader has the log looked at again where the cluster says that it has another leader.
func (r *reader) watchLeader(p partition, at position, epoch int32) {
	if at.LeaderEpoch != nil && epoch > *at.LeaderEpoch && at.Offset > 0 {
		r.suspects[p] = epoch
	}
}

// sameLog tells whether a fetch's records follow what was read. Where that isn't known yet, it has the batch before them
// fetched again; where they don't, it moves the partition back to where they do.
func (r *reader) sameLog(ctx context.Context, c chunk, at *position) (bool, error) {
	p := c.partition
	_, suspect := r.suspects[p]
	switch {
	case at.LeaderEpoch == nil || at.Offset == 0:
		return true, nil
	case c.first.epoch != noEpoch && c.first.epoch <= *at.LeaderEpoch:
		r.trust(p, at)
		return true, nil
	case !suspect && c.first.epoch == noEpoch:
		return true, nil
	case !suspect:
		r.suspects[p] = c.first.epoch
		r.board.set(p, r.board.leader(p), r.from(p, *at))
		return false, nil
	}
	leader := r.board.leader(p)
	has, err := r.cluster.extent(ctx, p, leader)
	if err == nil {
		err = r.fork(ctx, p, leader, has)
	}
	if err != nil {
		return false, r.again(ctx, err)
	}
	moved := r.positions[p]
	same := moved.Offset == at.Offset
	*at = moved
	if !same {
		r.board.set(p, leader, moved.Offset)
	}
	return same, nil
}

// trust notes that the log is the one that was read.
func (r *reader) trust(p partition, at *position) {
	if epoch, ok := r.suspects[p]; ok {
		delete(r.suspects, p)
		at.reached(epoch)
	}
}

// again has the cluster asked again soon where it couldn't answer; other errors end the run.
func (r *reader) again(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*source.StoppedError](err); ok || ctx.Err() != nil {
		return err
	}
	r.Log.Debug("look at a log again", "error", err)
	r.refreshSoon()
	return nil
}

// fork moves a partition back to where the log that it has now left the one that was read, with a gap in a new epoch; it
// leaves it where it is if that is behind its place.
func (r *reader) fork(ctx context.Context, p partition, leader int32, has extent) error {
	at, now := r.positions[p], time.Now()
	from := has.end
	if at.LeaderEpoch != nil {
		var err error
		if from, err = r.cluster.forked(ctx, p, leader, extent{has.start, min(at.Offset, has.end)}, *at.LeaderEpoch); err != nil {
			return err
		}
	}
	if from >= at.Offset {
		r.trust(p, &at)
		r.move(p, at)
		return nil
	}
	if err := r.pass(p, truncated(p, at, from, now), now); err != nil {
		return err
	}
	delete(r.suspects, p)
	r.move(p, position{Version: progressVersion, Epoch: event.NewEpoch(now, at.Epoch), TopicID: at.TopicID, Offset: from, Time: at.Time})
	return nil
}

// extent is from where to where a partition has records.
type extent struct{ start, end int64 }

// extent asks from where to where a partition has records.
func (k *cluster) extent(ctx context.Context, p partition, leader int32) (extent, error) {
	alone := map[partition]int32{p: leader}
	starts, err := k.offsets(ctx, alone, oldest, sarama.ReadUncommitted)
	if err != nil {
		return extent{}, err
	}
	ends, err := k.offsets(ctx, alone, newest, sarama.ReadUncommitted)
	return extent{starts[p], ends[p]}, err
}

// forked finds the first batch of a part of a log whose epoch is higher than one, the part's end where there is none.
func (k *cluster) forked(ctx context.Context, p partition, leader int32, part extent, epoch int32) (int64, error) {
	from := part.end
	for low, high := part.start, part.end; low < high; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		middle := low + (high-low)/2
		f := fetcher{cluster: k, broker: leader, uncommitted: true} // a transaction that is open hides nothing
		response, err := f.ask(map[partition]int64{p: middle}, fetchLeast)
		if err != nil {
			return 0, err
		}
		block := response.GetBlock(p.topic, p.id)
		switch {
		case block == nil:
			return 0, fmt.Errorf("look at offset %d of %s: %w", middle, p, sarama.ErrIncompleteResponse)
		case !isOK(block.Err):
			return 0, fmt.Errorf("look at offset %d of %s: %w", middle, p, block.Err)
		}
		got := committed(block, middle)
		switch {
		case got.next == middle: // nothing lies there, nor behind
			high = middle
		case got.first.epoch > epoch:
			high = min(middle, got.first.offset)
			from = min(from, got.first.offset)
		default:
			low = max(got.first.next, middle+1)
		}
	}
	return from, nil
}
