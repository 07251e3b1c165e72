package pipeline

import (
	"context"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"

	"datawatch/preprocessor/internal/deadletter"
)

// History is what was before the records that a session begins with.
type History interface {
	// Before hands the last n records of a partition of raw before offset to each, in order.
	Before(ctx context.Context, partition int32, offset, n int64, each func(broker.Record) error) error
	// Replayed is what the state topic holds under deadletter.StatePrefix, once every open transaction has ended.
	Replayed(ctx context.Context) (map[string][]byte, error)
}

// Topics is the History that the broker's topics hold.
type Topics struct {
	Broker config.Broker
	Name   string // the client id
}

var _ History = Topics{}

func (t Topics) scan(do func(*broker.Scanner, broker.Topics) error) error {
	s, err := broker.NewScanner(t.Broker, t.Name)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	return do(s, broker.TopicsOf(t.Broker.TopicPrefix))
}

// Before implements History.
func (t Topics) Before(ctx context.Context, partition int32, offset, n int64, each func(broker.Record) error) error {
	if offset == 0 {
		return nil
	}
	return t.scan(func(s *broker.Scanner, topics broker.Topics) error {
		oldest, err := s.Oldest(topics.Raw, partition)
		if err != nil {
			return err
		}
		return s.Scan(ctx, topics.Raw, partition, max(oldest, offset-n), offset, each)
	})
}

// Replayed implements History.
func (t Topics) Replayed(ctx context.Context) (state map[string][]byte, err error) {
	err = t.scan(func(s *broker.Scanner, topics broker.Topics) error {
		state, err = s.State(ctx, topics.State, deadletter.StatePrefix)
		return err
	})
	return state, err
}
