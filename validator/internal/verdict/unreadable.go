package verdict

import (
	"bytes"
	"fmt"
	"time"

	"datawatch/pkg/event"
)

// Unreadable is the violation of a record that isn't a clean event. key is the record's key, which begins with the stream.
func Unreadable(key []byte, position event.ViolationPosition, now time.Time) *event.Violation {
	stream, _, _ := bytes.Cut(key, []byte{'\n'})
	id := fmt.Sprintf("%s/%d/%d", position.Topic, position.Partition, position.Offset)
	f := finding{kind: event.InvalidError, severity: event.Warning, keyword: "event", message: "isn't a clean event that can be read"}
	return &event.Violation{
		Version: 1, ID: digest(26, id), DetectedAt: now.UTC().Format(time.RFC3339Nano), Stream: event.Stream(stream), EventID: id,
		Position: position, Severity: event.Warning, Errors: []event.ViolationError{f.toError(event.Stream(stream), "")},
	}
}
