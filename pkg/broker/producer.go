package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"

	"datawatch/pkg/config"
)

// producer is a transactional producer. After an error it is of no more use: close it and open another, which ends what
// this one left open.
type producer struct {
	async    sarama.AsyncProducer
	conf     *sarama.Config // the client's own: see gathered
	patience patience
	maxBytes int
	pending  []*sarama.ProducerMessage
	names    map[string][]byte // of headers, which are nearly always the same
}

// openProducer opens one whose records have limit bytes at most.
func openProducer(ctx context.Context, c config.Broker, clientID, transactionalID string, limit int) (*producer, error) {
	s, err := producerConfig(c, clientID, transactionalID)
	if err != nil {
		return nil, err
	}
	s.Producer.MaxMessageBytes = limit // of a batch too
	p := newPatience(s)
	defer p.during(ctx, openPatience)()
	async, err := sarama.NewAsyncProducer(c.Addresses, s)
	if err != nil {
		p.lose()
		if errors.Is(err, sarama.ErrOutOfBrokers) {
			return nil, fmt.Errorf("%w %v: %w", ErrConnect, c.Addresses, err)
		}
		return nil, fmt.Errorf("open producer %s: %w", transactionalID, classify(err))
	}
	return &producer{async: async, conf: s, patience: p, maxBytes: s.Producer.MaxMessageBytes, names: map[string][]byte{}}, nil
}

// transact writes the records in one transaction; offsets, where given, adds a group's offsets to it.
func (p *producer) transact(ctx context.Context, records []Record, offsets func(sarama.AsyncProducer) error) error {
	for i := range records {
		if size := records[i].Size(); size > p.maxBytes {
			return fmt.Errorf("%w: %d bytes for topic %s", ErrTooLarge, size, records[i].Topic)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	defer p.patience.during(ctx, transactionPatience)()
	err := p.transactPatiently(records, offsets)
	if err != nil && p.patience.held.Err() != nil {
		return fmt.Errorf("the broker did not answer in time: %w", err)
	}
	return err
}

func (p *producer) transactPatiently(records []Record, offsets func(sarama.AsyncProducer) error) error {
	if err := p.async.BeginTxn(); err != nil {
		return fmt.Errorf("begin transaction: %w", classify(err))
	}
	if err := p.send(records); err != nil {
		return fmt.Errorf("produce: %w", classify(err))
	}
	if offsets != nil {
		if err := offsets(p.async); err != nil {
			return fmt.Errorf("add offsets to transaction: %w", classify(err))
		}
	}
	if err := p.async.CommitTxn(); err != nil {
		return fmt.Errorf("commit transaction: %w", classify(err))
	}
	return nil
}

// send hands the records over in order and waits for every answer; patience bounds each.
func (p *producer) send(records []Record) error {
	p.fill(records)
	p.gathered(len(p.pending))
	defer clear(p.pending) // else what was sent is held until the next transaction
	var failed error
	next := 0
	for answered := 0; answered < len(p.pending); {
		var input chan<- *sarama.ProducerMessage
		var message *sarama.ProducerMessage
		if next < len(p.pending) {
			input, message = p.async.Input(), p.pending[next]
		}
		select {
		case input <- message:
			next++
		case <-p.async.Successes():
			answered++
		case failure := <-p.async.Errors():
			answered++
			if failed == nil {
				failed = fmt.Errorf("topic %s: %w", failure.Msg.Topic, failure.Err)
			}
		}
	}
	return failed
}

// gathered says of how many records the client knows that none follows: those that one broker takes all of needn't wait for gather
// then. The client looks at this setting for as long as it holds records, which it doesn't between two calls of send.
func (p *producer) gathered(records int) { p.conf.Producer.Flush.Messages = records }

// fill makes the client's messages of the records.
func (p *producer) fill(records []Record) {
	n := 0
	for i := range records {
		n += len(records[i].Headers)
	}
	messages, headers := make([]sarama.ProducerMessage, len(records)), make([]sarama.RecordHeader, n)
	p.pending = p.pending[:0]
	for i := range records {
		r, m := &records[i], &messages[i]
		r.give(m)
		m.Headers, headers = headers[:len(r.Headers):len(r.Headers)], headers[len(r.Headers):]
		for k, h := range r.Headers {
			m.Headers[k] = sarama.RecordHeader{Key: p.nameOf(h.Name), Value: h.Value}
		}
		p.pending = append(p.pending, m)
	}
}

// mostNames bounds the names of headers that are kept.
const mostNames = 1000

// nameOf is the name of a header as the client takes it, which never changes it.
func (p *producer) nameOf(name string) []byte {
	known, ok := p.names[name]
	if !ok {
		if len(p.names) >= mostNames {
			clear(p.names)
		}
		known = []byte(name)
		p.names[name] = known
	}
	return known
}

// close ends the producer; what it left open in a transaction is aborted by the next one with its id, or by time.
func (p *producer) close() error {
	defer p.patience.lose()
	defer p.patience.during(context.Background(), stopPatience)()
	if p.async.TxnStatus()&sarama.ProducerTxnFlagInTransaction != 0 {
		if err := p.async.AbortTxn(); err != nil {
			return errors.Join(fmt.Errorf("abort transaction: %w", err), p.async.Close())
		}
	}
	return p.async.Close()
}
