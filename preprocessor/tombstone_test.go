package preprocessor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// debezium is a record of a topic of Debezium's; an empty op is a tombstone.
func debezium(topics broker.Topics, offset int64, key, op string) broker.Record {
	stream := event.StreamOf("shop-kafka", "shop.orders")
	r := &event.Raw{
		Type: event.RawType, Kind: event.Kafka, ID: event.RecordID("shop-kafka", "shop.orders", 0, event.OffsetPosition(epoch, offset)), Stream: stream,
		Time: time.Now(), RecordKey: event.SourceRecordKey(stream, []byte(key)), Key: []byte(key), CapturedAt: time.Now(),
	}
	images := map[string]string{"c": `"before":null,"after":{"id":1}`, "d": `"before":{"id":1},"after":null`}
	if op != "" {
		r.Value = fmt.Appendf(nil, `{%s,"source":{"connector":"mysql","ts_ms":1795391941123},"op":%q}`, images[op], op)
	}
	return rawRecord(topics, r)
}

// opsOf are the ops of clean's events, by key, in order.
func opsOf(t *testing.T, records []broker.Record) map[string]string {
	t.Helper()
	ops := map[string][]string{}
	for _, r := range records {
		e, err := event.ParseClean(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		ops[string(e.Change.Key)] = append(ops[string(e.Change.Key)], string(e.Change.Op))
	}
	joined := map[string]string{}
	for key, list := range ops {
		joined[key] = strings.Join(list, " ")
	}
	return joined
}

func TestTombstoneBehindADeleteIsDroppedAcrossARestart(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := settings(t, addr)
		p := publisher(t, c)
		const one, two, three = `{"id":1}`, `{"id":2}`, `{"id":3}`
		publish(t, p,
			debezium(topics, 1, one, "c"), debezium(topics, 2, one, "d"), debezium(topics, 3, one, ""), // the pair
			debezium(topics, 4, one, "c"), debezium(topics, 5, one, ""), // a null that says something
			debezium(topics, 6, two, "d"), debezium(topics, 7, two, "c"), // a delete that isn't the newest
			debezium(topics, 8, three, "d"),
		)
		i := start(t, c)
		await(t, c, topics.Clean, 7)
		i.stop(t)
		publish(t, p, debezium(topics, 9, two, ""), debezium(topics, 10, three, ""), debezium(topics, 11, three, ""))
		i = start(t, c)
		clean := await(t, c, topics.Clean, 9)
		got := opsOf(t, clean)
		for key, want := range map[string]string{one: "insert delete insert delete", two: "delete insert delete", three: "delete delete"} {
			if got[key] != want {
				t.Errorf("%s: %s, not %s", key, got[key], want)
			}
		}
		testrig.Eventually(t, 5*time.Second, func() error {
			if n := metric(t, i.env.Metrics, "datawatch_preprocessor_events_dropped_total"); n != 1 {
				return fmt.Errorf("%v drops counted", n)
			}
			return nil
		})
	})
}
