package wal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// sending is a stream whose other end the test has: what it sends arrives message by message.
type sending struct {
	t    *testing.T
	peer net.Conn
	*stream
}

func newSending(t *testing.T) *sending {
	t.Helper()
	peer, own := net.Pipe()
	s := newStreamOver(t, own)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.receive(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("receive ended with %v", err)
		}
		_ = own.Close()
	})
	return &sending{t, peer, s}
}

// newStreamOver is a stream whose session begins with what comes over the connection.
func newStreamOver(t *testing.T, conn net.Conn) *stream {
	t.Helper()
	s := &stream{chunks: make(chan []message, 2), asked: make(chan struct{}, 1), buffer: bufio.NewReaderSize(conn, chunkBytes)}
	c, err := pgconn.ParseConfig("host=127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	s.conn, err = pgconn.Construct(&pgconn.HijackedConn{Conn: conn, Frontend: pgproto3.NewFrontend(s.buffer, conn), Config: c, TxStatus: 'I'})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// send returns when the message was taken, and so when what was sent before it was looked at.
func (s *sending) send(kind byte) { s.t.Helper(); s.sendMessage([]byte{kind}) }

func (s *sending) sendMessage(message []byte) {
	s.t.Helper()
	data := make([]byte, xlogHead)
	data[0] = pglogrepl.XLogDataByteID
	text, err := (&pgproto3.CopyData{Data: append(data, message...)}).Encode(nil)
	if err == nil {
		_ = s.peer.SetWriteDeadline(time.Now().Add(time.Minute)) // a pipe takes deadlines
		_, err = s.peer.Write(text)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// next is the next chunk, as the kinds of its messages.
func (s *sending) next() string {
	s.t.Helper()
	select {
	case chunk := <-s.chunks:
		var kinds []byte
		for _, m := range chunk {
			kinds = append(kinds, m.data[0])
		}
		return string(kinds)
	case <-time.After(time.Minute):
		s.t.Fatal("no chunk comes")
		return ""
	}
}

// TestNoChunkEndsWithinASmallTransaction: else what committed before it waits for the chunk behind it, which may end so again.
func TestNoChunkEndsWithinASmallTransaction(t *testing.T) {
	s := newSending(t)
	for _, kind := range []byte("BRUCMBIC") {
		s.send(kind)
	}
	for _, want := range []string{"BRUC", "M", "BIC"} {
		if got := s.next(); got != want {
			t.Errorf("chunk %q, want %q", got, want)
		}
	}
}

func TestALargeTransactionIsHandedOverInChunks(t *testing.T) {
	s := newSending(t)
	s.send('B')
	for range chunkMessages - 1 {
		s.send('I')
	}
	if got := s.next(); len(got) != chunkMessages {
		t.Errorf("a chunk of %d messages, not of %d", len(got), chunkMessages)
	}
}

// TestMessagesForOthersAreLeftWhereTheyCome: anybody may emit some of any size.
func TestMessagesForOthersAreLeftWhereTheyCome(t *testing.T) {
	s := newSending(t)
	emitted := func(prefix string) []byte {
		return append(append([]byte("M\x01\x00\x00\x00\x00\x00\x00\x00\x01"), prefix...), "\x00\x00\x00\x00\x01x"...)
	}
	s.send('B')
	for _, prefix := range []string{"", "junk", tagPrefix + "x", checkpointPrefix + "x", tagPrefix, checkpointPrefix} {
		s.sendMessage(emitted(prefix))
	}
	s.send('C')
	if got := s.next(); got != "BMMC" {
		t.Errorf("chunk %q", got)
	}
}

// TestATagIsCutWhereItComes, to what is told of it.
func TestATagIsCutWhereItComes(t *testing.T) {
	s := newSending(t)
	const length = 1 << 20
	long := append(binary.BigEndian.AppendUint32([]byte("M\x01\x00\x00\x00\x00\x00\x00\x00\x01"+tagPrefix+"\x00"), length), bytes.Repeat([]byte{'x'}, length)...)
	s.send('B')
	s.sendMessage(long)
	s.send('C')
	chunk := <-s.chunks
	parsed, err := pglogrepl.Parse(chunk[1].data)
	if err != nil {
		t.Fatal(err)
	}
	if m, ok := parsed.(*pglogrepl.LogicalDecodingMessage); !ok || m.Prefix != tagPrefix || string(m.Content) != strings.Repeat("x", maxTag) || cap(chunk[1].data) > 2*maxTag {
		t.Errorf("%d bytes, %.80q", cap(chunk[1].data), parsed)
	}
}
