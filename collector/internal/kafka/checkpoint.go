package kafka

import (
	"context"

	"datawatch/collector/internal/source"
)

// checkpoint is where the committed records of each partition ended.
type checkpoint map[partition]int64

var _ source.Checkpointer = (*Source)(nil)

// Checkpoint implements source.Checkpointer.
func (s *Source) Checkpoint(ctx context.Context) (source.Checkpoint, error) {
	cluster, err := newAnswering(ctx, s.Config.Cluster, s.Internal)
	if err != nil {
		return nil, err
	}
	defer cluster.close()
	topics, err := cluster.topics(ctx)
	if err != nil {
		return nil, err
	}
	leaders := map[partition]int32{}
	for name, t := range topics {
		if s.selection.includes(name) {
			for id, leader := range t.leaders {
				leaders[partition{name, id}] = leader
			}
		}
	}
	ends, err := cluster.offsets(ctx, leaders, newest, readCommitted)
	return checkpoint(ends), err
}

// Reached implements source.Checkpoint. A partition that progress doesn't name is one that was found since.
func (c checkpoint) Reached(_ context.Context, committed source.Progress) (bool, error) {
	positions, _, err := readProgress(committed)
	if err != nil {
		return false, err
	}
	for p, end := range c {
		if at, ok := positions[p]; end > 0 && (!ok || at.Offset != atEnd && at.Offset < end) {
			return false, nil
		}
	}
	return true, nil
}

// Close implements source.Checkpoint.
func (c checkpoint) Close(context.Context) {}
