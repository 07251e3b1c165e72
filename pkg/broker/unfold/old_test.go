package unfold

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"runtime"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// messageOf is a message of version 1.
func messageOf(codec int, offset int64, value []byte) []byte {
	m := kmsg.MessageV1{Offset: offset, Magic: 1, Attributes: int8(codec), Timestamp: 1700000000000, Value: value}
	m.MessageSize = int32(len(m.AppendTo(nil)) - atOldSize - 4)
	b := m.AppendTo(nil)
	binary.BigEndian.PutUint32(b[atOldChecksum:], crc32.ChecksumIEEE(b[atMagic:]))
	return b
}

// partitionOf is what a response has of a partition that holds a set.
func partitionOf(set []byte, from int64) []byte {
	b := budget{most: most, left: most}
	b.partition(set, from)
	return b.arena
}

func TestOldMessagesComeAsTheyAreUntilThereIsNoRoomForWhatTheyUnfoldTo(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec int) {
		inner := messageOf(codecNone, 0, make([]byte, most/4))
		wrapped := messageOf(codec, 7, compressed(t, codec, inner))
		plain := messageOf(codecNone, 8, []byte("x"))
		set := append(bytes.Clone(plain), batchOf(t, codecNone, 9, record(0, nil, []byte("new")))...)
		if out := partitionOf(append(bytes.Clone(wrapped), set...), 7); !bytes.Equal(out, append(bytes.Clone(wrapped), set...)) {
			t.Errorf("%d bytes became %d", len(wrapped)+len(set), len(out))
		}
		if out := partitionOf(bytes.Repeat(wrapped, 10), 7); !bytes.Equal(out, bytes.Repeat(wrapped, 3)) {
			t.Errorf("%d messages came at once", len(out)/len(wrapped))
		}
	})
}

func TestOldMessageThatIsTooMuchIsOneRecordThatSaysWhy(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec int) {
		bomb := compressed(t, codec, messageOf(codecNone, 0, make([]byte, 20<<20)))
		for name, test := range map[string]struct {
			value  []byte
			reason string
		}{
			"too much": {bomb, "it unfolds to more than 1048576 bytes"},
			"nested":   {compressed(t, codec, messageOf(codec, 0, bomb)), "compressed again"},
			"nonsense": {[]byte{1, 2, 3}, ""},
			"nothing":  {nil, ""},
		} {
			old := messageOf(codec, 12, test.value)
			var before, behind runtime.MemStats
			runtime.ReadMemStats(&before)
			out := partitionOf(append(old, messageOf(codecNone, 13, []byte("behind"))...), 10)
			runtime.ReadMemStats(&behind)
			letter, ok := nextBatch(out)
			if !ok || !letter.intact() || letter.base() != 12 || letter.lastDelta() != 0 {
				t.Fatalf("%s became %.200x", name, out)
			}
			var whole kmsg.RecordBatch
			var r kmsg.Record
			if err := whole.ReadFrom(letter); err != nil || whole.ProducerID != -1 || whole.FirstTimestamp != 1700000000000 {
				t.Fatalf("%s: %+v, %v", name, whole, err)
			}
			if err := r.ReadFrom(whole.Records); err != nil {
				t.Fatal(err)
			}
			m, ok := MarkOf([]byte(r.Headers[0].Key), r.Headers[0].Value)
			if !ok || !m.Unreadable || !strings.HasPrefix(m.Reason, "offsets 10 to 12 lie in") || !strings.Contains(m.Reason, test.reason) || m.Missing != len(old) {
				t.Errorf("%s: %+v", name, m)
			}
			if next, ok := nextMessage(out[len(letter):]); !ok || next.offset() != 13 {
				t.Errorf("%s: what stands behind it doesn't come", name)
			}
			if grown := behind.TotalAlloc - before.TotalAlloc; grown > 10<<20 {
				t.Errorf("%s: %d MB were allocated", name, grown>>20)
			}
		}
	})
}

func FuzzOldMessage(f *testing.F) {
	for _, codec := range codecs {
		f.Add(byte(codec), compressed(f, codec, messageOf(codecNone, 0, []byte("x"))), int64(3))
	}
	f.Add(byte(codecZstd), compressed(f, codecZstd, messageOf(codecNone, 0, make([]byte, most))), int64(0))
	f.Add(byte(codecNone), messageOf(codecNone, 0, nil)[atMagic:], int64(0))
	f.Fuzz(func(t *testing.T, codec byte, value []byte, from int64) {
		b := budget{most: 64 << 10, left: 64 << 10}
		in := messageOf(int(codec&codecMask), 3, value)
		b.partition(in, from)
		if letter, ok := nextBatch(b.arena); !bytes.Equal(b.arena, in) && (!ok || len(letter) != len(b.arena) || !letter.intact()) {
			t.Fatalf("%x became %x", in, b.arena)
		}
		b.partition(value, from) // of any kind
	})
}
