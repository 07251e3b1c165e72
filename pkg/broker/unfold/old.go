package unfold

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Where a message of the formats before version 2 has its fields (https://kafka.apache.org/documentation/#messageset).
const (
	atOldSize       = 8
	atOldChecksum   = 12
	atOldAttributes = 17
	oldHead         = 18 // without the time, which version 1 has
	leastMessage    = oldHead + 8
)

// message is one of a format before version 2. Where it is compressed, its value is a set of messages, and its offset that
// of their last.
type message []byte

// nextMessage is the message that a set begins with; false is none, or not all of one.
func nextMessage(set []byte) (message, bool) {
	if len(set) < leastMessage || set[atMagic] > 1 {
		return nil, false
	}
	n := int64(int32(binary.BigEndian.Uint32(set[atOldSize:]))) + atOldSize + 4
	if n < leastMessage || n > int64(len(set)) {
		return nil, false
	}
	return message(set[:n]), true
}

func (m message) offset() int64 { return int64(binary.BigEndian.Uint64(m)) }
func (m message) codec() int    { return int(m[atOldAttributes] & codecMask) }
func (m message) intact() bool {
	return binary.BigEndian.Uint32(m[atOldChecksum:]) == crc32.ChecksumIEEE(m[atMagic:])
}

// value is the message's value; nil where there is none.
func (m message) value() []byte {
	rest := m[oldHead:]
	if m[atMagic] == 1 {
		rest = rest[min(8, len(rest)):]
	}
	text := func() (b []byte) {
		if len(rest) < 4 {
			return nil
		}
		n := int64(int32(binary.BigEndian.Uint32(rest)))
		rest = rest[4:]
		if n < 0 || n > int64(len(rest)) {
			return nil
		}
		b, rest = rest[:n], rest[n:]
		return b
	}
	text() // the key
	return text()
}

// message appends a message as it is, if there is room for what it unfolds to: the client does that. One that is too much
// alone, or can't be unfolded, is one record that says so. It tells whether what follows may come, too; next is the first
// offset that the message may hold.
func (b *budget) message(in message, next int64) (goOn bool) {
	size, records, err := 0, 1, error(nil)
	if in.codec() != codecNone {
		size, records, err = in.unfolded(b.left - len(in))
	}
	switch {
	case err == nil:
		if b.any && size+len(in)+records*perRecord > b.left {
			return false
		}
		b.take(in, records)
		b.left -= size
	case errors.Is(err, errMore):
		if b.any {
			return false
		}
		b.unreadable(in.asBatch(), next, fmt.Errorf("it unfolds to more than %d bytes, and is of an old format, which isn't read in parts", b.most))
	case !in.intact():
		b.take(in, records) // the client says that it is damaged
	default:
		b.unreadable(in.asBatch(), next, err)
	}
	return true
}

// unfolded is what a compressed message comes to, without holding it; errMore is more than room.
func (m message) unfolded(room int) (size, records int, err error) {
	r, err := open(m.codec(), m.value())
	if err != nil {
		return 0, 0, err
	}
	defer r.Close()
	room = max(room, 0)
	in := bufio.NewReader(io.LimitReader(r, int64(room)+1))
	for {
		var head [oldHead]byte
		n, err := io.ReadFull(in, head[:])
		if size += n; err == nil {
			if head[atOldAttributes]&codecMask != codecNone {
				return size, records, errors.New("what it unfolds to is compressed again")
			}
			rest := int(int32(binary.BigEndian.Uint32(head[atOldSize:]))) - (oldHead - atOldSize - 4)
			if rest < leastMessage-oldHead {
				return size, records, errors.New("a message that is too short")
			}
			n, err = in.Discard(rest)
			size += n
			records++
		}
		switch {
		case size+records*perRecord > room:
			return size, records, errMore
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			if records == 0 {
				return size, records, errors.New("it holds no message")
			}
			return size, records, nil
		case err != nil:
			return size, records, err
		}
	}
}

// asBatch is an empty batch of version 2 in the message's place, as long as the message.
func (m message) asBatch() batch {
	b := make(batch, batchHead+len(m))
	copy(b, m[:8])
	b[atMagic] = 2
	for i := atProducer; i < atCount; i++ {
		b[i] = 0xff // of no producer
	}
	if m[atMagic] == 1 && len(m) >= oldHead+8 {
		copy(b[atFirstTime:], m[oldHead:oldHead+8])
		copy(b[atMostTime:], m[oldHead:oldHead+8])
	}
	return b
}
