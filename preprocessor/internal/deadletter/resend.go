package deadletter

import (
	"context"
	"fmt"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
)

// A replay is written in transactions of at most this much.
const (
	maxResend      = 500
	maxResendBytes = 4 << 20
)

// Resend writes letters to raw again. It is for one goroutine.
type Resend struct {
	publisher *broker.Publisher
	batch     []broker.Record
	bytes     int
}

// OpenResend opens the writer. A second one fences the first, whose next write fails.
func OpenResend(ctx context.Context, c config.Broker) (*Resend, error) {
	p, err := broker.OpenPublisher(ctx, c, c.TopicPrefix+"-deadletters-replay")
	if err != nil {
		return nil, err
	}
	return &Resend{publisher: p}, nil
}

// Add takes a record that Found.Replay made.
func (s *Resend) Add(ctx context.Context, r broker.Record) error {
	s.batch = append(s.batch, r)
	s.bytes += r.Size()
	if len(s.batch) < maxResend && s.bytes < maxResendBytes {
		return nil
	}
	return s.Flush(ctx)
}

// Flush commits what was taken.
func (s *Resend) Flush(ctx context.Context) error {
	if len(s.batch) == 0 {
		return nil
	}
	if err := s.publisher.Publish(ctx, s.batch); err != nil {
		return fmt.Errorf("send dead letters again: %w", err)
	}
	s.batch, s.bytes = s.batch[:0], 0
	return nil
}

// Close ends the connections.
func (s *Resend) Close() error { return s.publisher.Close() }
