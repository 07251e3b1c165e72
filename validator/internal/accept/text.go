package accept

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks the bytes of eight that are a quote, a backslash, a control character or not ASCII.
func special(eight uint64) uint64 {
	quote := eight ^ ones*'"'
	slash := eight ^ ones*'\\'
	return ((eight - ones*0x20) | (quote-ones)&^quote | (slash-ones)&^slash | eight) & highs
}

// text indexes a string.
func (t *tape) text(at int, name bool) int {
	if !name {
		end, flags := scanText(t.bytes, at)
		if end >= 0 {
			t.add(text, flags, at, end)
		}
		return end
	}
	if end := t.again(at); end > 0 {
		return end
	}
	end, flags := scanText(t.bytes, at)
	if end < 0 || flags&escaped != 0 {
		return -1
	}
	t.add(text, flags, at, end).sum = nameOf(hashOf(t.bytes[at+1:end-1]), 0)
	t.keep()
	return end
}

// scanText gives the place behind the string that begins at a place, and what is to be known of it; -1 where it is none.
func scanText(b []byte, at int) (end int, flags uint8) {
	for i := at + 1; ; {
		if i+8 <= len(b) {
			found := special(binary.LittleEndian.Uint64(b[i:]))
			if found == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(found) / 8
		}
		if i >= len(b) {
			return -1, 0
		}
		switch c := b[i]; {
		case c == '"':
			if flags&wide != 0 && !utf8.Valid(b[at:i]) {
				return -1, 0
			}
			return i + 1, flags
		case c == '\\':
			if i = escape(b, i+1); i < 0 {
				return -1, 0
			}
			flags |= escaped
		case c < ' ':
			return -1, 0
		case c >= utf8.RuneSelf:
			flags |= wide
			for i++; i < len(b) && b[i] >= utf8.RuneSelf; i++ {
			}
		default:
			i++
		}
	}
}

// escape gives the place behind an escape, -1 where it is none.
func escape(b []byte, at int) int {
	if at >= len(b) {
		return -1
	}
	switch b[at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return at + 1
	case 'u':
		if at+5 > len(b) {
			return -1
		}
		for _, c := range b[at+1 : at+5] {
			if !isDigit(c) && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return -1
			}
		}
		return at + 5
	}
	return -1
}

// hashOf is a hash of a name: of its ends and its length.
func hashOf(name []byte) uint32 {
	var head, tail uint64
	switch n := len(name); {
	case n >= 8:
		head, tail = binary.LittleEndian.Uint64(name), binary.LittleEndian.Uint64(name[n-8:])
	case n >= 4:
		head, tail = uint64(binary.LittleEndian.Uint32(name)), uint64(binary.LittleEndian.Uint32(name[n-4:]))
	case n > 0:
		head, tail = uint64(name[0]), uint64(name[n/2])<<8|uint64(name[n-1])
	}
	return uint32(((head ^ bits.RotateLeft64(tail, 29)) + uint64(len(name))) * 0x9e3779b97f4a7c15 >> 32)
}
