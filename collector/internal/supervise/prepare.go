package supervise

import (
	"encoding/json"
	"fmt"
	"slices"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
)

// Masker hides fields of an event, in place, as normalize.Masker does. After an error the event must not be written.
type Masker interface {
	Apply(e *event.Raw) error
}

// Causes of gaps that arise here, as the metric's label.
const (
	gapTooLarge = "too_large"
	gapUnmasked = "unmasked"
)

// prepare masks a batch's events and makes them records of raw; shown are the events that the records hold. An event that
// can't be masked, or is larger than the internal topics take, is replaced by a gap event: it neither gets out nor stops
// its source.
func (s *session) prepare(events []event.Raw) (records []broker.Record, shown []event.Raw) {
	limit := broker.RecordLimit(s.Broker)
	records, shown = make([]broker.Record, len(events)), slices.Clone(events)
	for i := range shown {
		e := &shown[i]
		if s.Mask != nil {
			if err := s.Mask.Apply(e); err != nil {
				s.replace(e, &events[i], gapUnmasked, fmt.Sprintf("event %s can't be masked: %v", e.ID, err),
					"mend mask in the configuration, or the data; the event was not published")
			}
		}
		records[i] = s.rawRecord(e)
		if size := records[i].Size(); size > limit {
			s.replace(e, &events[i], gapTooLarge,
				fmt.Sprintf("event %s has %d bytes with its headers; broker.max_record_bytes allows %d", e.ID, size, limit),
				"raise broker.max_record_bytes, and max.message.bytes of datawatch's topics with it, for later events")
			records[i] = s.rawRecord(e)
		}
	}
	return records, shown
}

func (s *session) rawRecord(e *event.Raw) broker.Record {
	return broker.Record{Topic: s.topics.Raw, Key: e.RecordKey, Value: e.Value, Headers: e.RecordHeaders()}
}

// replace puts a gap in place of an event, under the event's own id, which nothing else has.
func (s *session) replace(e, original *event.Raw, label, cause, remedy string) {
	lost := int64(1)
	value, err := json.Marshal(event.Gap{From: original.Time.UTC(), To: original.Time.UTC(), Lost: &lost, Cause: cause, Remedy: remedy})
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
