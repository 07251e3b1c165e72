// Package deadletter states the form of a dead letter: what couldn't be understood or written, with the record's own key,
// bytes and headers, and headers that say what went wrong, where and when.
//
// It never refuses: a record that is too large for the topic is cut to what fits, and says how large it was.
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

// Stages that write letters.
const (
	Collector    = "collector"
	Preprocessor = "preprocessor"
)

// maxReason bounds the reason, which may quote what a decoder said.
const maxReason = 2 << 10

// Cause is what went wrong.
type Cause struct {
	Stage  string
	Class  string
	Reason string
	Time   time.Time
	// Size is the record's true size in bytes, where it was cut before it came here.
	Size int
}

// Letter is the dead letter of a record that was read from where its Topic, Partition and Offset say, at most limit bytes
// large by Record.Size.
func Letter(topic string, r broker.Record, cause Cause, limit int) broker.Record {
	headers := slices.Clone(r.Headers)
	add := func(name, value string) { headers = append(headers, event.Header{Name: name, Value: []byte(value)}) }
	add(HeaderStage, cause.Stage)
	add(HeaderClass, cause.Class)
	add(HeaderReason, cutText(cause.Reason, maxReason))
	add(HeaderTime, cause.Time.UTC().Format(time.RFC3339Nano))
	add(HeaderOriginTopic, r.Topic)
	add(HeaderOriginPartition, strconv.Itoa(int(r.Partition)))
	add(HeaderOriginOffset, strconv.FormatInt(r.Offset, 10))
	letter := broker.Record{Topic: topic, Key: r.Key, Value: r.Value, Headers: headers}
	if letter.Size() <= limit && cause.Size == 0 {
		return letter
	}
	add(HeaderSize, strconv.Itoa(max(cause.Size, r.Size())))
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
