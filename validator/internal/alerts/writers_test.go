package alerts_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// TestWhoAlwaysWritesIsNoCauseAndWhoIsNewIs: errors of the application that makes all writes are alerts of their own,
// those of a program that never wrote there are one.
func TestWhoAlwaysWritesIsNoCauseAndWhoIsNewIs(t *testing.T) {
	a := newAPI(t)
	w := newWorld(t, testrig.Embedded(t), a)
	application := &event.Actor{Application: "order-service", User: "app"}
	var history []broker.Record
	for n := range 20 {
		key := fmt.Appendf(nil, `{"id":%d}`, n)
		value := fmt.Sprintf(`{"source":"shop-db","subject":"public.orders","data":{"key":%s,"origin":{"actor":{"application":"order-service","user":"app"}}}}`, key)
		history = append(history, broker.Record{Topic: w.topics.Clean, Key: event.RecordKey(stream, key), Value: []byte(value)})
	}
	w.write(history)
	w.start()
	found := func(n int, rule string, of event.Stream, actor *event.Actor) *event.Violation {
		v := violation(n, rule, event.Critical)
		v.Stream, v.Actor, v.DetectedAt = of, actor, time.Now().Add(20*time.Minute).Format(time.RFC3339Nano) // long after what was written
		v.Position = event.ViolationPosition{Topic: w.topics.Clean}
		return v
	}
	w.publish(true, found(1, "one", stream, application), found(2, "two", stream, application), found(3, "three", "shop-db/public.new_table", application))
	for _, rule := range []string{"one", "two", "three"} {
		id := w.reads(a, "fp-"+rule+"</i>")
		if messages, _ := a.sent(); strings.Contains(messages[id-1].text, "program") {
			t.Errorf("what the usual writer does is an incident: %s", messages[id-1].text)
		}
	}
	hand := &event.Actor{Application: "psql", User: "admin"}
	w.publish(true, found(4, "four", stream, hand), found(4, "five", "shop-db/public.new_table", hand))
	w.reads(a, "1 row wrong by one program that is new there", "psql (admin)", "fp-four", "fp-five")
	if messages, _ := a.sent(); len(messages) != 4 {
		t.Errorf("%d messages: %+v", len(messages), messages)
	}
}
