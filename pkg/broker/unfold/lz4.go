package unfold

import (
	"encoding/binary"
	"errors"

	"github.com/pierrec/lz4/v4"
)

// What a frame of lz4 begins with
// (https://github.com/lz4/lz4/blob/v1.10.0/doc/lz4_Frame_format.md).
const (
	frameMagic    = 0x184D2204
	frameVersion  = 0x40
	frameMask     = 0xC0
	frameAlone    = 0x20 // blocks don't refer to those before
	frameBlockSum = 0x10
	frameSize     = 0x08
	frameSum      = 0x04
	frameDict     = 0x01
	blockAsItIs   = 1 << 31
)

// frame is what is left of a frame of lz4 in the form that producers write: its blocks stand alone.
type frame struct {
	rest     []byte
	block    int // what a block unfolds to at most
	blockSum int // bytes of a checksum behind each block
	sum      int // and behind all
}

// openFrame reads a frame's head; false is another form, or none.
func openFrame(data []byte) (f frame, ok bool) {
	const head = 7 // magic, flags, block size, checksum
	if len(data) < head || binary.LittleEndian.Uint32(data) != frameMagic {
		return f, false
	}
	flags, size := data[4], data[5]>>4&7
	if flags&frameMask != frameVersion || flags&frameAlone == 0 || flags&frameDict != 0 || size < 4 {
		return f, false
	}
	f = frame{block: 1 << (8 + 2*size)}
	skip := head
	if flags&frameSize != 0 {
		skip += 8
	}
	if flags&frameBlockSum != 0 {
		f.blockSum = 4
	}
	if flags&frameSum != 0 {
		f.sum = 4
	}
	if len(data) < skip {
		return f, false
	}
	f.rest = data[skip:]
	return f, true
}

// next is the frame's next block; none is its end, and not ok that it doesn't end as it should.
func (f *frame) next() (block []byte, asItIs, ok bool) {
	if len(f.rest) < 4 {
		return nil, false, false
	}
	word := binary.LittleEndian.Uint32(f.rest)
	f.rest = f.rest[4:]
	n := int(word &^ blockAsItIs)
	if n == 0 {
		return nil, false, len(f.rest) == f.sum
	}
	if n+f.blockSum > len(f.rest) {
		return nil, false, false
	}
	block, f.rest = f.rest[:n], f.rest[n+f.blockSum:]
	return block, word&blockAsItIs != 0, true
}

// errUnusual says that a frame isn't in the form that producers write, or damaged.
var errUnusual = errors.New("an unusual frame")

// lz4 appends what a frame unfolds to, up to room bytes, straight into the arena. errUnusual leaves it to the reader, which
// says what is wrong, if anything is; errMore may be either. The frame's own checksums aren't looked at, as Java's clients
// don't look at that of the contents: the batch has one over the same bytes.
func (b *budget) lz4(data []byte, room int) error {
	f, ok := openFrame(data)
	for ok {
		block, asItIs, fine := f.next()
		if fine && len(block) == 0 {
			return nil
		}
		if !fine {
			break
		}
		const steepest = 255 // of what lz4 can say, no byte stands for more
		most := len(block)
		if !asItIs {
			most = min(f.block, steepest*len(block))
		}
		n := min(most, room)
		at := len(b.arena)
		if cap(b.arena)-at < n {
			b.grow(max(n, min(at, room)))
		}
		n, ok = unfoldBlock(block, asItIs, b.arena[at:at+n])
		if !ok && room < most {
			return errMore
		}
		b.arena = b.arena[:at+n]
		room -= n
	}
	return errUnusual
}

// unfoldBlock unfolds a block; not ok is that it is damaged, or has no room.
func unfoldBlock(block []byte, asItIs bool, to []byte) (n int, ok bool) {
	if asItIs {
		return copy(to, block), len(to) >= len(block)
	}
	n, err := lz4.UncompressBlock(block, to)
	return n, err == nil
}
