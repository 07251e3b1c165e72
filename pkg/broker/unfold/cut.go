package unfold

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

var errRecord = errors.New("a record whose parts don't fit into it")

// piece is a record's bytes in the making.
type piece struct {
	from    *stream
	left    int // bytes of the record that are still to be read
	bytes   []byte
	texts   int // bytes that were taken
	missing int // bytes that were left out
}

func (p *piece) number() (int, error) {
	before := p.from.read
	n, err := p.from.varint()
	p.left -= p.from.read - before
	if err == nil && (p.left < 0 || n > p.left) {
		err = errRecord
	}
	return n, err
}

// text takes bytes with their length before them, at most so many; the rest is left out. Fewer than none is null.
func (p *piece) text(most int) error {
	n, err := p.number()
	if err != nil {
		return err
	}
	if n < 0 {
		p.bytes = binary.AppendVarint(p.bytes, -1)
		return nil
	}
	p.left -= n
	take := min(n, max(most, 0))
	p.bytes = binary.AppendVarint(p.bytes, int64(take))
	at := len(p.bytes)
	p.bytes = append(p.bytes, make([]byte, take)...)
	if _, err := io.ReadFull(p.from, p.bytes[at:]); err != nil {
		return err
	}
	p.texts += take
	p.missing += n - take
	_, err = p.from.Discard(n - take)
	return err
}

// cut appends a record of which only the beginning has room: of its key, its value and its headers, in this order of
// importance, what is large is cut or left out.
func (b *budget) cut(s *stream, head []byte, rest int) error {
	p := piece{from: s, left: rest, bytes: append(make([]byte, 0, b.most/2+3*mostHead), head...)}
	size := rest
	if err := p.text(mostHead); err != nil { // the key
		return err
	}
	if err := p.text(b.most / 2); err != nil { // the value
		return err
	}
	headers, err := p.headers()
	if err != nil {
		return err
	}
	mark := Mark{Missing: p.missing, Reason: fmt.Sprintf("the record has %d bytes once unfolded, more than are read at once", size)}
	own := binary.AppendVarint(nil, int64(headers.count+1))
	own = append(own, headers.bytes...)
	own = append(binary.AppendVarint(own, int64(len(markName))), markName...)
	own = append(binary.AppendVarint(own, int64(len(mark.value()))), mark.value()...)
	b.arena = binary.AppendVarint(b.arena, int64(len(p.bytes)+len(own)))
	b.arena = append(append(b.arena, p.bytes...), own...)
	return nil
}

// headerSet is the headers that a record keeps.
type headerSet struct {
	count int
	bytes []byte
}

// headers takes the record's headers; what doesn't fit any more is left out, from there on.
func (p *piece) headers() (kept headerSet, err error) {
	n, err := p.number()
	if err != nil {
		return kept, err
	}
	full := false
	for range n {
		one := piece{from: p.from, left: p.left}
		room := mostHead - len(kept.bytes)
		if full {
			room = 0
		}
		if err = one.text(room); err == nil {
			err = one.text(room - len(one.bytes))
		}
		if err != nil {
			return kept, err
		}
		p.left = one.left
		p.missing += one.missing
		if full = full || one.missing > 0; full {
			p.missing += one.texts
			continue
		}
		kept.count++
		kept.bytes = append(kept.bytes, one.bytes...)
	}
	_, err = p.from.Discard(max(p.left, 0))
	return kept, err
}

// unreadable appends a record in the place of those of a batch that are left from an offset on.
func (b *budget) unreadable(in batch, next int64, cause error) {
	last := in.base() + int64(in.lastDelta())
	mark := Mark{
		Unreadable: true, Missing: len(in) - batchHead,
		Reason: fmt.Sprintf("offsets %d to %d lie in a compressed batch that can't be unfolded: %v", min(next, last), last, cause),
	}
	record := binary.AppendVarint([]byte{0, 0}, int64(in.lastDelta())) // attributes, time, offset
	record = append(record, 1, 1, 2)                                   // no key, no value, one header
	record = append(binary.AppendVarint(record, int64(len(markName))), markName...)
	record = append(binary.AppendVarint(record, int64(len(mark.value()))), mark.value()...)
	start := len(b.arena)
	b.arena = append(b.arena, in[:batchHead]...)
	b.arena = append(binary.AppendVarint(b.arena, int64(len(record))), record...)
	reheaded(b.arena[start:], in.lastDelta(), 1)
	b.spend(len(b.arena)-start, 1)
}
