package kafka

import (
	"encoding/json"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
)

// Types of a record's timestamp (https://kafka.apache.org/documentation/#topicconfigs_message.timestamp.type).
const (
	createTime = "create"
	appendTime = "append"
)

// lastYear is the last that RFC 3339, and so an event's time, can say.
const lastYear = 9999

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
	if r.time.UTC().Year() > lastYear { // who takes microseconds for milliseconds comes there
		raw.Time, raw.Timestamp = now, r.time.UnixMilli()
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
	gapDeleted   = "deleted"
	gapTruncated = "truncated"
)

// gap is a stretch of a partition that isn't captured.
type gap struct {
	kind     string
	position position // of the first record that isn't captured
	to       time.Time
	lost     int64 // negative where it isn't known
	why, do  reason.Text
}

func (g gap) toRaw(source string, p partition, now time.Time) event.Raw {
	body := event.Gap{From: g.position.Time, To: g.to}.Because(g.why).Advising(g.do)
	if body.From.IsZero() || body.From.After(g.to) { // as a producer's clock may have it
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
		why: reason.OffsetsExpired.With(at.Offset, oldest-1, p), do: reason.DoOffsetsExpired.With(),
	}
}

func recreated(p partition, at position, now time.Time) gap {
	return gap{
		kind: gapRecreated, position: at, to: now, lost: -1,
		why: reason.TopicRecreated.With(p.id, at.Offset), do: reason.DoTopicRecreated.With(),
	}
}

func deleted(p partition, at position, end int64, now time.Time) gap {
	return gap{
		kind: gapDeleted, position: at, to: now, lost: end - at.Offset,
		why: reason.TopicDeleted.With(at.Offset, end-1, p), do: reason.DoTopicDeleted.With(),
	}
}

func truncated(p partition, at position, from int64, now time.Time) gap {
	g := gap{
		kind: gapTruncated, position: at, to: now, lost: -1,
		why: reason.RecordsTruncated.With(p, from, at.Offset-1), do: reason.DoRecordsTruncated.With(from),
	}
	if at.LeaderEpoch == nil {
		g.why, g.do = reason.LogEndsEarlier.With(p, from, at.Offset), reason.DoLogEndsEarlier.With()
	}
	return g
}
