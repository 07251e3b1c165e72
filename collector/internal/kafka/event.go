package kafka

import (
	"encoding/json"
	"fmt"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
)

// Types of a record's timestamp (https://kafka.apache.org/documentation/#topicconfigs_message.timestamp.type).
const (
	createTime = "create"
	appendTime = "append"
)

// toRaw is the record as an event.
func toRaw(source string, p partition, stream event.Stream, epoch event.Epoch, r *record, now time.Time) event.Raw {
	raw := event.Raw{
		Type: event.RawType, Kind: event.Kafka, Stream: stream, Time: r.time, CapturedAt: now,
		ID:  event.RecordID(source, p.topic, p.id, event.OffsetPosition(epoch, r.offset)),
		Key: r.key, Value: r.value, Headers: r.headers,
	}
	raw.RecordKey = event.KeylessRecordKey(stream, p.id)
	if r.key != nil {
		raw.RecordKey = event.SourceRecordKey(stream, r.key)
	}
	switch {
	case r.time.IsZero(): // formats before Kafka 0.10 have none
		raw.Time = now
	case r.appended:
		raw.TimestampType = appendTime
	default:
		raw.TimestampType = createTime
	}
	return raw
}

// fits tells whether the record, as an event, goes into the internal topics: it has at most max_record_bytes, and with
// what raw adds (names of headers, the key a second time) what the topics take.
func (r *record) fits(internal config.Broker) bool {
	const perRecord, perHeader = 2 << 10, 16
	size := r.size()
	return size <= int(internal.MaxRecordBytes) && size+len(r.key)+perRecord+perHeader*len(r.headers) <= broker.RecordLimit(internal)
}

// Causes of gaps, as the metric's label.
const (
	gapExpired   = "expired"
	gapRecreated = "recreated"
	gapTruncated = "truncated"
)

// gap is a stretch of a partition that isn't captured.
type gap struct {
	kind     string
	position position // of the first record that isn't captured
	to       time.Time
	lost     int64 // negative where it isn't known
	cause    string
	remedy   string
}

func (g gap) toRaw(source string, p partition, now time.Time) event.Raw {
	body := event.Gap{From: g.position.Time, To: g.to, Cause: g.cause, Remedy: g.remedy}
	if body.From.IsZero() {
		body.From = g.to
	}
	body.From, body.To = body.From.UTC(), body.To.UTC()
	if g.lost >= 0 {
		body.Lost = &g.lost
	}
	value, err := json.Marshal(body)
	if err != nil {
		panic(err) // times and texts always have a JSON form
	}
	stream := p.stream(source)
	return event.Raw{
		Type: event.GapType, Kind: event.Kafka, Stream: stream, Time: now, CapturedAt: now, Value: value,
		ID:        event.RecordID(source, p.topic, p.id, event.OffsetPosition(g.position.Epoch, max(g.position.Offset, 0))),
		RecordKey: event.RecordKey(stream, nil),
	}
}

func expired(p partition, at position, oldest int64, now time.Time) gap {
	return gap{
		kind: gapExpired, position: at, to: now, lost: oldest - at.Offset,
		cause: fmt.Sprintf("the cluster deleted offsets %d to %d of %s before they were read", at.Offset, oldest-1, p),
		remedy: "let the topic keep records for longer than datawatch may be away (retention.ms, retention.bytes); " +
			"what was lost can't be read again",
	}
}

func recreated(p partition, at position, now time.Time) gap {
	return gap{
		kind: gapRecreated, position: at, to: now, lost: -1,
		cause:  fmt.Sprintf("the topic was deleted and created again; what partition %d held from offset %d on may be lost", p.id, at.Offset),
		remedy: "capture goes on from the new topic's beginning; stop writing to a topic before deleting it",
	}
}

func truncated(p partition, at position, from int64, now time.Time) gap {
	const keep = "min.insync.replicas and unclean.leader.election.enable=false keep a cluster from losing what it acknowledged"
	g := gap{
		kind: gapTruncated, position: at, to: now, lost: -1,
		cause:  fmt.Sprintf("the cluster lost records: of %s offsets %d to %d were read, and it holds them no more, or others in their place", p, from, at.Offset-1),
		remedy: fmt.Sprintf("capture goes on from offset %d, so nothing that the cluster holds now is missing; events of what it lost stay in clean; ", from) + keep,
	}
	if at.LeaderEpoch == nil {
		g.cause = fmt.Sprintf("the cluster lost records: %s ends at offset %d and was read up to %d already", p, from, at.Offset)
		g.remedy = "capture goes on from the present end, and what was written since the loss may be missing; " + keep
	}
	return g
}
