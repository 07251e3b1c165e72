package event

import (
	"bytes"
	"encoding/json"
	"time"
)

// CanaryStream is the stream of canaries: events that the collector sends through everything, to see that they arrive. No
// source has such a name. They aren't anybody's data: whoever shows, counts or judges events leaves them out.
const CanaryStream = Stream("_datawatch/canary")

// Canary is the record of raw of a canary, and becomes one of clean with the same key. It is as if of a
// Kafka topic without keys; which of its partitions it comes from decides to which of raw and clean it goes. Its offset is
// the time, so that whoever sends next goes on.
func Canary(e Epoch, partition int32, now time.Time) Raw {
	value, err := json.Marshal(struct {
		SentAt time.Time `json:"sent_at"`
	}{now.UTC()})
	if err != nil {
		panic(err) // a time of this century
	}
	position := OffsetPosition(e, now.UnixMicro())
	return Raw{
		Type: RawType, Kind: Kafka, ID: RecordID(CanaryStream.Source(), CanaryStream.Entity(), partition, position), Stream: CanaryStream, Time: now, CapturedAt: now,
		RecordKey: CanaryKey(partition), Value: value, TimestampType: "create",
	}
}

// CanaryKey is the record key of a canary in raw and clean.
func CanaryKey(partition int32) []byte { return KeylessRecordKey(CanaryStream, partition) }

// IsCanary tells by the key of a record of raw or clean whether it is a canary.
func IsCanary(recordKey []byte) bool { return bytes.HasPrefix(recordKey, canaryPrefix) }

var canaryPrefix = []byte(CanaryStream + "\n")
