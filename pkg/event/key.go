package event

import (
	"bytes"
	"strconv"
)

// RecordKey is the key of a record in clean, violations and (of rows and documents) raw: the stream, a line feed and
// the canonical JSON of the event's key. A null key (nil, empty or "null") is the stream alone.
//
// key must be canonical already: see Canonical.
func RecordKey(stream Stream, key []byte) []byte {
	if len(key) == 0 || bytes.Equal(key, []byte("null")) {
		return []byte(stream)
	}
	return join(stream, key)
}

// KeylessRecordKey is the key of a Kafka record that has none: the records of one source partition stay in order.
func KeylessRecordKey(stream Stream, partition int32) []byte {
	return join(stream, strconv.AppendInt([]byte{'#'}, int64(partition), 10))
}

// SourceRecordKey is the key in raw of a Kafka record with a key of its own, byte for byte.
func SourceRecordKey(stream Stream, key []byte) []byte { return join(stream, key) }

func join(stream Stream, rest []byte) []byte {
	b := make([]byte, 0, len(stream)+1+len(rest))
	b = append(b, stream...)
	b = append(b, '\n')
	return append(b, rest...)
}
