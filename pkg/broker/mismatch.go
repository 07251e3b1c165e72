package broker

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"datawatch/pkg/reason"
)

const (
	// handshakeSilence is how long a broker may be silent in a handshake until it is asked whether it speaks TLS at all: some
	// take its beginning for the length of a request, and wait for the rest.
	handshakeSilence = 500 * time.Millisecond
	// answerPatience is how long it may take to answer that.
	answerPatience = 2 * time.Second
)

// What TLS's records begin with (RFC 8446, 5.1). As the first byte of a Kafka response each would be of one over 300 MB.
const (
	alertRecord     = 21
	handshakeRecord = 22
)

// answersPlain asks the broker, without TLS, for the versions that it knows: what any broker answers, and before a password.
// The question ends with ctx.
func (d bounded) answersPlain(ctx context.Context, address string) bool {
	c, err := d.below.Dial("tcp", address)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }() // it was only asked
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	_ = c.SetDeadline(time.Now().Add(answerPatience))
	const id, most = "data", 1 << 20
	request := []byte{0, 0, 0, 10, 0, 18, 0, 0, id[0], id[1], id[2], id[3], 0xff, 0xff} // ApiVersions, version 0, of a client without a name
	if _, err := c.Write(request); err != nil {
		return false
	}
	head := make([]byte, 8)
	_, err = io.ReadFull(c, head)
	return err == nil && binary.BigEndian.Uint32(head) <= most && bytes.Equal(head[4:], []byte(id))
}

// answersTLS begins a handshake; what comes of it doesn't matter.
func (d bounded) answersTLS(address string) bool {
	c, err := d.below.Dial("tcp", address)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }() // it was only asked
	_ = c.SetDeadline(time.Now().Add(answerPatience))
	host, _, _ := net.SplitHostPort(address)
	heard := &hearing{Conn: c}
	_ = tls.Client(heard, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}).Handshake()
	return heard.tls()
}

// hearing notes the first byte that the other side says.
type hearing struct {
	net.Conn
	first atomic.Int32 // 0 is nothing yet, and no TLS
}

func (h *hearing) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	if n > 0 {
		h.first.CompareAndSwap(0, int32(b[0]))
	}
	return n, err
}

func (h *hearing) tls() bool {
	return h.first.Load() == alertRecord || h.first.Load() == handshakeRecord
}

// unencrypted is a connection without TLS; where the broker wants it, its first answer is an error that says so.
type unencrypted struct {
	net.Conn
	dialer   bounded
	address  string
	answered bool
}

func (c *unencrypted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.answered {
		return n, err
	}
	c.answered = true
	if n > 0 && b[0] == alertRecord || n == 0 && hungUp(err) && c.dialer.answersTLS(c.address) {
		return 0, reason.Wrap(io.EOF, reason.KafkaEncrypted.With(c.address)).Advise(reason.DoKafkaEncrypted.With())
	}
	return n, err
}

// hungUp tells whether a read failed because the other side ended the connection.
func hungUp(err error) bool {
	return err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded)
}
