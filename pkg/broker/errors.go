package broker

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// ErrConnect says that no broker could be reached that lets us in.
var ErrConnect = errors.New("connect to broker")

// ErrFenced says that another writer opened the same transactional id later: this one must stop.
var ErrFenced = errors.New("fenced by a newer writer with the same transactional id")

// ErrTooLarge says that a record is larger than the internal topics take.
var ErrTooLarge = errors.New("record is larger than broker.max_record_bytes allows")

// ErrPartitions says that a topic has another number of partitions than the configuration: no waiting mends that.
var ErrPartitions = errors.New("partitions differ from the configuration")

// ErrUnknownTopic says that the cluster has no such topic, or doesn't show it to this user.
var ErrUnknownTopic error = sarama.ErrUnknownTopicOrPartition

// classify gives the client's errors for a fenced producer one name, which appear under several, and the broker's refusal of
// a record for its size that of ours.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sarama.ErrProducerFenced),
		errors.Is(err, sarama.ErrInvalidProducerEpoch),
		errors.Is(err, sarama.ErrFencedInstancedId):
		return fmt.Errorf("%w: %w", ErrFenced, err)
	case errors.Is(err, sarama.ErrMessageSizeTooLarge):
		return fmt.Errorf("%w, or the topic's max.message.bytes: %w", ErrTooLarge, err)
	default:
		return err
	}
}
