package kafka

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/broker/unfold"
	"datawatch/pkg/event"
)

// record is one committed record of a partition.
type record struct {
	offset     int64
	epoch      int32     // of the leader that took it
	time       time.Time // zero where the record has none
	appended   bool      // the time is the broker's, of appending; else the producer's
	key, value []byte    // nil is null
	headers    []event.Header
	mark       *unfold.Mark // of a record that isn't as it lies in the cluster
}

// read is what a fetch brought of one partition.
type read struct {
	records []record
	next    int64 // behind all that was walked
	first   head  // of the first batch
	epoch   int32 // the last batch's leader epoch, or noEpoch
}

// head is from where to where a batch has offsets, and the epoch of the leader that took it, or noEpoch.
type head struct {
	offset, next int64
	epoch        int32
}

// noEpoch stands where there is no batch, or one of before Kafka 0.11.
const noEpoch int32 = -1

// size is what the record counts in limits and batches.
func (r *record) size() int {
	n := len(r.key) + len(r.value)
	for _, h := range r.headers {
		n += len(h.Name) + len(h.Value)
	}
	return n
}

// committed walks one partition's part of a fetch: it gives the records from offset from on that are committed. Which
// transactions were aborted is told by the response: from FirstOffset on, a
// producer's batches are void until its abort marker (https://kafka.apache.org/documentation/#controlbatch).
func committed(block *sarama.FetchResponseBlock, from int64) read {
	r := read{next: from, first: head{from, from, noEpoch}, epoch: noEpoch}
	aborted := slices.SortedFunc(slices.Values(block.AbortedTransactions), func(a, b *sarama.AbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	void := map[int64]bool{}
	for _, set := range block.RecordsSet {
		if set.MsgSet != nil {
			r.records, r.next = appendLegacy(r.records, set.MsgSet, r.next)
			continue
		}
		batch := set.RecordBatch
		if batch == nil || batch.PartialTrailingRecord && len(batch.Records) == 0 {
			break
		}
		if r.next == from {
			r.first = head{batch.FirstOffset, batch.LastOffset() + 1, batch.PartitionLeaderEpoch}
		}
		r.epoch = max(r.epoch, batch.PartitionLeaderEpoch)
		for len(aborted) > 0 && aborted[0].FirstOffset <= batch.LastOffset() {
			void[aborted[0].ProducerID] = true
			aborted = aborted[1:]
		}
		switch {
		case batch.Control:
			if isAbort(batch) {
				delete(void, batch.ProducerID)
			}
		case batch.IsTransactional && void[batch.ProducerID]:
		default:
			r.records = appendBatch(r.records, batch, from)
		}
		r.next = max(r.next, batch.LastOffset()+1)
	}
	return r
}

// isAbort reads a control record's key: a version and a type, 0 for abort and 1 for commit, both int16.
func isAbort(batch *sarama.RecordBatch) bool {
	return len(batch.Records) > 0 && len(batch.Records[0].Key) >= 4 && binary.BigEndian.Uint16(batch.Records[0].Key[2:]) == 0
}

func appendBatch(records []record, batch *sarama.RecordBatch, from int64) []record {
	records = slices.Grow(records, len(batch.Records))
	for _, r := range batch.Records {
		offset := batch.FirstOffset + r.OffsetDelta
		if offset < from {
			continue
		}
		own := record{offset: offset, epoch: batch.PartitionLeaderEpoch, appended: batch.LogAppendTime, key: r.Key, value: r.Value}
		switch {
		case batch.LogAppendTime:
			own.time = batch.MaxTimestamp
		case !batch.FirstTimestamp.IsZero() && r.TimestampDelta%time.Millisecond == 0: // else it overflowed, in the client
			own.time = batch.FirstTimestamp.Add(r.TimestampDelta)
		}
		for _, h := range r.Headers {
			if mark, ok := unfold.MarkOf(h.Key, h.Value); ok {
				own.mark = &mark
				continue
			}
			if own.headers == nil {
				own.headers = make([]event.Header, 0, len(r.Headers))
			}
			own.headers = append(own.headers, event.Header{Name: string(h.Key), Value: h.Value})
		}
		own.detach()
		records = append(records, own)
	}
	return records
}

// appendLegacy reads the formats 0 and 1, which old segments may still hold. A compressed message of format 1 holds a
// set with offsets relative to its last (https://kafka.apache.org/documentation/#messageset).
func appendLegacy(records []record, set *sarama.MessageSet, next int64) ([]record, int64) {
	from := next
	for _, outer := range set.Messages {
		inner := outer.Messages()
		for _, m := range inner {
			own := record{offset: m.Offset, epoch: noEpoch, time: m.Msg.Timestamp, appended: m.Msg.LogAppendTime, key: m.Msg.Key, value: m.Msg.Value}
			if outer.Msg.Set != nil && outer.Msg.Version >= 1 {
				own.offset += outer.Offset - inner[len(inner)-1].Offset
				if outer.Msg.LogAppendTime {
					own.time, own.appended = outer.Msg.Timestamp, true
				}
			}
			if own.offset >= from {
				own.detach()
				records = append(records, own)
			}
			next = max(next, own.offset+1)
		}
	}
	return records, next
}

// detach copies the record's bytes, which are part of a fetch: an event that is kept for a while shall not keep the whole
// fetch in memory.
func (r *record) detach() {
	n := len(r.key) + len(r.value)
	for _, h := range r.headers {
		n += len(h.Value)
	}
	all := make([]byte, 0, n)
	own := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		start := len(all)
		all = append(all, b...)
		return all[start:len(all):len(all)]
	}
	r.key, r.value = own(r.key), own(r.value)
	for i := range r.headers {
		r.headers[i].Value = own(r.headers[i].Value)
	}
}
