package broker

import (
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/broker/unfold"
	"datawatch/pkg/event"
)

// Record is one record of a topic, read or to be written.
type Record struct {
	Topic   string
	Key     []byte
	Value   []byte // nil is a tombstone
	Headers []event.Header

	// PartitionBy decides the partition in place of Key, where a record shall lie beside those of another key.
	PartitionBy []byte

	// Partition, Offset and Timestamp are set on records that were read.
	Partition int32
	Offset    int64
	Timestamp time.Time
	// Mark is set on a record that was read and isn't as it lies in the topic, for it would have been too much to hold.
	Mark *unfold.Mark
}

// addHeader adds a header of a record that was read.
func (r *Record) addHeader(name, value []byte) {
	if mark, ok := unfold.MarkOf(name, value); ok {
		r.Mark = &mark
		return
	}
	r.Headers = append(r.Headers, event.Header{Name: string(name), Value: value})
}

// perHeader and perRecord are what the record format (v2) adds at most: varints of lengths, deltas and attributes.
const (
	perHeader = 10
	perRecord = 40
)

// Size is the number of bytes that the record takes at most in a topic, uncompressed.
func (r *Record) Size() int {
	n := perRecord + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += perHeader + len(h.Name) + len(h.Value)
	}
	return n
}

func fromSarama(m *sarama.ConsumerMessage) Record {
	r := Record{Topic: m.Topic, Key: m.Key, Value: m.Value, Partition: m.Partition, Offset: m.Offset, Timestamp: m.Timestamp}
	if len(m.Headers) > 0 {
		r.Headers = make([]event.Header, 0, len(m.Headers))
		for _, h := range m.Headers {
			r.addHeader(h.Key, h.Value)
		}
	}
	return r
}

// give makes the client's message of the record, but for its headers.
func (r *Record) give(m *sarama.ProducerMessage) {
	m.Topic = r.Topic
	if r.Key != nil {
		m.Key = sarama.ByteEncoder(r.Key)
	}
	if r.Value != nil {
		m.Value = sarama.ByteEncoder(r.Value)
	}
	if r.PartitionBy != nil {
		m.Metadata = r.PartitionBy
	}
}

// partitioner is murmur2 over the record's key, or over what Record.PartitionBy names.
type partitioner struct{ byKey sarama.Partitioner }

func newPartitioner(topic string) sarama.Partitioner {
	return partitioner{byKey: sarama.NewMurmur2Partitioner(topic)}
}

func (p partitioner) Partition(m *sarama.ProducerMessage, partitions int32) (int32, error) {
	if by, ok := m.Metadata.([]byte); ok {
		return p.byKey.Partition(&sarama.ProducerMessage{Topic: m.Topic, Key: sarama.ByteEncoder(by)}, partitions)
	}
	return p.byKey.Partition(m, partitions)
}

func (p partitioner) RequiresConsistency() bool { return true }

// PartitionOf is where a record with the key lies in a topic of so many partitions.
func PartitionOf(key []byte, partitions int32) int32 {
	at, err := newPartitioner("").Partition(&sarama.ProducerMessage{Key: sarama.ByteEncoder(key)}, partitions)
	if err != nil {
		panic(err) // a key of bytes is always there
	}
	return at
}
