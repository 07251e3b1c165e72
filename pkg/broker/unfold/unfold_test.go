package unfold

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const most = 1 << 20 // of a response, in these tests

var codecs = map[string]int{"gzip": codecGzip, "snappy": codecSnappy, "lz4": codecLZ4, "zstd": codecZstd}

// compressed is data as a producer would send it; snappy in blocks, as Java's does.
func compressed(t testing.TB, codec int, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	switch codec {
	case codecNone:
		return data
	case codecGzip:
		z := gzip.NewWriter(&b)
		_, _ = z.Write(data)
		_ = z.Close()
	case codecLZ4:
		z := lz4.NewWriter(&b)
		_, _ = z.Write(data)
		_ = z.Close()
	case codecZstd:
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = z.Write(data)
		_ = z.Close()
	case codecSnappy:
		b.Write(chainMagic)
		b.Write(make([]byte, 8))
		for len(data) > 0 {
			n := min(len(data), 32<<10)
			block := snappy.Encode(nil, data[:n])
			_ = binary.Write(&b, binary.BigEndian, int32(len(block)))
			b.Write(block)
			data = data[n:]
		}
	}
	return b.Bytes()
}

// got is a record as a client reads it.
type got struct {
	offset     int64
	key, value string
	headers    []kmsg.Header
}

func (g got) mark() (Mark, bool) {
	for _, h := range g.headers {
		if m, ok := MarkOf([]byte(h.Key), h.Value); ok {
			return m, true
		}
	}
	return Mark{}, false
}

func record(delta int, key, value []byte, headers ...kmsg.Header) []byte {
	r := kmsg.Record{OffsetDelta: int32(delta), Key: key, Value: value, Headers: headers}
	r.Length = int32(len(r.AppendTo(nil)) - 1) // its own length is one byte of it while it is nought
	return r.AppendTo(nil)
}

// batchOf is a batch that begins at an offset.
func batchOf(t testing.TB, codec int, base int64, records ...[]byte) batch {
	t.Helper()
	return rawBatch(codec, base, len(records)-1, len(records), compressed(t, codec, bytes.Join(records, nil)))
}

func rawBatch(codec int, base int64, last, count int, data []byte) batch {
	b := kmsg.RecordBatch{
		FirstOffset: base, Length: int32(batchHead - atLength - 4 + len(data)), Magic: 2, Attributes: int16(codec) | 1<<4, LastOffsetDelta: int32(last),
		ProducerID: 7, ProducerEpoch: 3, FirstSequence: 9, NumRecords: int32(count), Records: data,
	}
	bytes := b.AppendTo(nil)
	reheadedAs(bytes, codec, int32(last), count)
	return bytes
}

func reheadedAs(b []byte, codec int, last int32, count int) {
	reheaded(b, last, count)
	b[atAttributes+1] |= byte(codec)
	sum(b)
}

// reading is what a client gets that asks for an offset of partition 0 until nothing is left; each response is measured.
func reading(t testing.TB, log []batch, from int64) (all []got, rounds int) {
	t.Helper()
	for {
		var set []byte
		for _, b := range log {
			if b.base()+int64(b.lastDelta()) >= from {
				set = append(set, b...)
			}
		}
		if len(set) == 0 {
			return all, rounds
		}
		rounds++
		records, next := fetch(t, map[int32][]byte{0: set}, map[int32]int64{0: from})
		for _, r := range records[0] {
			if r.offset >= from {
				all = append(all, r)
			}
		}
		if next[0] <= from {
			t.Fatalf("nothing came from offset %d on", from)
		}
		from = next[0]
	}
}

// fetch is one response, of which the client reads all batches, and the offsets that it asks for next.
func fetch(t testing.TB, sets map[int32][]byte, from map[int32]int64) (map[int32][]got, map[int32]int64) {
	t.Helper()
	request, response := kmsg.NewPtrFetchRequest(), kmsg.NewPtrFetchResponse()
	request.Version, response.Version = 11, 11
	rt, pt := kmsg.NewFetchRequestTopic(), kmsg.NewFetchResponseTopic()
	rt.Topic, pt.Topic = "t", "t"
	for p, set := range sets {
		rp, pp := kmsg.NewFetchRequestTopicPartition(), kmsg.NewFetchResponseTopicPartition()
		rp.Partition, rp.FetchOffset, pp.Partition, pp.RecordBatches = p, from[p], p, set
		rt.Partitions, pt.Partitions = append(rt.Partitions, rp), append(pt.Partitions, pp)
	}
	request.Topics, response.Topics = append(request.Topics, rt), append(response.Topics, pt)
	within(request, response, most, nil)
	size := 0
	records, next := map[int32][]got{}, map[int32]int64{}
	for _, p := range response.Topics[0].Partitions {
		set := p.RecordBatches
		for len(set) > 0 {
			b, ok := nextBatch(set)
			if !ok || !b.intact() || b.codec() != codecNone && b.codec() != codecLZ4 {
				t.Fatalf("a client couldn't read %.100x", set)
			}
			set = set[len(b):]
			read := asRead(t, b)
			size += len(read) - batchHead
			records[p.Partition] = append(records[p.Partition], recordsOf(t, read)...)
			next[p.Partition] = b.base() + int64(b.lastDelta()) + 1
		}
	}
	if size > most+3*mostHead {
		t.Errorf("a response holds %d bytes", size)
	}
	return records, next
}

// asRead is a batch as the client has it once it has read it: what came folded is unfolded by the library.
func asRead(t testing.TB, b batch) batch {
	t.Helper()
	if b.codec() != codecLZ4 {
		return b
	}
	records, err := io.ReadAll(lz4.NewReader(bytes.NewReader(b[batchHead:])))
	if err != nil {
		t.Fatalf("a client couldn't unfold %.100x: %v", []byte(b), err)
	}
	read := append(bytes.Clone(b[:batchHead]), records...)
	reheaded(read, b.lastDelta(), b.count())
	return read
}

func recordsOf(t testing.TB, b batch) (all []got) {
	t.Helper()
	var whole kmsg.RecordBatch
	if err := whole.ReadFrom(b); err != nil {
		t.Fatal(err)
	}
	if whole.ProducerID != 7 || whole.ProducerEpoch != 3 || whole.FirstSequence != 9 || whole.Attributes&^codecMask != 1<<4 {
		t.Fatalf("the head of a batch was changed: %+v", whole)
	}
	rest := whole.Records
	for range whole.NumRecords {
		length, n := binary.Varint(rest)
		var r kmsg.Record
		if err := r.ReadFrom(rest[:n+int(length)]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n+int(length):]
		all = append(all, got{whole.FirstOffset + int64(r.OffsetDelta), string(r.Key), string(r.Value), r.Headers})
	}
	if len(rest) > 0 {
		t.Fatalf("%d bytes behind the records", len(rest))
	}
	return all
}

func eachCodec(t *testing.T, run func(t *testing.T, codec int)) {
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) { run(t, codec) })
	}
}

func TestBatchesComeOutAsTheyAre(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec int) {
		log := []batch{
			batchOf(t, codec, 5, record(0, []byte("a"), []byte("1"), kmsg.Header{Key: "h", Value: []byte("x")}), record(1, nil, []byte{})),
			batchOf(t, codecNone, 7, record(0, []byte("b"), []byte("2"))),
			batchOf(t, codec, 8, record(0, []byte("c"), nil)),
		}
		all, rounds := reading(t, log, 6)
		if text := fmt.Sprint(all); rounds != 1 || text != "[{6   []} {7 b 2 []} {8 c  []}]" {
			t.Errorf("%d responses: %s", rounds, text)
		}
	})
}

// A batch of 40 MB, and of records that are each small.
func TestBatchThatIsTooMuchComesInPartsWithoutLossOrRepetition(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec int) {
		var records [][]byte
		for i := range 40 {
			records = append(records, record(i, fmt.Append(nil, i), bytes.Repeat([]byte{'0' + byte(i%10)}, 300_000)))
		}
		all, rounds := reading(t, []batch{batchOf(t, codec, 100, records...), batchOf(t, codec, 140, record(0, nil, []byte("behind")))}, 103)
		if len(all) != 38 || rounds < 10 || all[37].value != "behind" {
			t.Fatalf("%d records in %d responses", len(all), rounds)
		}
		for i, r := range all[:37] {
			if want := strings.Repeat(string('0'+rune((i+3)%10)), 300_000); r.offset != int64(103+i) || r.value != want || r.headers != nil {
				t.Fatalf("record %d is %d bytes at %d", i, len(r.value), r.offset)
			}
		}
	})
}

func TestManySmallRecordsCountForWhatAClientMakesOfThem(t *testing.T) {
	var records [][]byte
	for i := range 50_000 {
		records = append(records, record(i, nil, nil))
	}
	all, rounds := reading(t, []batch{batchOf(t, codecZstd, 0, records...)}, 0)
	if len(all) != 50_000 || rounds < 50_000*perRecord/most {
		t.Errorf("%d records in %d responses", len(all), rounds)
	}
}

func TestRecordThatIsTooMuchComesCutAndSaysHowMuchIsMissing(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec int) {
		large := bytes.Repeat([]byte("x"), 50<<20)
		all, _ := reading(t, []batch{batchOf(t, codec, 0,
			record(0, []byte("a"), []byte("1")),
			record(1, []byte("b"), large, kmsg.Header{Key: "ce_id", Value: []byte("7")}),
			record(2, []byte("c"), []byte("v"), kmsg.Header{Key: "ce_id", Value: []byte("8")}, kmsg.Header{Key: "h", Value: large}),
			record(3, []byte("d"), []byte("4")),
		)}, 0)
		if len(all) != 4 {
			t.Fatalf("%d records", len(all))
		}
		value, headers := all[1], all[2]
		m, ok := value.mark()
		if !ok || m.Unreadable || m.Missing+len(value.value) != len(large) || value.key != "b" || value.headers[0].Key != "ce_id" || !strings.HasPrefix(m.Reason, "the record has 524288") {
			t.Errorf("of the value: %+v, %d bytes", m, len(value.value))
		}
		if m, ok = headers.mark(); !ok || m.Missing != len(large)+1 || headers.value != "v" || len(headers.headers) != 2 {
			t.Errorf("of the headers: %+v", m)
		}
		if _, ok := all[3].mark(); ok || all[3].value != "4" || all[0].value != "1" {
			t.Error("the records around it aren't whole")
		}
	})
}

func TestWhatCannotBeUnfoldedIsOneRecordThatSaysWhy(t *testing.T) {
	good := bytes.Join([][]byte{record(0, nil, []byte("1")), record(1, nil, []byte("2"))}, nil)
	zstds := compressed(t, codecZstd, good)
	zeros := make([]byte, 4<<20)
	for name, test := range map[string]struct {
		batch  batch
		first  int // records that come before
		reason string
	}{
		"no zstd":               {rawBatch(codecZstd, 10, 4, 5, []byte("nonsense")), 0, "offsets 10 to 14 lie in a compressed batch that can't be unfolded: invalid input"},
		"no gzip":               {rawBatch(codecGzip, 10, 4, 5, []byte("nonsense, and more")), 0, "gzip: invalid header"},
		"no lz4":                {rawBatch(codecLZ4, 10, 4, 5, []byte("nonsense")), 0, "lz4"},
		"no snappy":             {rawBatch(codecSnappy, 10, 4, 5, append(bytes.Clone(chainMagic), 0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9)), 0, "snappy"},
		"a lie of snappy":       {rawBatch(codecSnappy, 10, 4, 5, binary.AppendUvarint(nil, 1<<31)), 0, "snappy: a block that is cut short or too large"},
		"nothing":               {rawBatch(codecZstd, 10, 4, 5, nil), 0, "it says that it has 5 records, and has 0 bytes"},
		"cut short":             {rawBatch(codecZstd, 10, 1, 2, zstds[:len(zstds)-6]), 0, "unexpected EOF"},
		"an unknown codec":      {rawBatch(6, 10, 4, 5, []byte("x")), 0, "an unknown compression, 6"},
		"more than it has":      {rawBatch(codecZstd, 10, 4, 1<<30, zstds), 2, "offsets 12 to 14 lie in a compressed batch that can't be unfolded: it ends within a record"},
		"fewer than none":       {rawBatch(codecZstd, 10, 4, -2, zstds), 0, "it says that it has -2 records"},
		"zeros for records":     {rawBatch(codecZstd, 10, 4, 5, compressed(t, codecZstd, zeros)), 0, "a record of 0 bytes"},
		"a record of minus one": {rawBatch(codecZstd, 10, 4, 5, compressed(t, codecZstd, append([]byte{1}, zeros...))), 0, "a record of -1 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			all, _ := reading(t, []batch{test.batch, batchOf(t, codecLZ4, 15, record(0, nil, []byte("behind")))}, 10)
			if len(all) != test.first+2 || all[test.first+1].value != "behind" {
				t.Fatalf("%d records came: %.300v", len(all), all)
			}
			m, ok := all[test.first].mark()
			if !ok || !m.Unreadable || !strings.Contains(m.Reason, test.reason) || all[test.first].offset != int64(10+test.batch.lastDelta()) {
				t.Errorf("at %d: %+v", all[test.first].offset, m)
			}
		})
	}
}

// endlessly is what a batch unfolds to that holds a first record, and a second one without end.
func endlessly(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = z.Write(record(0, nil, []byte("first")))
	second := binary.AppendVarint(nil, mostUnfolded+100)
	second = append(second, 0, 0, 2, 1)
	_, _ = z.Write(binary.AppendVarint(second, mostUnfolded))
	zeros := make([]byte, 1<<20)
	for range mostUnfolded>>20 + 1 {
		_, _ = z.Write(zeros)
	}
	_ = z.Close()
	return b.Bytes()
}

func TestBatchWithoutEndIsGivenUpOnAndHeldByNobody(t *testing.T) {
	in := rawBatch(codecZstd, 0, 1, 2, endlessly(t))
	var before, behind runtime.MemStats
	runtime.ReadMemStats(&before)
	all, _ := reading(t, []batch{in, batchOf(t, codecLZ4, 2, record(0, nil, []byte("behind")))}, 0)
	runtime.ReadMemStats(&behind)
	if len(all) != 3 || all[0].value != "first" || all[2].value != "behind" {
		t.Fatalf("%d records", len(all))
	}
	if m, _ := all[1].mark(); m.Reason != "offsets 1 to 1 lie in a compressed batch that can't be unfolded: it unfolds to more than 512 MB" {
		t.Error(m.Reason)
	}
	if grown := behind.TotalAlloc - before.TotalAlloc; grown > 100<<20 {
		t.Errorf("%d MB were allocated", grown>>20)
	}
}

func TestPartitionsThatAreTooMuchTogetherAllHaveTheirTurn(t *testing.T) {
	sets, from := map[int32][]byte{}, map[int32]int64{}
	for p := range int32(6) {
		sets[p] = batchOf(t, codecZstd, 0, record(0, nil, bytes.Repeat([]byte{'a' + byte(p)}, most/3)))
	}
	seen := map[int32]bool{}
	for round := 0; len(seen) < 6; round++ {
		if round == 1000 {
			t.Fatalf("only %v came", seen)
		}
		records, _ := fetch(t, sets, from)
		if len(records) == 0 || len(records) > 3 {
			t.Fatalf("%d partitions came at once", len(records))
		}
		for p := range records {
			seen[p] = true
		}
	}
}

func TestWhatIsDamagedOrOldPassesAsItIs(t *testing.T) {
	damaged := batchOf(t, codecZstd, 0, record(0, nil, []byte("1")))
	damaged[len(damaged)-1] ^= 1
	old := make([]byte, 80)
	old[atMagic] = 1
	for name, set := range map[string][]byte{"damaged": damaged, "old": old, "cut by the broker": damaged[:70], "a few bytes": {1, 2, 3}} {
		b := budget{most: most, left: most}
		if b.partition(set, 0); !bytes.Equal(b.arena, set) {
			t.Errorf("%s: %x became %x", name, set, b.arena)
		}
	}
}

func FuzzBatch(f *testing.F) {
	for _, codec := range codecs {
		f.Add(byte(codec), 2, 2, compressed(f, codec, bytes.Join([][]byte{record(0, nil, []byte("1")), record(1, []byte("k"), nil, kmsg.Header{Key: "h"})}, nil)), int64(0))
	}
	f.Add(byte(codecZstd), 1, 1, compressed(f, codecZstd, record(0, nil, make([]byte, 2*most))), int64(0))
	f.Fuzz(func(t *testing.T, codec byte, last, count int, data []byte, from int64) {
		b := budget{most: 64 << 10, left: 64 << 10}
		in := rawBatch(int(codec&codecMask), 0, last, count, data)
		b.batch(in, from)
		out, ok := nextBatch(b.arena)
		if !ok || len(out) != len(b.arena) || !out.intact() {
			t.Fatalf("%x became %x", in, b.arena)
		}
		if in.codec() != codecNone && (len(asRead(t, out)) > 64<<10+3*mostHead || out.codec() != codecNone && out.codec() != codecLZ4) {
			t.Fatalf("%x became %d bytes", in, len(out))
		}
	})
}

// random makes what doesn't compress.
func random(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return b
}

func BenchmarkUnfold(b *testing.B) {
	var records [][]byte
	for i := range 500 {
		records = append(records, record(i, nil, append(random(200), make([]byte, 400)...)))
	}
	in := batchOf(b, codecLZ4, 0, records...)
	b.SetBytes(500 * 600)
	var arena []byte
	for b.Loop() {
		budget := budget{most: 16 << 20, left: 16 << 20, arena: arena[:0]}
		budget.batch(in, 0)
		arena = budget.arena
	}
}
