package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/config"
)

// transactionalID is that of the member of a group that has a partition; of several, the first one's. So whoever takes
// partitions over knows under which ids the members before may have left transactions open, of which the brokers would
// rid readers only after transactionTimeout and the interval at which they look (10 s more).
func transactionalID(group string, partition int32) string {
	return group + "-" + strconv.Itoa(int(partition))
}

// takingOver is a balance that ends, before it gives partitions away, what is open under their ids. By then each live member
// has ended its own session and its transaction with it; whose isn't ended is dead, or of yesterday. It can't wait for the
// members' sessions: a transaction that holds offsets keeps them from beginning, since the offsets to begin from aren't
// known before it ends.
type takingOver struct {
	sarama.BalanceStrategy
	fence func(ids []string) error
	group string
}

var _ sarama.BalanceStrategy = takingOver{}

// Plan is called in the group's leader, while the others wait for what they get.
func (b takingOver) Plan(members map[string]sarama.ConsumerGroupMemberMetadata, topics map[string][]int32) (sarama.BalanceStrategyPlan, error) {
	most := 0
	for _, partitions := range topics {
		most = max(most, len(partitions))
	}
	ids := make([]string, most)
	for p := range ids {
		ids[p] = transactionalID(b.group, int32(p))
	}
	if err := b.fence(ids); err != nil {
		return nil, err
	}
	return b.BalanceStrategy.Plan(members, topics)
}

// takeOver gives a session's transactional id, and ends what is open under the others of its partitions: a member of an
// earlier generation may have begun something behind the balance. Members of one generation have no partition in common, so
// none of them loses anything by it.
func takeOver(ctx context.Context, c config.Broker, clientID, group string, partitions []int32) (id string, err error) {
	first := slices.Min(partitions)
	var others []string
	for _, p := range partitions {
		if p != first {
			others = append(others, transactionalID(group, p))
		}
	}
	return transactionalID(group, first), fence(ctx, c, clientID, others)
}

// fence ends the transactions that are open under ids, and the producers that have them.
func fence(ctx context.Context, c config.Broker, clientID string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	s, err := ClientConfig(c.Cluster, clientID)
	if err != nil {
		return err
	}
	p := newPatience(s)
	defer p.lose()
	defer p.during(ctx, openPatience)()
	client, err := sarama.NewClient(c.Addresses, s)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	for _, id := range ids {
		if err := fenceOne(p.held, client, id); err != nil {
			return fmt.Errorf("end what is open under %s: %w", id, err)
		}
	}
	return nil
}

// fenceOne asks for a producer under the id: the coordinator ends the one before and its transaction, and answers that it
// is at it until it has.
func fenceOne(ctx context.Context, client sarama.Client, id string) error {
	for {
		err := initProducer(client, id)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, sarama.ErrConcurrentTransactions), errors.Is(err, sarama.ErrOffsetsLoadInProgress):
		case errors.Is(err, sarama.ErrConsumerCoordinatorNotAvailable), errors.Is(err, sarama.ErrNotCoordinatorForConsumer):
			if err := client.RefreshTransactionCoordinator(id); err != nil {
				return err
			}
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func initProducer(client sarama.Client, id string) error {
	coordinator, err := client.TransactionCoordinator(id)
	if err != nil {
		return err
	}
	response, err := coordinator.InitProducerID(&sarama.InitProducerIDRequest{
		Version: 4, TransactionalID: &id, TransactionTimeout: transactionTimeout, ProducerID: -1, ProducerEpoch: -1,
	})
	if err != nil {
		return err
	}
	if !errors.Is(response.Err, sarama.ErrNoError) {
		return response.Err
	}
	return nil
}
