package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// noGroup is the value of consumer_group with which nothing is committed in the cluster.
const noGroup = "none"

// groupEvery is how often the group's offsets are brought up to date.
const groupEvery = 5 * time.Second

// group keeps the offsets that datawatch has reached in a consumer group of the watched cluster, for people and tools that
// look for lag there. Nobody reads them back, the group has no members, and a cluster that refuses them disturbs nothing.
type group struct {
	name    string
	cluster *cluster
	log     *slog.Logger
	every   time.Duration

	mu      sync.Mutex
	reached map[partition]int64 // and not told yet
}

// reach notes offsets that are committed on datawatch's side.
func (g *group) reach(offsets map[partition]int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for p, offset := range offsets {
		g.reached[p] = offset
	}
}

// run tells what was reached until ctx is done. Told again is only what the cluster may take: who isn't allowed to commit
// hears of it once.
func (g *group) run(ctx context.Context) error {
	ticker := time.NewTicker(g.every)
	defer ticker.Stop()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		err := g.tell()
		if err == nil || ctx.Err() != nil {
			said = ""
			continue
		}
		if text := err.Error(); text != said {
			said = text
			g.log.Warn("the offsets can't be shown in the cluster; capture goes on", "consumer_group", g.name, "error", err,
				"remedy", "grant READ on the group, or set consumer_group: none")
		}
	}
}

// tell commits what was reached since the last time. What fails goes with the next.
func (g *group) tell() (err error) {
	g.mu.Lock()
	offsets := g.reached
	g.reached = map[partition]int64{}
	g.mu.Unlock()
	if len(offsets) == 0 {
		return nil
	}
	defer func() {
		if err == nil {
			return
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		for p, offset := range offsets {
			if _, newer := g.reached[p]; !newer {
				g.reached[p] = offset
			}
		}
	}()
	coordinator, err := g.cluster.coordinator(g.name)
	if err != nil {
		return err
	}
	request := &sarama.OffsetCommitRequest{Version: 5, ConsumerGroup: g.name, ConsumerGroupGeneration: sarama.GroupGenerationUndefined}
	for p, offset := range offsets {
		request.AddBlock(p.topic, p.id, offset, 0, "datawatch")
	}
	response, err := coordinator.CommitOffset(request)
	if err != nil {
		return fmt.Errorf("commit to the group: %w", err)
	}
	for topic, partitions := range response.Errors {
		for id, code := range partitions {
			if !errors.Is(code, sarama.ErrNoError) {
				return fmt.Errorf("commit %s to the group: %w", partition{topic, id}, code)
			}
		}
	}
	return nil
}

// coordinator is the connection to the broker that keeps a group.
func (k *cluster) coordinator(name string) (*sarama.Broker, error) {
	var failed []error
	for _, b := range k.known() {
		if err := k.open(b); err != nil {
			failed = append(failed, err)
			continue
		}
		response, err := b.FindCoordinator(&sarama.FindCoordinatorRequest{Version: 1, CoordinatorKey: name, CoordinatorType: sarama.CoordinatorGroup})
		if err == nil && !errors.Is(response.Err, sarama.ErrNoError) {
			err = response.Err
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("find the group's coordinator: %w", err))
			continue
		}
		return k.broker(response.Coordinator.ID())
	}
	return nil, errors.Join(failed...)
}
