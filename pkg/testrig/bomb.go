package testrig

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Repeated is a record whose value is one byte, so many times.
type Repeated struct {
	Key     []byte
	Value   byte
	Times   int
	Headers []kmsg.Header
	Later   int64 // than the batch, in milliseconds
}

// SendUnfolding writes records to a partition as one batch, compressed by zstd to very little: clients that look at sizes
// before they compress never send the like. Nowhere is the batch held unfolded.
func SendUnfolding(t testing.TB, addr, topic string, partition int32, records ...Repeated) {
	t.Helper()
	SendAt(t, addr, topic, partition, time.Now().UnixMilli(), records...)
}

// SendAt writes records as SendUnfolding does, with a timestamp in milliseconds that clients may have no time for.
func SendAt(t testing.TB, addr, topic string, partition int32, millis int64, records ...Repeated) {
	t.Helper()
	var data bytes.Buffer
	z, err := zstd.NewWriter(&data, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	latest := millis
	for i, r := range records {
		if err := r.write(z, i); err != nil {
			t.Fatal(err)
		}
		latest = max(latest, millis+r.Later)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	sendBatch(t, addr, topic, partition, batchOf(data.Bytes(), len(records), millis, latest))
}

// write is the record in the format of version 2 (https://kafka.apache.org/documentation/#record).
func (r *Repeated) write(w io.Writer, delta int) error {
	head := binary.AppendVarint([]byte{0}, r.Later)
	head = binary.AppendVarint(head, int64(delta))
	head = append(binary.AppendVarint(head, int64(len(r.Key))), r.Key...)
	head = binary.AppendVarint(head, int64(r.Times))
	tail := binary.AppendVarint(nil, int64(len(r.Headers)))
	for _, h := range r.Headers {
		tail = append(binary.AppendVarint(tail, int64(len(h.Key))), h.Key...)
		if h.Value == nil {
			tail = binary.AppendVarint(tail, -1)
			continue
		}
		tail = append(binary.AppendVarint(tail, int64(len(h.Value))), h.Value...)
	}
	if _, err := w.Write(append(binary.AppendVarint(nil, int64(len(head)+r.Times+len(tail))), head...)); err != nil {
		return err
	}
	chunk := bytes.Repeat([]byte{r.Value}, min(r.Times, 1<<20))
	for left := r.Times; left > 0; left -= len(chunk) {
		chunk = chunk[:min(len(chunk), left)]
		if _, err := w.Write(chunk); err != nil {
			return err
		}
	}
	_, err := w.Write(tail)
	return err
}

func batchOf(data []byte, records int, first, latest int64) []byte {
	const zstdCodec, beforeLength, head, sumAt, summed = 4, 12, 61, 17, 21
	b := kmsg.RecordBatch{
		Length: int32(head - beforeLength + len(data)), PartitionLeaderEpoch: -1, Magic: 2, Attributes: zstdCodec, LastOffsetDelta: int32(records - 1),
		FirstTimestamp: first, MaxTimestamp: latest, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(records), Records: data,
	}
	all := b.AppendTo(nil)
	binary.BigEndian.PutUint32(all[sumAt:], crc32.Checksum(all[summed:], crc32.MakeTable(crc32.Castagnoli)))
	return all
}

// sendBatch speaks to the one broker there is, and fails the test where that refuses the batch.
func sendBatch(t testing.TB, addr, topic string, partition int32, batch []byte) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	request := kmsg.NewPtrProduceRequest()
	request.Version, request.Acks, request.TimeoutMillis = 7, -1, 30_000
	p, of := kmsg.NewProduceRequestTopicPartition(), kmsg.NewProduceRequestTopic()
	p.Partition, p.Records, of.Topic = partition, batch, topic
	of.Partitions = append(of.Partitions, p)
	request.Topics = append(request.Topics, of)
	text := kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, request, 1)
	if _, err := c.Write(text); err != nil {
		t.Fatal(err)
	}
	var head [8]byte // the length and the request's id
	if _, err := io.ReadFull(c, head[:]); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:])-4)
	if _, err := io.ReadFull(c, body); err != nil {
		t.Fatal(err)
	}
	response := kmsg.NewPtrProduceResponse()
	response.Version = request.Version
	if err := response.ReadFrom(body); err != nil {
		t.Fatal(err)
	}
	if code := response.Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Fatalf("the broker refused a batch for %s/%d: error %d", topic, partition, code)
	}
}

// PeakHeap watches how large the heap gets, garbage and all; the function gives the most bytes that were seen, and ends it.
func PeakHeap() (peak func() uint64) {
	stop, most := make(chan struct{}), make(chan uint64)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		var high uint64
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for {
			metrics.Read(sample)
			high = max(high, sample[0].Value.Uint64())
			select {
			case <-ticker.C:
			case <-stop:
				most <- high
				return
			}
		}
	}()
	return func() uint64 {
		close(stop)
		return <-most
	}
}
