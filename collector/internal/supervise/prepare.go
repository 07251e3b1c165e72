package supervise

import (
	"encoding/json"
	"slices"

	"datawatch/pkg/broker"
	"datawatch/pkg/deadletter"
	"datawatch/pkg/event"
	"datawatch/pkg/reason"
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
			allowed := limit // of datawatch's topics: what the configuration says, and room for headers
			if e.Size > 0 {
				allowed = int(s.Broker.MaxRecordBytes)
			}
			why, do := reason.EventTooLarge.With(e.ID, size, allowed), reason.DoEventTooLarge.With(s.topics.DeadLetter)
			label, lost := gapTooLarge, new(int64(1))
			if e.Unreadable != "" {
				why, do = reason.EventUnreadable.With(e.ID, reason.Phrase(e.Unreadable)), reason.DoEventUnreadable.With(s.topics.DeadLetter)
				label, lost = gapUnreadable, nil
			}
			if unmasked != nil { // of what was cut nothing shows that can't be masked
				why = reason.Unmaskable.With(why, reason.Phrase(unmasked.Error()))
				e.RecordKey, e.Key, e.Value, e.Headers = event.RecordKey(e.Stream, nil), nil, nil, nil
			}
			records = append(records, s.deadLetter(e, label, why.String(), size, limit))
			s.replace(e, &events[i], label, event.Gap{Lost: lost}.Because(why).Advising(do))
			record = s.rawRecord(e)
		case unmasked != nil:
			gap := event.Gap{Lost: new(int64(1))}.Because(reason.EventUnmasked.With(e.ID, reason.Phrase(unmasked.Error()))).Advising(reason.DoEventUnmasked.With())
			s.replace(e, &events[i], gapUnmasked, gap)
			record = s.rawRecord(e)
		}
		records = append(records, record)
	}
	return records, shown
}

// deadLetter is the letter of an event that is too large, or can't be read. Of a Kafka record it says where that is.
func (s *session) deadLetter(e *event.Raw, class, why string, size, limit int) broker.Record {
	record := s.rawRecord(e)
	record.Topic, record.Partition, record.Offset = string(e.Stream), -1, -1
	if topic, partition, offset, err := event.RecordOrigin(e.ID); err == nil && e.Kind == event.Kafka {
		record.Topic, record.Partition, record.Offset = topic, partition, offset
	}
	s.metrics.deadLettered(e.Stream)
	return deadletter.Letter(s.topics.DeadLetter, record, deadletter.Cause{
		Stage: deadletter.Collector, Class: class, Reason: why, Time: e.CapturedAt, Size: size,
	}, limit)
}

func (s *session) rawRecord(e *event.Raw) broker.Record {
	return broker.Record{Topic: s.topics.Raw, Key: e.RecordKey, Value: e.Value, Headers: e.RecordHeaders()}
}

// replace puts a gap in place of an event, under the event's own id, which nothing else has.
func (s *session) replace(e, original *event.Raw, label string, gap event.Gap) {
	gap.From, gap.To = original.Time.UTC(), original.Time.UTC()
	value, err := json.Marshal(gap)
	if err != nil {
		panic(err) // times and texts always have a JSON form
	}
	*e = event.Raw{
		Type: event.GapType, Kind: original.Kind, ID: original.ID, Stream: original.Stream, Time: original.Time,
		CapturedAt: original.CapturedAt, RecordKey: event.RecordKey(original.Stream, nil), Value: value,
	}
	s.report.Gap(label)
	s.log.Warn("gap", "stream", e.Stream, "id", e.ID, "cause", gap.Cause, "remedy", gap.Remedy)
}
