package broker

import (
	"context"
	"sync"

	"datawatch/pkg/config"
)

// Publisher writes batches of records, each in one transaction. It is for one goroutine.
type Publisher struct {
	producer *producer
	failed   error
	close    sync.Once
}

// OpenPublisher opens the writer with the transactional id. It returns when every transaction of the writer before has
// ended, and that writer's next one fails with ErrFenced.
func OpenPublisher(ctx context.Context, c config.Broker, transactionalID string) (*Publisher, error) {
	p, err := openProducer(ctx, c, transactionalID, transactionalID, RecordLimit(c))
	if err != nil {
		return nil, err
	}
	return &Publisher{producer: p}, nil
}

// Publish commits the records in one transaction, or none of them. Once it has failed it always fails: what the broker
// holds is then to be read back from progress in the state topic, through a new Publisher.
func (p *Publisher) Publish(ctx context.Context, records []Record) error {
	if p.failed == nil {
		p.failed = p.producer.transact(ctx, records, nil)
	}
	return p.failed
}

// Close gives up what is open and ends the connections.
func (p *Publisher) Close() error {
	var err error
	p.close.Do(func() { err = p.producer.close() })
	return err
}
