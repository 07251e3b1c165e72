package unfold

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// mostUnfolded is how far into a batch anybody looks.
	mostUnfolded = 512 << 20
	// mostHead is how much of the key and, together, of the headers of a record is kept that is cut.
	mostHead = 1 << 20
)

// errEndless says that a batch goes on for too long.
var errEndless = fmt.Errorf("it unfolds to more than %d MB", mostUnfolded>>20)

// stream reads a batch's records one after the other, without holding them.
type stream struct {
	*bufio.Reader
	read int // bytes of the present record, or what was read in all
}

// ReadByte implements io.ByteReader, for varints.
func (s *stream) ReadByte() (byte, error) {
	c, err := s.Reader.ReadByte()
	if err == nil {
		s.read++
	}
	return c, err
}

func (s *stream) varint() (int, error) {
	v, err := binary.ReadVarint(s)
	return int(v), err
}

// progress is how far into a batch parts has come.
type progress struct {
	records int   // that were appended
	last    int32 // offset delta of the last of them
	next    int64 // the first offset that wasn't reached
}

// parts appends the records of a batch from an offset on, as many as fit: one at least. It tells whether they are all.
func (b *budget) parts(in batch, from int64) (all bool) {
	start := len(b.arena)
	b.arena = append(b.arena, in[:batchHead]...)
	b.spend(batchHead, 0)
	p, err := b.walk(in, from)
	switch {
	case err == nil: // the last ones, and what compaction took away behind them
		p.last, all = in.lastDelta(), true
	case p.records == 0:
		b.arena = b.arena[:start]
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errEndless
			if !endless(in) {
				err = errors.New("it ends within a record")
			}
		}
		b.unreadable(in, p.next, err)
		return true
	}
	reheaded(b.arena[start:], p.last, p.records)
	return all
}

// walk appends records until one has no room (errMore), can't be read, or none is left.
func (b *budget) walk(in batch, from int64) (p progress, err error) {
	p.next = max(in.base(), from)
	r, err := open(in.codec(), in[batchHead:])
	if err != nil {
		return p, err
	}
	defer r.Close()
	s := &stream{Reader: bufio.NewReaderSize(io.LimitReader(r, mostUnfolded), 64<<10)}
	for range in.count() {
		before := len(b.arena)
		delta, kept, err := b.record(s, in.base(), from, p.records == 0)
		if err != nil {
			return p, err
		}
		if kept {
			p = progress{records: p.records + 1, last: int32(delta), next: in.base() + int64(delta) + 1}
			b.spend(len(b.arena)-before, 1)
		}
	}
	return p, nil
}

// endless tells whether a batch unfolds to more than anybody looks at.
func endless(in batch) bool {
	r, err := open(in.codec(), in[batchHead:])
	if err != nil {
		return false
	}
	defer r.Close()
	n, _ := io.Copy(io.Discard, io.LimitReader(r, mostUnfolded+1))
	return n > mostUnfolded
}

// record appends a record, if it is one from the offset on; the first one in any case, if need be cut. errMore says that
// there is no room for it.
func (b *budget) record(s *stream, base, from int64, first bool) (delta int, kept bool, err error) {
	length, err := s.varint()
	if err != nil {
		return 0, false, err
	}
	if length < leastRecord-1 {
		return 0, false, fmt.Errorf("a record of %d bytes", length)
	}
	s.read = 0
	attributes, err := s.ReadByte()
	if err != nil {
		return 0, false, err
	}
	time, err := binary.ReadVarint(s)
	if err != nil {
		return 0, false, err
	}
	if delta, err = s.varint(); err != nil {
		return 0, false, err
	}
	rest := length - s.read
	if rest < 0 {
		return 0, false, fmt.Errorf("a record of %d bytes that has more", length)
	}
	room := b.left - perRecord
	if base+int64(delta) < from {
		_, err = s.Discard(rest)
		return delta, false, err
	}
	head := binary.AppendVarint(binary.AppendVarint([]byte{attributes}, time), int64(delta))
	start := len(b.arena)
	switch {
	case len(head)+rest <= room:
		b.arena = append(binary.AppendVarint(b.arena, int64(len(head)+rest)), head...)
		err = b.read(s, rest)
	case !first:
		return delta, false, errMore
	default:
		err = b.cut(s, head, rest)
	}
	if err != nil {
		b.arena = b.arena[:start]
		return delta, false, err
	}
	return delta, true, nil
}

// read appends the next n bytes.
func (b *budget) read(r io.Reader, n int) error {
	at := len(b.arena)
	if cap(b.arena)-at < n {
		b.grow(max(n, min(at, b.left)))
	}
	b.arena = b.arena[:at+n]
	_, err := io.ReadFull(r, b.arena[at:])
	return err
}
