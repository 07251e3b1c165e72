package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// housekeepingInterval is how often compaction and retention run. The
	// broker's own timer does not come back after a restart, so Serve keeps one.
	housekeepingInterval = 30 * time.Second

	// openTransactionWait is how long compaction waits until it looks again
	// whether a transaction is open.
	openTransactionWait = 100 * time.Millisecond
)

// noCompactionOfItsOwn puts off the broker's own timer, which compacts once an
// hour without a look at open transactions, for a hundred years.
var noCompactionOfItsOwn = kfake.BrokerConfigs(map[string]string{"log.cleaner.backoff.ms": "3153600000000"})

// keepHouse compacts and applies retention from time to time. The function it
// returns stops that, and returns only when nothing of it is running: the
// cluster must not be asked for anything once it is closed.
func keepHouse(c *kfake.Cluster, log *slog.Logger, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			c.ApplyRetention()
			if err := compact(ctx, c, every); err != nil && ctx.Err() == nil {
				log.Warn("the embedded broker couldn't compact its topics; it tries again", "err", err, "in", every)
			}
		}
	}()
	return func() { cancel(); <-done }
}

// errOpenTransaction is returned when each look found an open transaction.
var errOpenTransaction = errors.New("there was a transaction open all the time in a topic that is compacted")

// compact compacts the topics that ask for it, at a moment when no transaction
// has written to one of them and is still open: the broker takes the record of
// an open transaction for the latest of its key, drops the one before, and has
// neither when the transaction is aborted. It waits for such a moment, for as
// long as said.
func compact(ctx context.Context, c *kfake.Cluster, wait time.Duration) error {
	conf := sarama.NewConfig()
	conf.Metadata.RefreshFrequency = 0
	client, err := sarama.NewClient(c.ListenAddrs(), conf)
	if err != nil {
		return fmt.Errorf("ask for the topics: %w", err)
	}
	defer client.Close()

	for deadline := time.Now().Add(wait); ; {
		if err := client.RefreshMetadata(); err != nil {
			return fmt.Errorf("ask for the topics: %w", err)
		}
		topics, err := client.Topics()
		if err != nil {
			return fmt.Errorf("ask for the topics: %w", err)
		}
		done, err := compactIfSettled(ctx, c, client, topics)
		if done || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return errOpenTransaction
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(openTransactionWait):
		}
	}
}

// compactIfSettled compacts if no partition holds what a transaction has yet to
// end, and says whether it did. It looks and compacts while the broker handles a
// request: until that is done the broker takes no other, so no transaction
// begins in between.
func compactIfSettled(ctx context.Context, c *kfake.Cluster, client sarama.Client, topics []string) (bool, error) {
	handled := make(chan bool, 1)
	c.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.DropControl()
		settled := ctx.Err() == nil && !slices.ContainsFunc(topics, func(topic string) bool { return isUnsettled(c, topic) })
		if settled {
			c.Compact()
		}
		handled <- settled
		return nil, nil, false
	})
	if err := client.RefreshMetadata(); err != nil {
		return false, fmt.Errorf("have the broker compact: %w", err)
	}
	return <-handled, nil
}

// isUnsettled says whether a compacted topic holds records of an open transaction.
func isUnsettled(c *kfake.Cluster, topic string) bool {
	info := c.TopicInfo(topic)
	if info == nil {
		return false
	}
	if policy := info.Configs["cleanup.policy"]; policy == nil || !strings.Contains(*policy, "compact") {
		return false
	}
	return slices.ContainsFunc(c.PartitionInfos(topic), func(p *kfake.PartitionInfo) bool {
		return p.LastStableOffset < p.HighWatermark
	})
}
