package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/config"
	"datawatch/pkg/reason"
)

// answerWithin is how long a command waits for a broker to answer.
const answerWithin = 10 * time.Second

// Reach finds out whether the internal broker answers, for a command, in front of which somebody sits: else NewScanner and
// OpenPublisher try for minutes to reach one that is silent. What runs on waits for it. OpenScanner asks it by itself.
func Reach(ctx context.Context, c config.Broker, clientID string) error {
	_, err := Answering(ctx, c.Cluster, clientID)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w %v: %w", ErrConnect, c.Addresses, err)
	}
	return err
}

// Answering is the address of a cluster that answers first, and lets us in. All are tried at once; the error tells of each.
func Answering(ctx context.Context, c config.Cluster, clientID string) (address string, err error) {
	s, err := ClientConfig(c, clientID)
	if err != nil {
		return "", err
	}
	within, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	Until(within, s)
	s.Net.ReadTimeout, s.Net.WriteTimeout = answerWithin, answerWithin
	type answer struct {
		address string
		err     error
	}
	answers := make(chan answer)
	for _, a := range c.Addresses {
		go func() {
			b := sarama.NewBroker(a)
			err := Open(b, s)
			if timeout, ok := errors.AsType[net.Error](err); err != nil && within.Err() != nil || ok && timeout.Timeout() {
				err = reason.Wrap(reason.New(reason.KafkaSilent.With(answerWithin)), reason.KafkaNotConnected.With(a))
			}
			_ = b.Close() // it was only asked
			answers <- answer{a, err}
		}()
	}
	var failed severally
	for range c.Addresses {
		a := <-answers
		switch {
		case a.err != nil:
			failed = append(failed, a.err)
		case address == "":
			address = a.address
			cancel() // nobody waits for the others
		}
	}
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case address == "":
		return "", failed
	default:
		return address, nil
	}
}

// severally are errors that are told in one line.
type severally []error

func (e severally) Error() string {
	said := make([]string, len(e))
	for i, one := range e {
		said[i] = one.Error()
	}
	return strings.Join(said, "; ")
}

func (e severally) Unwrap() []error { return e }

// Open connects where it isn't connected. It tells why it can't be, a wrong password for instance.
func Open(b *sarama.Broker, s *sarama.Config) error {
	if err := b.Open(s); err != nil && !errors.Is(err, sarama.ErrAlreadyConnected) {
		return err
	}
	connected, err := b.Connected()
	var known *reason.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, sarama.ErrSASLAuthenticationFailed):
		return reason.Wrap(err, reason.KafkaPassword.With(b.Addr(), strconv.Quote(s.Net.SASL.User), s.Net.SASL.Mechanism))
	case s.Net.SASL.Enable && errors.Is(err, io.EOF): // what some brokers do with a wrong password
		return reason.Wrap(err, reason.KafkaHungUp.With(b.Addr(), strconv.Quote(s.Net.SASL.User)))
	case err != nil:
		return reason.Wrap(err, reason.KafkaNotConnected.With(b.Addr()))
	case !connected:
		return reason.Wrap(sarama.ErrNotConnected, reason.KafkaNotConnected.With(b.Addr()))
	default:
		return nil
	}
}
