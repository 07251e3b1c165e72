package alerts

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
)

// sketchSize is how many keys a sketch tells apart exactly; beyond, its estimate is off by some 9%.
const sketchSize = 128

// sketch counts distinct keys in bounded space: the smallest hashes seen, sorted. As long as there is room the count is
// exact; then their density tells how many there are (Bar-Yossef et al., "Counting distinct elements in a data stream",
// 2002, algorithm 1).
type sketch []uint64

func (s *sketch) add(key []byte) {
	sum := sha256.Sum256(key)
	h := binary.BigEndian.Uint64(sum[:])
	at, found := slices.BinarySearch(*s, h)
	if found || at == sketchSize {
		return
	}
	*s = slices.Insert(slices.Clone(*s), at, h)
	if len(*s) > sketchSize {
		*s = (*s)[:sketchSize]
	}
}

func (s sketch) count() (n int64, exact bool) {
	if len(s) < sketchSize {
		return int64(len(s)), true
	}
	return int64(float64(sketchSize-1) / (float64(s[sketchSize-1]) / math.MaxUint64)), false
}
