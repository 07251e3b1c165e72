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
	"datawatch/pkg/reason"
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
	if d.tls == nil {
		return unfold.Conn(&unencrypted{Conn: c, dialer: d, address: address}, d.most), nil
	}
	encrypted, err := d.encrypt(c, address)
	if err != nil {
		return nil, err
	}
	return unfold.Conn(encrypted, d.most), nil
}

func (d bounded) encrypt(c net.Conn, address string) (net.Conn, error) {
	t := d.tls.Clone()
	if host, _, err := net.SplitHostPort(address); err == nil && t.ServerName == "" {
		t.ServerName = host
	}
	heard := &hearing{Conn: c}
	encrypted := tls.Client(heard, t)
	ctx, cancel := context.WithTimeout(context.Background(), d.timeout)
	defer cancel()
	shaking, shaken := context.WithCancel(ctx)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		select {
		case <-shaking.Done():
		case <-time.After(handshakeSilence):
			if !heard.tls() && d.answersPlain(shaking, address) {
				cancel()
			}
		}
	}()
	err := encrypted.HandshakeContext(ctx)
	shaken()
	if err == nil {
		return encrypted, nil
	}
	<-asked
	_ = c.Close() // the handshake's error says more
	if !heard.tls() && d.answersPlain(context.Background(), address) {
		return nil, reason.New(reason.KafkaPlain.With(address)).Advise(reason.DoKafkaPlain.With())
	}
	return nil, fmt.Errorf("tls with %s: %w", address, err)
}

// over has a client that was configured by ClientConfig connect through another dialer, below TLS.
func over(s *sarama.Config, below dialer) {
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
