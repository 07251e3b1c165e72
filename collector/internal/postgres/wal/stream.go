package wal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"datawatch/collector/internal/postgres"
	"datawatch/pkg/config"
	"datawatch/pkg/reason"
)

const (
	// applicationName is how our sessions show in pg_stat_activity and pg_stat_replication.
	applicationName = "datawatch-collector"

	// statusEvery is well below wal_sender_timeout. The server may write its slot to disk each time that more is confirmed.
	statusEvery = 5 * time.Second

	// A chunk of messages is handed over when it has this much, or when the server has no more for now, and isn't in the middle
	// of a transaction, whose end is on its way: else what is committed could be held up for as long as each chunk happens to
	// end in one. Then the server is left alone for a moment: each message that somebody waits for costs the server's host a change of process (wakeAt).
	chunkMessages = 512
	chunkBytes    = 256 << 10
	gather        = 5 * time.Millisecond
)

// errEnded is the end of the stream by the server, which it does when it is shut down.
var errEnded = reason.New(reason.WALEnded.With())

// settings are those that decide how values are printed: the ones that capture by triggers has, too.
var settings = map[string]string{
	"application_name": applicationName, "search_path": "pg_catalog", "timezone": "UTC", "datestyle": "ISO, YMD", "intervalstyle": "postgres",
	"bytea_output": "hex", "extra_float_digits": "1", "lc_monetary": "C", "xmlbinary": "base64", "quote_all_identifiers": "off", "client_encoding": "UTF8",
	"statement_timeout": "0", "idle_in_transaction_session_timeout": "0",
	"wal_sender_timeout": "60s", // of a server that has it shorter, reports would come too late while the broker takes nothing
}

// stream is a session that the server sends the WAL to, decoded.
type stream struct {
	conn   *pgconn.PgConn
	buffer *bufio.Reader // in front of the connection
	chunks chan []message
	asked  chan struct{} // the server wants to hear of us; one place

	write     sync.Mutex
	seen      atomic.Uint64 // what the server has sent
	confirmed atomic.Uint64 // what it may forget
}

// message is one of the server's: of pgoutput, or a sign that there is nothing to send up to lsn.
type message struct {
	lsn   pglogrepl.LSN // of the change's record; of a keepalive, the end of what was sent
	alive bool
	data  []byte
	ended *streamError // the server can't send what follows
}

// within tells whether a transaction goes on behind the message; before is whether one did before it.
func (m *message) within(before bool) bool {
	switch {
	case m.alive || len(m.data) == 0:
		return before
	case m.data[0] == 'B':
		return true
	default:
		return before && m.data[0] != 'C'
	}
}

// openStream connects for replication. Nothing is sent yet.
func openStream(ctx context.Context, dsn config.Secret) (*stream, error) {
	c, err := pgx.ParseConfig(dsn.Reveal())
	if err != nil { // it may quote the password
		return nil, reason.New(reason.NoAddress.With())
	}
	for name, value := range settings {
		c.RuntimeParams[name] = value
	}
	c.RuntimeParams["replication"] = "database"
	ctx, cancel := postgres.Bounded(ctx, c)
	defer cancel()
	s := &stream{chunks: make(chan []message, 2), asked: make(chan struct{}, 1)}
	c.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		s.buffer = bufio.NewReaderSize(r, chunkBytes)
		return pgproto3.NewFrontend(s.buffer, w)
	}
	if s.conn, err = pgconn.ConnectConfig(ctx, &c.Config); err != nil {
		return nil, postgres.Unopened(err, reason.NotReplicating, postgres.KeyDSN, c)
	}
	sql := postgres.TimeoutsSQL
	if s.conn.ParameterStatus("server_encoding") == "SQL_ASCII" { // takes any bytes for text, and wouldn't give them to us
		sql += "; set client_encoding = 'SQL_ASCII'"
	}
	if _, err := s.conn.Exec(ctx, sql).ReadAll(); err != nil {
		s.close(ctx)
		return nil, postgres.Unopened(err, reason.NotReplicating, postgres.KeyDSN, c)
	}
	return s, nil
}

// close tells what was confirmed last and says goodbye, also when ctx is done, so that the slot is free at once.
func (s *stream) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if s.confirmed.Load() > 0 && !s.conn.IsClosed() { // else something says goodbye on it already
		_ = s.conn.Conn().SetWriteDeadline(time.Now().Add(time.Second)) // on a connection that is gone nothing is lost
		_ = s.status(ctx, false)                                        // else the server sends it again
	}
	s.write.Lock()
	defer s.write.Unlock()
	_ = s.conn.Close(ctx) // the server notices either way
}

// start has the server send what committed from lsn on.
func (s *stream) start(ctx context.Context, n names, lsn pglogrepl.LSN, messages bool) error {
	// Servers of version 13 stop at the first publication that has every operation: it must not be the first.
	arguments := []string{"proto_version '1'", "publication_names '" + n.inserts + "," + n.all + "'"}
	if messages {
		arguments = append(arguments, "messages 'true'")
	}
	err := pglogrepl.StartReplication(ctx, s.conn, n.slot, lsn, pglogrepl.StartReplicationOptions{PluginArgs: arguments})
	if err != nil {
		return fmt.Errorf("read the slot %s: %w", n.slot, err)
	}
	return nil
}

// startsAt is what is confirmed until somebody confirms more. It is nothing behind the slot, which some servers would put back.
func (s *stream) startsAt(lsn pglogrepl.LSN) {
	s.seen.Store(uint64(lsn))
	s.confirmed.Store(uint64(lsn))
}

// receive hands the server's messages over until ctx is done, or the server can't send what follows.
func (s *stream) receive(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Conn().SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var chunk []message
	var slab []byte
	within := false // a transaction
	for {
		received, err := s.conn.ReceiveMessage(context.Background()) // a context that can end costs a goroutine a message
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("read the WAL: %w", err)
		}
		switch m := received.(type) {
		case *pgproto3.CopyData:
			data := emitted(m.Data)
			if data == nil {
				break
			}
			var one message
			if one, slab, err = s.message(data, slab); err != nil {
				return err
			}
			chunk, within = append(chunk, one), one.within(within)
		case *pgproto3.ErrorResponse:
			ended := &streamError{pgconn.ErrorResponseToPgError(m)}
			if !unsendable(ended) {
				return ended
			}
			return s.hand(ctx, append(chunk, message{ended: ended}), true)
		case *pgproto3.CopyDone, *pgproto3.CommandComplete:
			return errEnded
		}
		more := s.conn.Frontend().ReadBufferLen()+s.buffer.Buffered() > 0
		if (more || within) && len(chunk) < chunkMessages && len(slab) < chunkBytes || len(chunk) == 0 {
			continue
		}
		if err := s.hand(ctx, chunk, more); err != nil {
			return err
		}
		// The next one is as large, mostly.
		chunk, slab = make([]message, 0, len(chunk)), make([]byte, 0, min(len(slab), 2*chunkBytes))
	}
}

// xlogHead is what is before a message of pgoutput: the kind, the record's place, the end of the WAL, the time.
const xlogHead = 25

// emitted bounds a message that pg_logical_emit_message wrote, which anybody may make as large as he likes; nothing is left of one that isn't
// for us.
func emitted(data []byte) []byte {
	const prefixAt = xlogHead + 1 + 1 + 8 // the kind, flags, the message's place
	if len(data) <= prefixAt || data[0] != pglogrepl.XLogDataByteID || data[xlogHead] != 'M' {
		return data
	}
	prefix, content, _ := bytes.Cut(data[prefixAt:], []byte{0})
	if string(prefix) != tagPrefix && string(prefix) != checkpointPrefix {
		return nil
	}
	const most = 4 + maxTag // behind its length
	if len(content) > most {
		binary.BigEndian.PutUint32(content, maxTag)
		data = data[:len(data)-len(content)+most]
	}
	return data
}

// hand hands a chunk over, and waits a moment where there is no more for now.
func (s *stream) hand(ctx context.Context, chunk []message, more bool) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case s.chunks <- chunk:
	}
	if more {
		return nil
	}
	const much = chunkBytes / 4 // a socket holds twice as much by itself
	wakeAt(s.conn.Conn(), much)
	defer wakeAt(s.conn.Conn(), 1)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(gather):
		return nil
	}
}

// message reads one message, whose bytes are the connection's, and copies it behind slab.
func (s *stream) message(data, slab []byte) (message, []byte, error) {
	if len(data) == 0 {
		return message{}, slab, errMessage
	}
	switch data[0] {
	case pglogrepl.PrimaryKeepaliveMessageByteID:
		k, err := pglogrepl.ParsePrimaryKeepaliveMessage(data[1:])
		if err != nil {
			return message{}, slab, fmt.Errorf("%w: %w", errMessage, err)
		}
		s.seen.Store(max(s.seen.Load(), uint64(k.ServerWALEnd)))
		if k.ReplyRequested {
			s.ask()
		}
		return message{lsn: k.ServerWALEnd, alive: true}, slab, nil
	case pglogrepl.XLogDataByteID:
		if len(data) <= xlogHead {
			return message{}, slab, errMessage
		}
		begin := len(slab)
		slab = append(slab, data[xlogHead:]...)
		return message{lsn: pglogrepl.LSN(binary.BigEndian.Uint64(data[1:])), data: slab[begin:len(slab):len(slab)]}, slab, nil
	default:
		return message{}, slab, fmt.Errorf("kind %q: %w", data[0], errMessage)
	}
}

func (s *stream) ask() {
	select {
	case s.asked <- struct{}{}:
	default:
	}
}

// confirm lets the server forget what is before lsn.
func (s *stream) confirm(lsn pglogrepl.LSN) {
	s.confirmed.Store(max(s.confirmed.Load(), uint64(lsn)))
}

// report tells the server what was confirmed: when it asks, and often enough to be taken for alive, also while a batch
// waits for the broker.
func (s *stream) report(ctx context.Context) error {
	ticker := time.NewTicker(statusEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		case <-s.asked:
		}
		if err := s.status(ctx, false); err != nil {
			return fmt.Errorf("tell the server what was read: %w", err)
		}
	}
}

// status tells what was confirmed; asking has the server answer with how far it is.
func (s *stream) status(ctx context.Context, asking bool) error {
	confirmed := pglogrepl.LSN(s.confirmed.Load())
	s.write.Lock()
	defer s.write.Unlock()
	return pglogrepl.SendStandbyStatusUpdate(ctx, s.conn, pglogrepl.StandbyStatusUpdate{
		WALWritePosition: max(confirmed, pglogrepl.LSN(s.seen.Load())), WALFlushPosition: confirmed, WALApplyPosition: confirmed, ReplyRequested: asking,
	})
}
