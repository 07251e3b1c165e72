package deadletter

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/deadletter"
	"datawatch/pkg/event"
)

// Found is a letter as it lies in the topic.
type Found struct {
	ID        string       // of the raw record; empty where the letter isn't one of raw
	Stream    event.Stream // empty where the letter isn't one of raw
	Stage     string
	Class     string
	Reason    string
	Time      time.Time // when it became a letter
	Partition int32     // of the letter
	Offset    int64     // of the letter
	Origin    string    // "<topic>/<partition>/<offset>" that it was read from
	Size      int       // the record's true size where the letter was cut, else 0
	Record    broker.Record
}

// Name says which letter it is: the id of its event, or its own place where it has none.
func (l *Found) Name() string {
	if l.ID != "" {
		return l.ID
	}
	return fmt.Sprintf("(no event) at %d/%d", l.Partition, l.Offset)
}

// Filter chooses letters; what is zero chooses all.
type Filter struct {
	Stream string // a stream or a glob (path.Match)
	Class  string
	ID     string
	Since  time.Time // letters written then or later
}

// IsZero tells whether the filter lets everything pass.
func (f Filter) IsZero() bool { return f == Filter{} }

// Check tells what is wrong with the filter.
func (f Filter) Check() error {
	if _, err := path.Match(f.Stream, ""); err != nil {
		return fmt.Errorf("%q is not a glob: %w", f.Stream, err)
	}
	return nil
}

func (f Filter) matches(l *Found) bool {
	if f.Stream != "" {
		if ok, err := path.Match(f.Stream, string(l.Stream)); err != nil || !ok {
			return false
		}
	}
	return (f.Class == "" || f.Class == l.Class) && (f.ID == "" || f.ID == l.ID) && !l.Time.Before(f.Since)
}

// Each hands the letters that f chooses to each, partition by partition in their order, to the topic's present end. It
// joins no group. held is the time since when all letters are there: zero where none was ever removed.
func Each(ctx context.Context, s *broker.Scanner, topic string, f Filter, each func(*Found) error) (held time.Time, err error) {
	partitions, err := s.Partitions(topic)
	if err != nil {
		return held, fmt.Errorf("read dead letters: %w", err)
	}
	for _, p := range partitions {
		since, err := eachOf(ctx, s, topic, p, f, each)
		if err != nil {
			return held, fmt.Errorf("read dead letters: %w", err)
		}
		if since.After(held) {
			held = since
		}
	}
	return held, nil
}

func eachOf(ctx context.Context, s *broker.Scanner, topic string, partition int32, f Filter, each func(*Found) error) (held time.Time, err error) {
	oldest, err := s.Oldest(topic, partition)
	if err != nil {
		return held, err
	}
	end, err := s.End(topic, partition)
	if err != nil {
		return held, err
	}
	if oldest > 0 {
		held = time.Now() // until one is seen: all that were there may be gone
	}
	first := true
	err = s.Scan(ctx, topic, partition, oldest, end, func(r broker.Record) error {
		if first && oldest > 0 {
			held = r.Timestamp
		}
		first = false
		if l := read(r); f.matches(l) {
			return each(l)
		}
		return nil
	})
	return held, err
}

// read takes a letter apart. Of headers that repeat, the last one is ours.
func read(r broker.Record) *Found {
	l := &Found{Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp, Record: r}
	var topic, partition, offset string
	for _, h := range r.Headers {
		switch v := string(h.Value); h.Name {
		case deadletter.HeaderStage:
			l.Stage = v
		case deadletter.HeaderClass:
			l.Class = v
		case deadletter.HeaderReason:
			l.Reason = v
		case deadletter.HeaderOriginTopic:
			topic = v
		case deadletter.HeaderOriginPartition:
			partition = v
		case deadletter.HeaderOriginOffset:
			offset = v
		case deadletter.HeaderTime:
			if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
				l.Time = at
			}
		case deadletter.HeaderSize:
			l.Size, _ = strconv.Atoi(v) // only we write it; what isn't a number says nothing
		}
	}
	l.Origin = topic + "/" + partition + "/" + offset
	if raw, err := event.ParseRaw(r.Key, r.Value, r.Headers); err == nil {
		l.ID, l.Stream = raw.ID, raw.Stream
	}
	return l
}

// ours are the headers that Letter adds, and the one of a replay.
var ours = []string{
	deadletter.HeaderStage, deadletter.HeaderClass, deadletter.HeaderReason, deadletter.HeaderTime, deadletter.HeaderOriginTopic, deadletter.HeaderOriginPartition, deadletter.HeaderOriginOffset, deadletter.HeaderSize, deadletter.HeaderReplayed,
}

// Replay is the record that sends the letter through the preprocessor again: with the key, bytes and headers that it had
// when it came the first time, so its id and position too, and HeaderReplayed. An error says why it can't be.
func (l *Found) Replay(raw string, now time.Time) (broker.Record, error) {
	switch {
	case l.Stage != deadletter.Preprocessor || l.ID == "":
		return broker.Record{}, fmt.Errorf("it is no record of %s", raw)
	case l.Size > 0:
		return broker.Record{}, fmt.Errorf("it was cut: its record had %d bytes", l.Size)
	}
	headers := slices.Clone(l.Record.Headers)
	for _, name := range ours { // the last of a name is ours; one before it came with the record
		for i := len(headers) - 1; i >= 0; i-- {
			if headers[i].Name == name {
				headers = slices.Delete(headers, i, i+1)
				break
			}
		}
	}
	headers = append(headers, event.Header{Name: deadletter.HeaderReplayed, Value: []byte(now.UTC().Format(time.RFC3339Nano))})
	return broker.Record{Topic: raw, Key: l.Record.Key, Value: l.Record.Value, Headers: headers}, nil
}
