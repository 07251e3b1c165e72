package unfold

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Codecs of a batch, as its attributes number them (https://kafka.apache.org/documentation/#recordbatch).
const (
	codecNone = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd
	codecMask = 7
)

const (
	// mostWindow is how far back zstd may refer, which a reader must hold: levels up to 20 stay within it.
	mostWindow = 32 << 20
	// mostBlock bounds a block of snappy, which is unfolded whole.
	mostBlock = 64 << 20
)

// reader unfolds a stream; it goes back to its pool when it is closed.
type reader struct {
	io.Reader
	release func()
}

func (r reader) Close() { r.release() }

var pools struct{ gzip, lz4, zstd sync.Pool }

// open begins to unfold data.
func open(codec int, data []byte) (reader, error) {
	r, err := reset(codec, data)
	if err != nil {
		r.release()
	}
	return r, err
}

// reset takes a reader from its pool; it must be released even where it fails.
func reset(codec int, data []byte) (reader, error) {
	source := bytes.NewReader(data)
	switch codec {
	case codecGzip:
		z, ok := pools.gzip.Get().(*gzip.Reader)
		if !ok {
			z = new(gzip.Reader)
		}
		return reader{z, func() { pools.gzip.Put(z) }}, z.Reset(source)
	case codecSnappy:
		return reader{&snappyReader{data: data}, func() {}}, nil
	case codecLZ4:
		z, ok := pools.lz4.Get().(*lz4.Reader)
		if !ok {
			z = lz4.NewReader(nil)
		}
		z.Reset(source)
		return reader{z, func() { z.Reset(nil); pools.lz4.Put(z) }}, nil
	case codecZstd:
		z, ok := pools.zstd.Get().(*zstd.Decoder)
		if !ok {
			var err error
			z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(mostWindow))
			if err != nil {
				return reader{nil, func() {}}, err
			}
		}
		return reader{z, func() { _ = z.Reset(nil); pools.zstd.Put(z) }}, z.Reset(source)
	default:
		return reader{nil, func() {}}, fmt.Errorf("an unknown compression, %d", codec)
	}
}

// snappyReader unfolds snappy's bare block, or the chain of blocks that Java's clients write
// (https://github.com/xerial/snappy-java#compatibility-notes).
type snappyReader struct {
	data    []byte
	chained bool
	begun   bool
	block   []byte // unfolded
	rest    []byte // of block, not yet read
}

var chainMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

// chainHead is the magic and two versions, which say nothing to a reader.
const chainHead = 16

var errBlock = errors.New("snappy: a block that is cut short or too large")

func (r *snappyReader) Read(p []byte) (int, error) {
	if !r.begun {
		r.begun = true
		if r.chained = bytes.HasPrefix(r.data, chainMagic) && len(r.data) >= chainHead; r.chained {
			r.data = r.data[chainHead:]
		}
	}
	for len(r.rest) == 0 {
		if len(r.data) == 0 {
			return 0, io.EOF
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *snappyReader) next() error {
	block := r.data
	if r.chained {
		if len(r.data) < 4 {
			return errBlock
		}
		n := uint64(binary.BigEndian.Uint32(r.data))
		if n > uint64(len(r.data)-4) {
			return errBlock
		}
		block = r.data[4 : 4+n]
		r.data = r.data[4+n:]
	} else {
		r.data = nil
	}
	// No element of snappy's gives more than 64 bytes for three, so a longer length is a lie.
	if n, err := snappy.DecodedLen(block); err != nil || n > mostBlock || n > 32*len(block) {
		return errBlock
	}
	var err error
	r.block, err = snappy.Decode(r.block[:cap(r.block)], block)
	r.rest = r.block
	return err
}
