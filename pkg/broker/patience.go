package broker

import (
	"context"
	"net"
	"time"

	"github.com/IBM/sarama"
)

const (
	// transactionPatience bounds one transaction from its beginning to its answer. The broker has aborted it by then.
	transactionPatience = transactionTimeout + 2*time.Second
	// openPatience bounds the opening of a writer, which waits for the end of its predecessor's transaction.
	openPatience = 3 * transactionTimeout
	// stopPatience is how long a transaction may go on after its context has ended, and how long closing may take.
	stopPatience = 4 * time.Second
)

// patience bounds what a client waits for whose calls take no context and which tries again for minutes: once it is lost,
// connections are cut, none is opened, and no attempt waits for the next, so every call ends with an error at once.
type patience struct {
	held context.Context
	lose context.CancelFunc
}

// newPatience is the patience of the client that is made from s.
func newPatience(s *sarama.Config) patience {
	held, lose := context.WithCancel(context.Background())
	p := patience{held, lose}
	over(s, cutDialer{held, s.Net.DialTimeout})
	within := func(pause func(retries int) time.Duration) func(int, int) time.Duration {
		return func(retries, _ int) time.Duration {
			if held.Err() != nil {
				return 0
			}
			return pause(retries)
		}
	}
	always := func(pause time.Duration) func(int) time.Duration { return func(int) time.Duration { return pause } }
	s.Metadata.Retry.BackoffFunc = within(always(s.Metadata.Retry.Backoff))
	s.Producer.Retry.BackoffFunc = within(always(s.Producer.Retry.Backoff))
	s.Producer.Transaction.Retry.BackoffFunc = within(transactionPause(s.Producer.Transaction.Retry.Backoff))
	return p
}

// transactionPause is short at first: a transaction that begins right behind another is refused while the coordinator
// still writes that one's end, which takes it some milliseconds.
func transactionPause(longest time.Duration) func(retries int) time.Duration {
	return func(retries int) time.Duration {
		const first, doublings = 2 * time.Millisecond, 10
		return min(longest, first<<min(max(retries, 0), doublings))
	}
}

// during bounds what is done until the returned function is called: by most, and by stopPatience after ctx has ended.
func (p patience) during(ctx context.Context, most time.Duration) (done func()) {
	atMost := time.AfterFunc(most, p.lose)
	release := context.AfterFunc(ctx, func() { atMost.Reset(min(most, stopPatience)) })
	return func() {
		release()
		atMost.Stop()
	}
}

// cutDialer opens connections that are cut when a context ends. It works below TLS and SASL.
type cutDialer struct {
	ctx     context.Context
	timeout time.Duration
}

// Dial implements the client's proxy.Dialer.
func (d cutDialer) Dial(network, address string) (net.Conn, error) {
	plain := net.Dialer{Timeout: d.timeout, KeepAlive: 30 * time.Second}
	conn, err := plain.DialContext(d.ctx, network, address)
	if err != nil {
		return nil, err
	}
	cut := &cutConn{Conn: conn}
	cut.release = context.AfterFunc(d.ctx, func() { _ = conn.Close() })
	return cut, nil
}

// cutConn lets go of the context when it is closed first.
type cutConn struct {
	net.Conn
	release func() bool
}

// Close closes the connection.
func (c *cutConn) Close() error {
	c.release()
	return c.Conn.Close()
}
