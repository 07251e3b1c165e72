package broker

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/broker/unfold"
	"datawatch/pkg/config"
)

// leastHeld is what a fetch may bring once unfolded, unless two of the largest records are more.
const leastHeld = 16 << 20

// dialer opens the connections below: it is the client's proxy.Dialer.
type dialer interface {
	Dial(network, address string) (net.Conn, error)
}

// bounded opens connections whose fetches bring no more than can be held. It must see what is sent, so TLS is its own.
type bounded struct {
	below   dialer
	tls     *tls.Config // nil is no TLS
	timeout time.Duration
	most    int
}

// Dial implements the client's proxy.Dialer.
func (d bounded) Dial(network, address string) (net.Conn, error) {
	c, err := d.below.Dial(network, address)
	if err != nil {
		return nil, err
	}
	if d.tls != nil {
		if c, err = d.encrypt(c, address); err != nil {
			return nil, err
		}
	}
	return unfold.Conn(c, d.most), nil
}

func (d bounded) encrypt(c net.Conn, address string) (net.Conn, error) {
	t := d.tls.Clone()
	if host, _, err := net.SplitHostPort(address); err == nil && t.ServerName == "" {
		t.ServerName = host
	}
	encrypted := tls.Client(c, t)
	ctx, cancel := context.WithTimeout(context.Background(), d.timeout)
	defer cancel()
	if err := encrypted.HandshakeContext(ctx); err != nil {
		_ = c.Close() // the handshake's error says more
		return nil, fmt.Errorf("tls with %s: %w", address, err)
	}
	return encrypted, nil
}

// Over has a client that was configured by ClientConfig connect through another dialer, below TLS.
func Over(s *sarama.Config, below dialer) {
	d := s.Net.Proxy.Dialer.(bounded)
	d.below = below
	s.Net.Proxy.Dialer = d
}

// Hold has such a client take records as large as the internal broker's, twice as large in fact, whole.
func Hold(s *sarama.Config, c config.Broker) {
	d := s.Net.Proxy.Dialer.(bounded)
	d.most = max(leastHeld, 2*RecordLimit(c))
	s.Net.Proxy.Dialer = d
}
