package broker

import (
	"context"
	"net"
	"time"

	"github.com/IBM/sarama"
)

// Until has a client that was configured by ClientConfig connect no longer than ctx: its calls take none, so a stop cuts what they
// wait on.
func Until(ctx context.Context, s *sarama.Config) { over(s, ending{ctx, s.Net.DialTimeout}) }

// ending opens connections that end with a context.
type ending struct {
	ctx     context.Context
	timeout time.Duration
}

// Dial implements the client's proxy.Dialer, below TLS and SASL.
func (d ending) Dial(network, address string) (net.Conn, error) {
	plain := net.Dialer{Timeout: d.timeout, KeepAlive: 30 * time.Second}
	conn, err := plain.DialContext(d.ctx, network, address)
	if err != nil {
		return nil, err
	}
	bound := &boundConn{Conn: conn}
	bound.release = context.AfterFunc(d.ctx, func() { _ = conn.Close() })
	return bound, nil
}

// boundConn lets go of the context when it is closed first.
type boundConn struct {
	net.Conn
	release func() bool
}

func (c *boundConn) Close() error {
	c.release()
	return c.Conn.Close()
}
