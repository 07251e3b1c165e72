package unfold

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// change is a record set of a response: as it came, and where it is now.
type change struct {
	came []byte // in the response's own bytes
	now  *[]byte
}

// changesOf are a response's record sets that aren't empty, in its order.
func changesOf(response *kmsg.FetchResponse) (all []change) {
	for i := range response.Topics {
		for j := range response.Topics[i].Partitions {
			if set := &response.Topics[i].Partitions[j].RecordBatches; len(*set) > 0 {
				all = append(all, change{*set, set})
			}
		}
	}
	return all
}

// splice makes ready what c.body holds, with other record sets. Nothing is copied: record sets are most of a response.
func (c *conn) splice(id int32, changes []change, flexible bool) {
	const head, length = 8, binary.MaxVarintLen32
	c.between = sized(c.between, head+len(changes)*length)[:head] // large enough: the pieces lie in it
	c.ready = append(c.ready[:0], c.between)
	rest := c.body
	for _, change := range changes {
		at := 0
		for &rest[at] != &change.came[0] { // past what is said of the partition: kmsg gives slices of what it reads
			at++
		}
		start := len(c.between)
		c.between = appendLength(c.between, len(change.came), flexible)
		before := at - (len(c.between) - start)
		c.between = appendLength(c.between[:start], len(*change.now), flexible)
		c.ready = append(c.ready, rest[:before], c.between[start:])
		if len(*change.now) > 0 {
			c.ready = append(c.ready, *change.now)
		}
		rest = rest[at+len(change.came):]
	}
	if len(rest) > 0 {
		c.ready = append(c.ready, rest)
	}
	size := -4 // the length doesn't count itself
	for _, piece := range c.ready {
		size += len(piece)
	}
	binary.BigEndian.PutUint32(c.between, uint32(size))
	binary.BigEndian.PutUint32(c.between[4:], uint32(id))
}

// appendLength appends the length of a record set as a response has it
// (https://kafka.apache.org/protocol#protocol_types, BYTES and COMPACT_BYTES).
func appendLength(b []byte, n int, flexible bool) []byte {
	if flexible {
		return binary.AppendUvarint(b, uint64(n)+1)
	}
	return binary.BigEndian.AppendUint32(b, uint32(n))
}
