package unfold

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/pierrec/lz4/v4"
)

// framed writes data as a frame of lz4.
func framed(t testing.TB, data []byte, options ...lz4.Option) []byte {
	t.Helper()
	var b bytes.Buffer
	w := lz4.NewWriter(&b)
	if err := w.Apply(options...); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestHeadsOfPlainFramesAreTheLibrarysOwn(t *testing.T) {
	for _, sums := range []bool{false, true} {
		for _, size := range []lz4.BlockSize{lz4.Block64Kb, lz4.Block256Kb, lz4.Block1Mb, lz4.Block4Mb} {
			head := framed(t, []byte("a"), lz4.ChecksumOption(sums), lz4.BlockSizeOption(size))[4:7]
			if sum, ok := frameHeads[[2]byte{head[0], head[1]}]; !ok || sum != head[2] {
				t.Errorf("checksums %t, blocks of %d: the head is %x, not %x", sums, size, head, sum)
			}
		}
	}
}

// Batches as producers write them stay folded, and the client reads from them what was written.
func TestBatchesThatAreSmallEnoughStayFolded(t *testing.T) {
	records := [][]byte{record(0, []byte("a"), bytes.Repeat([]byte("1234"), 50_000)), record(1, []byte("b"), random(100_000)), record(2, nil, nil)}
	all := bytes.Join(records, nil)
	for name, options := range map[string][]lz4.Option{
		"as sarama": {lz4.BlockSizeOption(lz4.Block64Kb)},
		"as Java":   {lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false)},
	} {
		t.Run(name, func(t *testing.T) {
			in := rawBatch(codecLZ4, 7, 2, 3, framed(t, all, options...))
			b := budget{most: most, left: most}
			if !b.batch(in, 0) || batch(b.arena).codec() != codecLZ4 || len(b.arena) > len(in) {
				t.Fatalf("a batch of %d bytes became one of %d with codec %d", len(in), len(b.arena), batch(b.arena).codec())
			}
			if want := most - len(all) - len(in) - 3*perRecord; b.left != want {
				t.Errorf("room for %d bytes is left, not for %d", b.left, want)
			}
			got, want := recordsOf(t, asRead(t, b.arena)), recordsOf(t, rawBatch(codecNone, 7, 2, 3, all))
			if !batch(b.arena).intact() || !reflect.DeepEqual(got, want) {
				t.Errorf("the client reads %d records, or others than were written", len(got))
			}
		})
	}
}

// A block that is said to be right is unfolded by the client to just as much.
func FuzzBlock(f *testing.F) {
	for _, data := range [][]byte{random(50), make([]byte, 1000), append(random(300), make([]byte, 300)...), bytes.Repeat([]byte("abcdefgh"), 40)} {
		block := make([]byte, lz4.CompressBlockBound(len(data)))
		n, err := lz4.CompressBlock(data, block, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(block[:n])
	}
	f.Fuzz(func(t *testing.T, block []byte) {
		const most = 64 << 10
		n, ok := blockSize(block, false, most)
		if !ok {
			return
		}
		if got, err := lz4.UncompressBlock(block, make([]byte, most)); err != nil || got != n {
			t.Fatalf("%x is %d bytes, not %d: %v", block, got, n, err)
		}
	})
}

// Cut and changed at every place, a frame that stays folded is one that the client can read, and small enough.
func TestDamagedFramesThatStayFoldedCanBeRead(t *testing.T) {
	frame := framed(t, append(random(100), bytes.Repeat([]byte("ab"), 100)...), lz4.BlockSizeOption(lz4.Block64Kb))
	stayed := 0
	for i := range frame {
		changed := bytes.Clone(frame)
		changed[i] ^= 1 << (i % 8)
		for _, damaged := range [][]byte{frame[:i], changed} {
			b := budget{most: most, left: most}
			if done, _ := b.folded(rawBatch(codecLZ4, 0, 0, 1, damaged)); !done {
				continue
			}
			stayed++
			asRead(t, b.arena)
		}
	}
	if stayed == 0 {
		t.Error("no frame stayed folded: nothing was compared")
	}
}
