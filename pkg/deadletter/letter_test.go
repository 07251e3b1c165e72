package deadletter

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
)

func header(r broker.Record, name string) (value string, ok bool) {
	for _, h := range r.Headers {
		if h.Name == name {
			return string(h.Value), true
		}
	}
	return "", false
}

var cause = Cause{Stage: Preprocessor, Class: "type", Reason: "not a number", Time: time.Date(2026, 11, 22, 10, 15, 0, 0, time.UTC)}

func TestLetterIsTheRecordAndWhatWentWrong(t *testing.T) {
	r := broker.Record{
		Topic: "dw.raw", Partition: 3, Offset: 88, Key: []byte("s\nk"), Value: []byte("v"),
		Headers: []event.Header{{Name: "src.a", Value: nil}, {Name: "src.a", Value: []byte("2")}},
	}
	l := Letter("dw.deadletter", r, cause, 1<<20)
	if l.Topic != "dw.deadletter" || string(l.Key) != "s\nk" || string(l.Value) != "v" {
		t.Errorf("letter %+v", l)
	}
	if l.Headers[0].Value != nil || string(l.Headers[1].Value) != "2" {
		t.Errorf("the record's own headers: %v", l.Headers)
	}
	for name, want := range map[string]string{
		HeaderStage: "preprocessor", HeaderClass: "type", HeaderReason: "not a number", HeaderTime: "2026-11-22T10:15:00Z",
		HeaderOriginTopic: "dw.raw", HeaderOriginPartition: "3", HeaderOriginOffset: "88",
	} {
		if got, _ := header(l, name); got != want {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
	}
	if _, cut := header(l, HeaderSize); cut {
		t.Error("a letter that is whole says that it was cut")
	}
}

func TestTombstoneStaysOne(t *testing.T) {
	if l := Letter("dl", broker.Record{Key: []byte("s")}, cause, 1<<20); l.Value != nil {
		t.Errorf("value %q", l.Value)
	}
}

func TestTooLargeIsCutToWhatFits(t *testing.T) {
	const limit = 4 << 10
	large := bytes.Repeat([]byte("x"), 3*limit)
	for name, r := range map[string]broker.Record{
		"value":   {Key: []byte("s\nk"), Value: large, Headers: []event.Header{{Name: "src.a", Value: []byte("1")}}},
		"headers": {Key: []byte("s\nk"), Value: []byte("v"), Headers: []event.Header{{Name: "small"}, {Name: "large", Value: large}}},
		"key":     {Key: large, Value: []byte("v")},
		"all":     {Key: large, Value: large, Headers: []event.Header{{Name: "large", Value: large}}},
	} {
		t.Run(name, func(t *testing.T) {
			l := Letter("dl", r, cause, limit)
			if l.Size() > limit {
				t.Errorf("%d bytes, %d are allowed", l.Size(), limit)
			}
			if size, _ := header(l, HeaderSize); size != strconv.Itoa(r.Size()) {
				t.Errorf("size %q, not %d", size, r.Size())
			}
			if reason, _ := header(l, HeaderReason); reason != cause.Reason {
				t.Errorf("reason %q", reason)
			}
			if !bytes.HasPrefix(r.Value, l.Value) || !bytes.HasPrefix(r.Key, l.Key) {
				t.Error("what is left isn't the beginning of what was there")
			}
		})
	}
}

func TestLongReasonIsCutBetweenCharacters(t *testing.T) {
	long := cause
	long.Reason = strings.Repeat("ế", maxReason)
	reason, _ := header(Letter("dl", broker.Record{}, long, 1<<20), HeaderReason)
	if len(reason) > maxReason+len("…") || strings.Trim(reason, "ế…") != "" {
		t.Errorf("%d bytes: %q", len(reason), reason[len(reason)-10:])
	}
}

func TestWhatWasCutBeforeSaysItsTrueSize(t *testing.T) {
	before := cause
	before.Size = 1 << 30
	l := Letter("dl", broker.Record{Topic: "t", Value: []byte("the beginning")}, before, 1<<20)
	if size, _ := header(l, HeaderSize); size != "1073741824" || string(l.Value) != "the beginning" {
		t.Errorf("size %q, value %q", size, l.Value)
	}
}
