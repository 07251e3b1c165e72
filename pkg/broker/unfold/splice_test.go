package unfold

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"datawatch/pkg/testrig"
)

// exchange sends a fetch through a connection whose other end answers with a body, and gives what the client reads.
func exchange(t testing.TB, request *kmsg.FetchRequest, body []byte, chunks func(io.Reader) io.Reader) []byte {
	t.Helper()
	const id = 77
	inner, outer := net.Pipe()
	defer func() { _ = inner.Close() }()
	frame := func(content []byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(content))), content...)
	}
	go func() {
		defer func() { _ = outer.Close() }()
		length := make([]byte, 4)
		if _, err := io.ReadFull(outer, length); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, outer, int64(binary.BigEndian.Uint32(length))); err != nil {
			return
		}
		_, _ = outer.Write(frame(append(binary.BigEndian.AppendUint32(nil, id), body...)))
	}()
	c := Conn(inner, most)
	if _, err := c.Write(frame(kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, request, id)[4:])); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(chunks(c))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) < 8 || int(binary.BigEndian.Uint32(got)) != len(got)-4 || binary.BigEndian.Uint32(got[4:]) != id {
		t.Fatalf("a response of %d bytes that begins with %x", len(got), got[:min(8, len(got))])
	}
	return got[8:]
}

// manifold is a fetch of two topics, and a response with all that a version knows: records, none, errors, aborted
// transactions.
func manifold(t testing.TB, version int16) (*kmsg.FetchRequest, *kmsg.FetchResponse) {
	t.Helper()
	request, response := kmsg.NewPtrFetchRequest(), kmsg.NewPtrFetchResponse()
	request.Version, response.Version = version, version
	response.ThrottleMillis, response.SessionID = 5, 9
	sets := [][]byte{
		batchOf(t, codecLZ4, 10, record(0, []byte("a"), bytes.Repeat([]byte("1"), 3000)), record(1, nil, nil)), nil, {},
		append(batchOf(t, codecNone, 7, record(0, []byte("b"), []byte("2"))), batchOf(t, codecZstd, 8, record(0, nil, bytes.Repeat([]byte("x"), 200)))...),
		batchOf(t, codecGzip, 0, record(0, nil, []byte("3"))),
	}
	for _, topic := range []string{"t", "another"} {
		rt, pt := kmsg.NewFetchRequestTopic(), kmsg.NewFetchResponseTopic()
		rt.Topic, pt.Topic = topic, topic
		for i, set := range sets {
			rp, pp := kmsg.NewFetchRequestTopicPartition(), kmsg.NewFetchResponseTopicPartition()
			rp.Partition, pp.Partition, pp.RecordBatches, pp.HighWatermark, pp.ErrorCode = int32(i), int32(i), set, 99, int16(i%2)
			for producer := range int64(i) {
				aborted := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
				aborted.ProducerID, aborted.FirstOffset = -producer, 3
				pp.AbortedTransactions = append(pp.AbortedTransactions, aborted)
			}
			rt.Partitions, pt.Partitions = append(rt.Partitions, rp), append(pt.Partitions, pp)
		}
		request.Topics, response.Topics = append(request.Topics, rt), append(response.Topics, pt)
	}
	return request, response
}

// What the client reads is what the library would write of the same response with other record sets, in every version and
// however it reads.
func TestResponseIsAsItWasButForItsRecords(t *testing.T) {
	for version := int16(0); version <= lastVersion; version++ {
		for name, chunks := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "by halves": iotest.HalfReader,
		} {
			t.Run(fmt.Sprintf("version %d, %s", version, name), func(t *testing.T) {
				request, response := manifold(t, version)
				got := exchange(t, request, responseBytes(response), chunks)
				for i := range response.Topics {
					for j := range response.Topics[i].Partitions {
						p := &response.Topics[i].Partitions[j]
						b := budget{most: most, left: most}
						if b.partition(p.RecordBatches, 0); len(b.arena) > 0 {
							p.RecordBatches = b.arena
						}
					}
				}
				if want := responseBytes(response); !bytes.Equal(got, want) {
					t.Errorf("%d bytes, not %d:\n%.2000x\n%.2000x", len(got), len(want), got, want)
				}
			})
		}
	}
}

// responseBytes is a response behind its id.
func responseBytes(response *kmsg.FetchResponse) []byte {
	if response.IsFlexible() {
		return response.AppendTo([]byte{0})
	}
	return response.AppendTo(nil)
}

func TestResponseThatCannotBeReadPassesAsItIs(t *testing.T) {
	request, response := manifold(t, 11)
	for _, body := range [][]byte{responseBytes(response)[:90], {}, {1}} {
		if got := exchange(t, request, body, func(r io.Reader) io.Reader { return r }); !bytes.Equal(got, body) {
			t.Errorf("%x became %x", body, got)
		}
	}
}

// What a response unfolds to is much more than what is allocated for it: buffers of that size would keep the collector busy.
func TestResponsesThatFollowEachOtherUseTheSameBuffers(t *testing.T) {
	testrig.WithoutRaceDetector(t, "its pools forget at random")
	const size, rounds = 8 << 20, 20
	request, response := manifold(t, 11)
	response.Topics[0].Partitions[0].RecordBatches = batchOf(t, codecLZ4, 10, record(0, nil, make([]byte, size)))
	body := responseBytes(response)
	c := &conn{most: 2 * size}
	into := make([]byte, 3*size)
	round := func() {
		c.body = append(c.body, body...)
		c.bounded(1, request)
		for len(c.ready) > 0 {
			c.give(into)
		}
	}
	round()
	var before, behind runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		round()
	}
	runtime.ReadMemStats(&behind)
	if each := (behind.TotalAlloc - before.TotalAlloc) / rounds; each > size/8 {
		t.Errorf("%d bytes were allocated for each response", each)
	}
}

func FuzzResponse(f *testing.F) {
	for _, version := range []int16{4, 11, 12} {
		_, response := manifold(f, version)
		response.Topics[0].Partitions, response.Topics = response.Topics[0].Partitions[3:4], response.Topics[:1]
		f.Add(version, responseBytes(response))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		request, _ := manifold(t, max(version, 0)%(lastVersion+1))
		got := exchange(t, request, body, func(r io.Reader) io.Reader { return r })
		before, behind := kmsg.NewPtrFetchResponse(), kmsg.NewPtrFetchResponse()
		before.Version, behind.Version = request.Version, request.Version
		if request.IsFlexible() && len(body) > 0 && body[0] == 0 {
			body, got = body[1:], got[1:]
		}
		if before.ReadFrom(body) != nil {
			if !bytes.Equal(got, body) {
				t.Fatalf("%x became %x", body, got)
			}
			return
		}
		if err := behind.ReadFrom(got); err != nil {
			t.Fatalf("%x became %x: %v", body, got, err)
		}
		if len(before.Topics) != len(behind.Topics) {
			t.Fatalf("%d topics became %d", len(before.Topics), len(behind.Topics))
		}
	})
}
