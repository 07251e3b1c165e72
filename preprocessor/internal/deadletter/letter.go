// Package deadletter writes what couldn't be understood in a form in which it can be looked at and sent again: the
// record's own key, bytes and headers, and headers that say what went wrong, where and when.
//
// It never refuses to write: a record that is too large for the topic is cut to what fits, and says how large it was. It
// does refuse to send again what was cut, and what never was a record of raw.
//
// A letter that is sent again goes behind everything that came since, also of its own key; its id and position are those
// of the first time, so whoever orders by position still has it in its place. The same letter may be sent again as often
// as one likes: once its events are in clean, further ones are dropped and counted.
package deadletter

import (
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
)

// Names of the headers of a dead letter.
const (
	HeaderStage           = "datawatch_error_stage"
	HeaderClass           = "datawatch_error_class"
	HeaderReason          = "datawatch_error_reason"
	HeaderTime            = "datawatch_error_time"
	HeaderOriginTopic     = "datawatch_origin_topic"
	HeaderOriginPartition = "datawatch_origin_partition"
	HeaderOriginOffset    = "datawatch_origin_offset"
	// HeaderSize is the record's true size in bytes; only a letter that was cut has it.
	HeaderSize = "datawatch_error_size"
	// HeaderReplayed is when a letter was sent again, on a raw record.
	HeaderReplayed = "datawatch_replayed"
)

// stage is this service's name in HeaderStage.
const stage = "preprocessor"

// maxReason bounds the reason, which may quote what a decoder said.
const maxReason = 2 << 10

// Cause is what went wrong.
type Cause struct {
	Class  string
	Reason string
	Time   time.Time
}

// Letter is the dead letter of a record that was read, at most limit bytes large by Record.Size.
func Letter(topic string, r broker.Record, cause Cause, limit int) broker.Record {
	headers := slices.Clone(r.Headers)
	add := func(name, value string) { headers = append(headers, event.Header{Name: name, Value: []byte(value)}) }
	add(HeaderStage, stage)
	add(HeaderClass, cause.Class)
	add(HeaderReason, cutText(cause.Reason, maxReason))
	add(HeaderTime, cause.Time.UTC().Format(time.RFC3339Nano))
	add(HeaderOriginTopic, r.Topic)
	add(HeaderOriginPartition, strconv.Itoa(int(r.Partition)))
	add(HeaderOriginOffset, strconv.FormatInt(r.Offset, 10))
	letter := broker.Record{Topic: topic, Key: r.Key, Value: r.Value, Headers: headers}
	if letter.Size() <= limit {
		return letter
	}
	add(HeaderSize, strconv.Itoa(r.Size()))
	letter.Headers = headers
	return cut(letter, len(r.Headers), limit)
}

// cut makes a letter fit: first the value is cut, then the record's own headers go, the largest first, then the key is
// cut.
func cut(letter broker.Record, own, limit int) broker.Record {
	over := func() int { return letter.Size() - limit }
	if n := over(); n > 0 {
		letter.Value = letter.Value[:max(0, len(letter.Value)-n)]
	}
	for ; over() > 0 && own > 0; own-- {
		largest := 0
		for i := range own {
			if headerSize(letter.Headers[i]) > headerSize(letter.Headers[largest]) {
				largest = i
			}
		}
		letter.Headers = slices.Delete(letter.Headers, largest, largest+1)
	}
	if n := over(); n > 0 {
		letter.Key = letter.Key[:max(0, len(letter.Key)-n)]
	}
	return letter
}

func headerSize(h event.Header) int { return len(h.Name) + len(h.Value) }

func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
