package unfold

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Where a batch of version 2 has its fields (https://kafka.apache.org/documentation/#recordbatch).
const (
	atLength     = 8
	atMagic      = 16
	atChecksum   = 17
	atAttributes = 21 // where what the checksum is over begins
	atLastDelta  = 23
	atFirstTime  = 27
	atMostTime   = 35
	atProducer   = 43
	atCount      = 57
	batchHead    = 61
)

// leastRecord is how many bytes a record takes at least: six fields and its length.
const leastRecord = 7

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batch is a record batch of version 2 as it came.
type batch []byte

// nextBatch is the batch that a set begins with; false is none, or not all of one.
func nextBatch(set []byte) (batch, bool) {
	if len(set) < batchHead || set[atMagic] != 2 {
		return nil, false
	}
	n := int64(int32(binary.BigEndian.Uint32(set[atLength:]))) + atLength + 4
	if n < batchHead || n > int64(len(set)) {
		return nil, false
	}
	return batch(set[:n]), true
}

func (b batch) base() int64      { return int64(binary.BigEndian.Uint64(b)) }
func (b batch) codec() int       { return int(b[atAttributes+1] & codecMask) }
func (b batch) lastDelta() int32 { return int32(binary.BigEndian.Uint32(b[atLastDelta:])) }
func (b batch) count() int       { return int(int32(binary.BigEndian.Uint32(b[atCount:]))) }
func (b batch) intact() bool {
	return binary.BigEndian.Uint32(b[atChecksum:]) == crc32.Checksum(b[atAttributes:], castagnoli)
}

// reheaded makes the bytes of whole, of which all but the head are new, an uncompressed batch.
func reheaded(whole []byte, lastDelta int32, count int) {
	binary.BigEndian.PutUint32(whole[atLength:], uint32(len(whole)-atLength-4))
	whole[atAttributes+1] &^= codecMask
	binary.BigEndian.PutUint32(whole[atLastDelta:], uint32(lastDelta))
	binary.BigEndian.PutUint32(whole[atCount:], uint32(count))
	sum(whole)
}

// sum sets a batch's checksum.
func sum(b []byte) {
	binary.BigEndian.PutUint32(b[atChecksum:], crc32.Checksum(b[atAttributes:], castagnoli))
}

// errMore says that a batch unfolds to more than there is room for.
var errMore = errors.New("more than there is room for")

// batch appends a batch, or as much of it as there is room for; it tells whether what follows may come, too.
func (b *budget) batch(in batch, from int64) (goOn bool) {
	if in.codec() == codecNone || !in.intact() {
		records := min(max(in.count(), 0), len(in)/leastRecord)
		if b.any && len(in)+records*perRecord > b.left {
			return false
		}
		b.take(in, records)
		return true
	}
	if in.codec() == codecLZ4 {
		if done, goOn := b.folded(in); done {
			return goOn
		}
	}
	start := len(b.arena)
	err := b.whole(in)
	if err == nil {
		b.spend(len(b.arena)-start, in.count())
		return true
	}
	b.arena = b.arena[:start]
	switch {
	case !errors.Is(err, errMore):
		b.unreadable(in, in.base(), err)
		return true
	case b.any:
		return false
	default:
		return b.parts(in, from)
	}
}

// whole appends a batch unfolded.
func (b *budget) whole(in batch) error {
	count := in.count()
	if count < 0 {
		return fmt.Errorf("it says that it has %d records", count)
	}
	room := b.left - batchHead - count*perRecord
	if room < 0 {
		return errMore
	}
	start := len(b.arena)
	b.arena = append(b.arena, in[:batchHead]...)
	if err := b.unfold(in, room); err != nil {
		return err
	}
	if len(b.arena)-start-batchHead < count*leastRecord {
		return fmt.Errorf("it says that it has %d records, and has %d bytes", count, len(b.arena)-start-batchHead)
	}
	reheaded(b.arena[start:], in.lastDelta(), count)
	return nil
}

// unfold appends what a batch unfolds to, up to room bytes.
func (b *budget) unfold(in batch, room int) error {
	start := len(b.arena)
	if in.codec() == codecLZ4 {
		err := b.lz4(in[batchHead:], room)
		if err == nil || errors.Is(err, errMore) && b.any { // it is asked for again, and has more room then
			return err
		}
		b.arena = b.arena[:start]
	}
	r, err := open(in.codec(), in[batchHead:])
	if err != nil {
		return err
	}
	defer r.Close()
	return b.fill(r, room)
}

// grow makes room for n bytes more.
func (b *budget) grow(n int) {
	larger := make([]byte, len(b.arena), len(b.arena)+n)
	copy(larger, b.arena)
	b.arena = larger
}

// fill appends what r gives, up to room bytes.
func (b *budget) fill(r io.Reader, room int) error {
	const step = 64 << 10
	for {
		if cap(b.arena)-len(b.arena) < step/2 {
			b.grow(min(len(b.arena), room+1) + step)
		}
		n, err := r.Read(b.arena[len(b.arena):cap(b.arena)])
		b.arena = b.arena[:len(b.arena)+n]
		if room -= n; room < 0 {
			return errMore
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
