package accept

import "encoding/binary"

// knownNames is for how many places of the tape the name is kept that stood there before, mostKnown how long one may be,
// quotes included.
const (
	knownNames = 128
	mostKnown  = 24
)

// knownName is a name as it is written, in words; behind its end, name and mask are zero.
type knownName struct {
	name, mask [mostKnown / 8]uint64
	length     int // quotes included; 0: none
	hash       int64
}

// again takes the name at a place where it is the one that stood there in the record before: those of one stream mostly have
// the same names in the same order. It gives the place behind, 0 where it may be another name.
func (t *tape) again(at int) int {
	n := len(t.tokens)
	if n >= knownNames || at+mostKnown > len(t.bytes) {
		return 0
	}
	k, b := &t.known[n], t.bytes[at:at+mostKnown]
	if (binary.LittleEndian.Uint64(b)^k.name[0])&k.mask[0]|(binary.LittleEndian.Uint64(b[8:])^k.name[1])&k.mask[1]|
		(binary.LittleEndian.Uint64(b[16:])^k.name[2])&k.mask[2] != 0 || k.length == 0 {
		return 0
	}
	t.add(text, 0, at, at+k.length).sum = k.hash
	return at + k.length
}

// keep keeps the name that was indexed last.
func (t *tape) keep() {
	n := len(t.tokens) - 1
	k := &t.tokens[n]
	length := int(k.end - k.start)
	if n >= knownNames || length > mostKnown || k.flags != 0 {
		return
	}
	var name, mask [mostKnown]byte
	for i := range copy(name[:], t.bytes[k.start:k.end]) {
		mask[i] = 0xff
	}
	known := &t.known[n]
	known.length, known.hash = length, k.sum
	for i := range known.name {
		known.name[i], known.mask[i] = binary.LittleEndian.Uint64(name[8*i:]), binary.LittleEndian.Uint64(mask[8*i:])
	}
}
