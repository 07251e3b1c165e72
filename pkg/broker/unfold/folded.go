package unfold

import "encoding/binary"

// frameHeads are the heads of frames that may stay folded, as sarama and Java's clients write them, by the size of their blocks:
// each block alone, no other checksum than, maybe, one of the contents. Behind the size is the checksum of the head itself.
var frameHeads = map[[2]byte]byte{
	{plainFrame, 4 << 4}: 0x82, {plainFrame, 5 << 4}: 0xfb, {plainFrame, 6 << 4}: 0x51, {plainFrame, 7 << 4}: 0x73,
	{plainFrame | frameSum, 4 << 4}: 0xa7, {plainFrame | frameSum, 5 << 4}: 0x08, {plainFrame | frameSum, 6 << 4}: 0x85, {plainFrame | frameSum, 7 << 4}: 0xb9,
}

const plainFrame = frameVersion | frameAlone

// folded appends a batch as it is where it is known, without unfolding it, what it comes to and that the client will find
// nothing wrong with it: that spares a copy and two checksums of all its bytes. What the client then holds at once is what
// the batch is and what it unfolds to. It tells whether the batch is done with, and whether what follows may come, too.
func (b *budget) folded(in batch) (done, goOn bool) {
	data, count := in[batchHead:], in.count()
	f, ok := openFrame(data)
	if !ok || count < 0 || frameHeads[[2]byte{data[4], data[5]}] != data[6] {
		return false, false
	}
	room := b.left - len(in) - count*perRecord
	size := 0
	for {
		block, asItIs, fine := f.next()
		if !fine {
			return false, false
		}
		if len(block) == 0 {
			break
		}
		n, fine := blockSize(block, asItIs, f.block)
		if !fine {
			return false, false
		}
		if size += n; size > room {
			return b.any, false // alone, it may have room unfolded, or come in parts
		}
	}
	if size < count*leastRecord {
		return false, false
	}
	start := len(b.arena)
	b.arena = append(b.arena, in[:len(in)-f.sum]...)
	if f.sum > 0 { // of the contents: the batch has one, and this one takes as long as to unfold them
		withoutSum(b.arena[start:])
	}
	b.spend(len(in)+size, count)
	return true, true
}

// withoutSum makes the frame of a batch one without a checksum, which has been cut off.
func withoutSum(b []byte) {
	head := b[batchHead+4:]
	head[0] &^= frameSum
	head[2] = frameHeads[[2]byte{head[0], head[1]}]
	binary.BigEndian.PutUint32(b[atLength:], uint32(len(b)-atLength-4))
	sum(b)
}

// blockSize is what a block of lz4 unfolds to, where that is at most so much and nothing is wrong with the block
// (https://github.com/lz4/lz4/blob/v1.10.0/doc/lz4_Block_format.md).
func blockSize(block []byte, asItIs bool, most int) (n int, ok bool) {
	if asItIs {
		return len(block), len(block) <= most
	}
	for at := 0; at < len(block); {
		token := block[at]
		literals, at2, fine := blockLength(block, at+1, int(token>>4))
		if !fine || literals > len(block)-at2 {
			return 0, false
		}
		at = at2 + literals
		if n += literals; n > most {
			return 0, false
		}
		if at == len(block) {
			return n, literals > 0 && token&15 == 0
		}
		if len(block)-at < 2 {
			return 0, false
		}
		back := int(binary.LittleEndian.Uint16(block[at:]))
		again, at3, fine := blockLength(block, at+2, int(token&15))
		if !fine || back == 0 || back > n {
			return 0, false
		}
		at = at3
		if n += again + 4; n > most {
			return 0, false
		}
	}
	return 0, false // it must end with literals, one at least, and nothing to repeat
}

// blockLength is a length of which the token's four bits are the beginning, and the place behind it.
func blockLength(block []byte, at, n int) (length, behind int, ok bool) {
	if n < 15 {
		return n, at, true
	}
	for at < len(block) {
		more := block[at]
		at++
		if n += int(more); more < 255 {
			return n, at, true
		}
	}
	return 0, 0, false
}
