package kafka

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/collector/internal/source"
)

func TestOwnAndInternalTopicsAreNeverRead(t *testing.T) {
	s := selection{topics: []string{"*"}, exclude: []string{"internal.*"}, own: "datawatch."}
	for topic, want := range map[string]bool{
		"orders": true, "payments.captured": true, "datawatch": true, "datawatch-shop": true, "internals": true,
		"datawatch.raw": false, "datawatch.state": false, "__consumer_offsets": false, "__transaction_state": false, "internal.x": false,
	} {
		if got := s.includes(topic); got != want {
			t.Errorf("includes(%q) is %v", topic, got)
		}
	}
	named := selection{topics: []string{"datawatch.raw", "__consumer_offsets", "pay?ents.*"}, own: "datawatch."}
	for topic, want := range map[string]bool{"datawatch.raw": false, "__consumer_offsets": false, "payments.a.b": true, "Payments.a": false} {
		if got := named.includes(topic); got != want {
			t.Errorf("includes(%q) is %v", topic, got)
		}
	}
}

func TestThrottleKeepsTheRate(t *testing.T) {
	now := time.Unix(1000, 0)
	throttle := &throttle{rate: 1000}
	if free := throttle.paid(500, now); !free.Equal(now.Add(500 * time.Millisecond)) {
		t.Errorf("free at %s", free)
	}
	if free := throttle.paid(1500, now.Add(100*time.Millisecond)); !free.Equal(now.Add(2 * time.Second)) {
		t.Errorf("free at %s", free)
	}
	if free := throttle.paid(100, now.Add(time.Minute)); !free.Equal(now.Add(time.Minute + 100*time.Millisecond)) {
		t.Errorf("what wasn't used is saved up: free at %s", free)
	}
}

func TestLegacyFormatsAreRead(t *testing.T) {
	at := time.UnixMilli(1700000000000)
	compressed := &sarama.MessageSet{Messages: []*sarama.MessageBlock{
		{Offset: 0, Msg: &sarama.Message{Version: 1, Timestamp: at, Value: []byte("c")}},
		{Offset: 1, Msg: &sarama.Message{Version: 1, Timestamp: at, Value: []byte("d")}},
	}}
	set := &sarama.MessageSet{Messages: []*sarama.MessageBlock{
		{Offset: 7, Msg: &sarama.Message{Version: 0, Value: []byte("a")}},
		{Offset: 8, Msg: &sarama.Message{Version: 1, Timestamp: at, Key: []byte("k"), Value: []byte("b")}},
		{Offset: 10, Msg: &sarama.Message{Version: 1, Codec: sarama.CompressionGZIP, LogAppendTime: true, Timestamp: at.Add(time.Hour), Set: compressed}},
	}}
	block := &sarama.FetchResponseBlock{RecordsSet: []*sarama.Records{{MsgSet: set}}}
	got := committed(block, 8)
	records, next := got.records, got.next
	if next != 11 || len(records) != 3 {
		t.Fatalf("%d records up to %d", len(records), next)
	}
	for i, want := range []struct {
		offset   int64
		value    string
		time     time.Time
		appended bool
	}{{8, "b", at, false}, {9, "c", at.Add(time.Hour), true}, {10, "d", at.Add(time.Hour), true}} {
		r := records[i]
		if r.offset != want.offset || string(r.value) != want.value || !r.time.Equal(want.time) || r.appended != want.appended {
			t.Errorf("%+v, not %+v", r, want)
		}
	}
}

func TestProgressOfANewerVersionIsRefused(t *testing.T) {
	if _, _, err := readProgress(source.Progress{"orders/0": json.RawMessage(`{"version":2}`)}); err == nil {
		t.Error("a version that isn't known was taken")
	}
	for _, entry := range []string{"orders", "orders/x", "orders/99999999999"} {
		if _, _, err := readProgress(source.Progress{entry: json.RawMessage(`{"version":1}`)}); err == nil {
			t.Errorf("entry %q was taken", entry)
		}
	}
	positions, first, err := readProgress(source.Progress{
		"": json.RawMessage(`{"version":1}`), "a.b/3": json.RawMessage(`{"version":1,"epoch":"20261122T101500Z","topic_id":"x","offset":5}`),
	})
	if err != nil || first || positions[partition{"a.b", 3}].Offset != 5 || len(positions) != 1 {
		t.Errorf("%v %v %v", positions, first, err)
	}
}
