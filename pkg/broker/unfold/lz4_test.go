package unfold

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/pierrec/lz4/v4"
)

// frames are the forms in which clients write lz4, and of each whether it is the usual one.
func frames(t testing.TB, data []byte) map[string]struct {
	frame []byte
	usual bool
} {
	t.Helper()
	all := map[string]struct {
		frame []byte
		usual bool
	}{}
	for name, form := range map[string]struct {
		options []lz4.Option
		usual   bool
	}{
		"as sarama":                {nil, true},
		"as Java":                  {[]lz4.Option{lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false)}, true},
		"with its size":            {[]lz4.Option{lz4.SizeOption(uint64(len(data)))}, true},
		"with checksums of blocks": {[]lz4.Option{lz4.BlockChecksumOption(true), lz4.BlockSizeOption(lz4.Block256Kb)}, true},
		"of an old form":           {[]lz4.Option{lz4.LegacyOption(true)}, false},
	} {
		var b bytes.Buffer
		w := lz4.NewWriter(&b)
		if err := w.Apply(form.options...); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(data)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		all[name] = struct {
			frame []byte
			usual bool
		}{b.Bytes(), form.usual}
	}
	return all
}

func TestFramesUnfoldAsTheReaderReadsThem(t *testing.T) {
	for kind, data := range map[string][]byte{
		"what compresses": bytes.Repeat([]byte("0123456789"), 60_000), "what doesn't": random(300_000), "a little": []byte("a"),
		"both": append(random(100_000), make([]byte, 200_000)...),
	} {
		for name, f := range frames(t, data) {
			t.Run(kind+", "+name, func(t *testing.T) {
				b := budget{most: most, left: most}
				if err := b.lz4(f.frame, most); f.usual != (err == nil) || err != nil && !errors.Is(err, errUnusual) {
					t.Errorf("straight: %v", err)
				}
				if f.usual && !bytes.Equal(b.arena, data) {
					t.Errorf("straight, %d bytes became %d", len(data), len(b.arena))
				}
				b = budget{most: most, left: most}
				if err := b.unfold(rawBatch(codecLZ4, 0, 0, 1, f.frame), most); err != nil || !bytes.Equal(b.arena, data) {
					t.Errorf("%d bytes became %d: %v", len(data), len(b.arena), err)
				}
				if err := b.lz4(f.frame, len(data)-1); f.usual && !errors.Is(err, errMore) {
					t.Errorf("with too little room: %v", err)
				}
			})
		}
	}
}

// Cut and changed at every place, frames give an error or what the reader gives.
func TestDamagedFramesAreLeftToTheReader(t *testing.T) {
	data := append(random(100), bytes.Repeat([]byte("ab"), 100)...)
	for name, f := range frames(t, data) {
		t.Run(name, func(t *testing.T) {
			for i := range f.frame {
				changed := bytes.Clone(f.frame)
				changed[i] ^= 1 << (i % 8)
				for _, damaged := range [][]byte{f.frame[:i], changed} {
					b := budget{most: most, left: most}
					if b.lz4(damaged, most) != nil {
						continue
					}
					read, err := readAll(damaged)
					if err == nil && !bytes.Equal(read, b.arena) {
						t.Errorf("%x is %x, not %x", damaged, b.arena, read)
					}
				}
			}
		})
	}
}

func readAll(frame []byte) ([]byte, error) {
	r, err := open(codecLZ4, frame)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func FuzzFrame(f *testing.F) {
	for _, frame := range frames(f, append(random(50), make([]byte, 100)...)) {
		f.Add(frame.frame, 1000)
	}
	f.Fuzz(func(t *testing.T, frame []byte, room int) {
		room = max(0, min(room, 1<<20))
		b := budget{most: 1 << 20, left: room}
		if err := b.lz4(frame, room); len(b.arena) > room {
			t.Fatalf("%x became %d bytes, more than %d: %v", frame, len(b.arena), room, err)
		} else if err != nil {
			return
		}
		if read, err := readAll(frame); err == nil && !bytes.Equal(read, b.arena) {
			t.Fatalf("%x is %x, not %x", frame, b.arena, read)
		}
	})
}

// A batch for which there is no room beside others isn't unfolded twice, nor is anybody told that it is damaged.
func TestBatchWithoutRoomIsLeftOutAsItIs(t *testing.T) {
	b := budget{most: most, left: 1000}
	b.take(make([]byte, 100), 0)
	in := batchOf(t, codecLZ4, 0, record(0, nil, make([]byte, 2000)))
	if err := b.unfold(in, 600); !errors.Is(err, errMore) {
		t.Errorf("unfolded: %v", err)
	}
	if goOn := b.batch(in, 0); goOn || len(b.arena) != 100 {
		t.Errorf("%d bytes, going on %t", len(b.arena), goOn)
	}
}
