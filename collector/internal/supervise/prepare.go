package supervise

import (
	"encoding/json"
	"fmt"
	"slices"

	"datawatch/pkg/broker"
	"datawatch/pkg/deadletter"
	"datawatch/pkg/event"
)

// Masker hides fields of an event, in place, as normalize.Masker does. After an error the event must not be written.
type Masker interface {
	Apply(e *event.Raw) error
}

// Causes of gaps that arise here, as the metric's label.
const (
	gapTooLarge   = "too_large"
	gapUnreadable = "unreadable"
	gapUnmasked   = "unmasked"
)

// prepare masks a batch's events and makes them records of raw; shown are the events that these hold. An event that can't
// be masked is replaced by a gap event: it neither gets out nor stops its source. So is one that is larger than the
// internal topics take, which becomes a dead letter besides.
func (s *session) prepare(events []event.Raw) (records []broker.Record, shown []event.Raw) {
	limit := broker.RecordLimit(s.Broker)
	records, shown = make([]broker.Record, 0, len(events)), slices.Clone(events)
	for i := range shown {
		e := &shown[i]
		var unmasked error
		if s.Mask != nil {
			unmasked = s.Mask.Apply(e)
		}
		record := s.rawRecord(e)
		switch size := max(record.Size(), int(e.Size)); {
		case e.Size > 0 || unmasked == nil && size > limit:
			reason := fmt.Sprintf("event %s has %d bytes with its headers; broker.max_record_bytes allows %d", e.ID, size, limit)
			remedy := "raise broker.max_record_bytes, and max.message.bytes of datawatch's topics with it, for later events"
			label, lost := gapTooLarge, new(int64(1))
			if e.Unreadable != "" {
				reason, remedy = fmt.Sprintf("event %s: %s", e.ID, e.Unreadable), "mend the producer that wrote it; every consumer of the topic meets it"
				label, lost = gapUnreadable, nil
			}
			if unmasked != nil { // of what was cut nothing shows that can't be masked
				reason += fmt.Sprintf("; its contents can't be masked: %v", unmasked)
				e.RecordKey, e.Key, e.Value, e.Headers = event.RecordKey(e.Stream, nil), nil, nil, nil
			}
			records = append(records, s.deadLetter(e, label, reason, size, limit))
			s.replace(e, &events[i], label, lost, reason, "the record, or its beginning, is in "+s.topics.DeadLetter+"; "+remedy)
			record = s.rawRecord(e)
		case unmasked != nil:
			s.replace(e, &events[i], gapUnmasked, new(int64(1)), fmt.Sprintf("event %s can't be masked: %v", e.ID, unmasked),
				"mend mask in the configuration, or the data; the event was not published")
			record = s.rawRecord(e)
		}
		records = append(records, record)
	}
	return records, shown
}

// deadLetter is the letter of an event that is too large, or can't be read. Of a Kafka record it says where that is.
func (s *session) deadLetter(e *event.Raw, class, reason string, size, limit int) broker.Record {
	record := s.rawRecord(e)
	record.Topic, record.Partition, record.Offset = string(e.Stream), -1, -1
	if topic, partition, offset, err := event.RecordOrigin(e.ID); err == nil && e.Kind == event.Kafka {
		record.Topic, record.Partition, record.Offset = topic, partition, offset
	}
	s.metrics.deadLettered(e.Stream)
	return deadletter.Letter(s.topics.DeadLetter, record, deadletter.Cause{
		Stage: deadletter.Collector, Class: class, Reason: reason, Time: e.CapturedAt, Size: size,
	}, limit)
}

func (s *session) rawRecord(e *event.Raw) broker.Record {
	return broker.Record{Topic: s.topics.Raw, Key: e.RecordKey, Value: e.Value, Headers: e.RecordHeaders()}
}

// replace puts a gap in place of an event, under the event's own id, which nothing else has.
func (s *session) replace(e, original *event.Raw, label string, lost *int64, cause, remedy string) {
	value, err := json.Marshal(event.Gap{From: original.Time.UTC(), To: original.Time.UTC(), Lost: lost, Cause: cause, Remedy: remedy})
	if err != nil {
		panic(err) // times and texts always have a JSON form
	}
	*e = event.Raw{
		Type: event.GapType, Kind: original.Kind, ID: original.ID, Stream: original.Stream, Time: original.Time,
		CapturedAt: original.CapturedAt, RecordKey: event.RecordKey(original.Stream, nil), Value: value,
	}
	s.report.Gap(label)
	s.log.Warn("gap", "stream", e.Stream, "id", e.ID, "cause", cause, "remedy", remedy)
}
