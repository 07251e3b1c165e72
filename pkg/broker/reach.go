package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// reachPause is how often a group is asked how far it is.
const reachPause = 50 * time.Millisecond

// AwaitGroup returns when a consumer group has committed everything that is committed in the topic now; nil at once where
// there is nothing. When ctx ends before, the error says what the group is behind.
func (s *Scanner) AwaitGroup(ctx context.Context, group, topic string) error {
	partitions, err := s.Partitions(topic)
	if err != nil {
		return err
	}
	ends := map[int32]int64{}
	for _, p := range partitions {
		if ends[p], err = s.Settled(ctx, topic, p); err != nil {
			return err
		}
	}
	admin, err := sarama.NewClusterAdminFromClient(s.client)
	if err != nil {
		return fmt.Errorf("ask for group %s: %w", group, err)
	}
	for {
		behind, err := s.behind(ctx, admin, group, topic, ends)
		if err != nil || behind == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("group %s has %d of %d partitions of %s still to read: is its service running? %w", group, behind, len(partitions), topic, ctx.Err())
		case <-time.After(reachPause):
		}
	}
}

// behind counts the partitions of which the group hasn't committed every record before ends. Behind the last record there
// may be markers of transactions, which nobody commits.
func (s *Scanner) behind(ctx context.Context, admin sarama.ClusterAdmin, group, topic string, ends map[int32]int64) (int, error) {
	partitions := make([]int32, 0, len(ends))
	for p := range ends {
		partitions = append(partitions, p)
	}
	committed, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: partitions})
	if err != nil {
		return 0, fmt.Errorf("ask how far group %s is: %w", group, err)
	}
	n := 0
	for p, end := range ends {
		from := int64(-1)
		if block := committed.GetBlock(topic, p); block != nil {
			from = block.Offset
		}
		if from < 0 {
			if from, err = s.Oldest(topic, p); err != nil {
				return 0, err
			}
		}
		records := 0
		err := s.Scan(ctx, topic, p, from, end, func(Record) error { records++; return errFound })
		if records > 0 {
			n++
		} else if err != nil {
			return 0, err
		}
	}
	return n, nil
}

// errFound ends a scan that has seen enough.
var errFound = errors.New("found")
