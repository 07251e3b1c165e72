package event

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Epoch is the UTC time, to the second, at which a run of positions began: "20261122T101500Z".
type Epoch string

const epochLayout = "20060102T150405Z"

// NewEpoch is the epoch that begins now. It sorts behind previous even when the clock doesn't ("" where there is none).
func NewEpoch(now time.Time, previous Epoch) Epoch {
	now = now.UTC().Truncate(time.Second)
	if before, err := previous.Time(); err == nil && !now.After(before) {
		now = before.Add(time.Second)
	}
	return Epoch(now.Format(epochLayout))
}

// Time is the moment at which the epoch began.
func (e Epoch) Time() (time.Time, error) { return time.Parse(epochLayout, string(e)) }

// A position sorts as text, within one stream (of Kafka: one partition), in the order in which changes took effect. The
// widths hold the largest value that the source can count to, so that no position ever outgrows its padding.

// TickPosition is the n-th event of a tick of the PostgreSQL outbox.
func TickPosition(e Epoch, tick, n int64) string { return fmt.Sprintf("%s.%012d.%09d", e, tick, n) }

// WALPosition is the n-th event of the transaction that committed at lsn.
func WALPosition(e Epoch, lsn uint64, n int64) string { return fmt.Sprintf("%s.%016X.%09d", e, lsn, n) }

// ClusterTimePosition is the n-th event of a MongoDB cluster time.
func ClusterTimePosition(e Epoch, seconds, increment uint32, n int64) string {
	return fmt.Sprintf("%s.%010d.%010d.%09d", e, seconds, increment, n)
}

// OffsetPosition is a record of a Kafka partition.
func OffsetPosition(e Epoch, offset int64) string { return fmt.Sprintf("%s.%019d", e, offset) }

// ID is the id of an event of a database: "<source>/<position>".
func ID(source, position string) string { return source + "/" + position }

// RecordID is the id of a Kafka record: "<source>/<topic>/<partition>/<position>".
func RecordID(source, topic string, partition int32, position string) string {
	return source + "/" + topic + "/" + strconv.Itoa(int(partition)) + "/" + position
}

// PositionOf is the part of an id behind its last slash, without the "#n" of an event that shares its record with others.
func PositionOf(id string) string {
	position := id[strings.LastIndexByte(id, '/')+1:]
	position, _, _ = strings.Cut(position, "#")
	return position
}

// RecordOrigin reads the topic, partition and offset back from the id of a Kafka record.
func RecordOrigin(id string) (topic string, partition int32, offset int64, err error) {
	parts := strings.Split(id, "/")
	if len(parts) != 4 {
		return "", 0, 0, fmt.Errorf("id %q is not <source>/<topic>/<partition>/<position>", id)
	}
	p, err := strconv.ParseInt(parts[2], 10, 32)
	if err != nil {
		return "", 0, 0, fmt.Errorf("id %q: partition: %w", id, err)
	}
	_, digits, _ := strings.Cut(PositionOf(id), ".")
	offset, err = strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return "", 0, 0, fmt.Errorf("id %q: offset: %w", id, err)
	}
	return parts[1], int32(p), offset, nil
}
