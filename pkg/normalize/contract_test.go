package normalize

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"datawatch/pkg/event"
)

// promise is what one sentence says of clean events, shown by an event of a raw record in testdata. It stands apart from the
// golden files, which -update writes anew. How positions begin, in which order events come and what is captured at all is
// the collector's, and its tests'; which tombstones are dropped is the preprocessor's.
type promise struct {
	file  string   // of events, or of mongo-events where it says so
	index int      // which of the events of the record
	holds []string // parts of the event's JSON
	never []string // what must not be in it
}

var promises = map[string][]promise{
	"an event is a CloudEvent of the change": {{file: "postgres-insert", holds: []string{
		`{"specversion":"1.0","id":"shop-db/20261122T101500Z.000000000412.000000000","source":"shop-db","type":"datawatch.change.v1","subject":"public.orders","time":"2026-11-22T23:59:01.123456Z","datacontenttype":"application/json","data":{"op":"insert","key":{"id":1042},"before":null,"after":{`,
		`"origin":{"kind":"postgres","database":"shop","schema":"public","table":"orders","transaction":"81422","transaction_index":0,"position":"20261122T101500Z.000000000412.000000000",`,
		`"captured_at":"`,
	}}},
	"the id is the source and the position, of Kafka topic and partition too": {
		{file: "postgres-update", holds: []string{`"id":"shop-db/20261122T101500Z.`}},
		{file: "kafka-object", holds: []string{`"id":"shop-kafka/payments.captured/2/20261122T101500Z.0000000000000000041"`, `"position":"20261122T101500Z.0000000000000000041"`}},
	},
	"a change of a key is a delete with moved_to, then an insert with moved_from": {
		{file: "postgres-key-move-delete", holds: []string{`"op":"delete","key":{"id":1042}`, `"moved_to":{"id":1043}`}},
		{file: "postgres-key-move-insert", holds: []string{`"op":"insert","key":{"id":1043}`, `"moved_from":{"id":1042}`}},
		{file: "kafka-maxwell-key-move", index: 0, holds: []string{`"op":"delete"`, `"moved_to":`, `#0"`}},
		{file: "kafka-maxwell-key-move", index: 1, holds: []string{`"op":"insert"`, `"moved_from":`, `#1"`}},
	},
	"of one statement all deletes of moved keys come before all inserts": {
		{file: "kafka-canal-update", index: 0, holds: []string{`"op":"delete","key":{"id":2}`, `"moved_to":{"id":3}`}},
		{file: "kafka-canal-update", index: 1, holds: []string{`"op":"update","key":{"id":1}`}},
		{file: "kafka-canal-update", index: 2, holds: []string{`"op":"insert","key":{"id":3}`, `"moved_from":{"id":2}`}},
	},
	"without a key the key is null and updates stay updates": {{file: "postgres-no-key", holds: []string{`"op":"update","key":null,"before":{"note":"a"},"after":{"note":"b"}`}}},
	"a truncate is one event with a null key": {
		{file: "postgres-truncate", holds: []string{`"op":"truncate","key":null,"before":null,"after":null`, `"position":"20261122T101500Z.000000000412.000000004"`}},
		{file: "kafka-debezium-truncate", holds: []string{`"op":"truncate","key":null`}},
		{file: "kafka-canal-truncate", holds: []string{`"op":"truncate","key":null`}},
	},
	"MongoDB's key is its _id, and a drop is a truncate with its reason": {
		{file: "mongo-events/insert", holds: []string{`"key":{"_id":`, `"op":"insert"`, `"origin":{"kind":"mongodb","database":"shop","collection":"carts"`}},
		{file: "mongo-events/drop", holds: []string{`"op":"truncate","key":null`, `"reason":"drop"`}},
	},
	"incomplete names what can't be had, and is absent where the event is exact": {
		{file: "postgres-no-before", holds: []string{`"incomplete":{"before":"unavailable"}`}},
		{file: "postgres-incomplete", holds: []string{`"incomplete":{"fields":["meta"]}`}},
		{file: "kafka-debezium-toast", holds: []string{`"incomplete":{"before":"unavailable","fields":["body","blob","tags"]}`}, never: []string{"debezium_unavailable"}},
		{file: "kafka-debezium-mongodb-update", holds: []string{`"after":"later"`}},
		{file: "kafka-debezium-mongodb-update-gone", holds: []string{`"after":"missing"`}},
		{file: "postgres-update", never: []string{`"incomplete"`}},
	},
	"time is the source's, in UTC, with what precision it has": {
		{file: "postgres-insert", holds: []string{`"time":"2026-11-22T23:59:01.123456Z"`}},
		{file: "kafka-maxwell-insert", holds: []string{`"time":"2026-11-22T23:59:01Z"`}},
		{file: "kafka-object", holds: []string{`"time":"2026-11-22T23:59:01.123Z"`}},
	},
	"actor and tag say who did it, else null": {
		{file: "postgres-insert", holds: []string{`"actor":{"application":"order-service","user":"app","client":"10.2.0.7"},"tag":"checkout-test"`}},
		{file: "kafka-headers", holds: []string{`"tag":"checkout-test"`, `"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"`}},
		{file: "kafka-object", holds: []string{`"actor":null,"tag":null`}},
	},
	"numbers keep every digit, as JSON numbers": {
		{file: "kafka-object", holds: []string{`"total":12345678901234567890.10,`}, never: []string{`"12345678901234567890`}},
		{file: "kafka-canal-insert", holds: []string{`"id":18446744073709551615`, `"total":12345678901234567890.100000000000000000`}},
	},
	"origin of Kafka has topic, partition, offset, headers as a list, and the content type": {{file: "kafka-headers", holds: []string{
		`"kind":"kafka","topic":"payments.captured","partition":2,"offset":41,"headers":[["Content-Type","text/plain"],["x",null],["x","2"],["content-type","application/json"]`, `"content_type":"application/json"`,
	}}},
	"an envelope of Debezium is its change in the topic's stream": {{file: "kafka-debezium-update", holds: []string{
		`"source":"shop-kafka"`, `"subject":"payments.captured"`, `"op":"update","key":{"id":1},"before":{"id":1,"total":"149.97"},"after":{"id":1,"total":"150.00"},"changed":["total"]`,
	}}},
	"an envelope of Maxwell or Canal is its change in the stream of topic, database and table": {
		{file: "kafka-maxwell-insert", holds: []string{`"subject":"shop.changes/shop.orders"`, `"op":"insert","key":{"id":1042}`}},
		{file: "kafka-canal-insert", holds: []string{`"subject":"shop.changes/shop.orders"`, `"op":"insert"`}},
	},
	"one record may give several events, whose ids end in #n, all of one transaction": {
		{file: "kafka-canal-insert", index: 0, holds: []string{`.0000000000000000041#0"`, `"transaction":"7a4f:12","transaction_index":0`}},
		{file: "kafka-canal-insert", index: 1, holds: []string{`.0000000000000000041#1"`, `"transaction":"7a4f:12","transaction_index":1`}},
	},
	"other JSON is a message with the value as after":        {{file: "kafka-object", holds: []string{`"op":"message"`, `"before":null,"after":{"total":`}}},
	"a null value is a delete":                               {{file: "kafka-tombstone", holds: []string{`"op":"delete","key":"k","before":null,"after":null`}}},
	"text is a JSON string":                                  {{file: "kafka-text", holds: []string{`"after":"hello, \"world\"\n"`}, never: []string{`"encoding"`}}},
	"what isn't text is base64 and says so":                  {{file: "kafka-bytes", holds: []string{`"after":"AP/+","encoding":"base64"`}}},
	"a record key that is a JSON object or array is that":    {{file: "kafka-key-object", holds: []string{`"key":{"a":"x","b":1.0}`}}, {file: "kafka-key-array", holds: []string{`"key":[1,"a"]`}}},
	"other UTF-8 as a record key is a string, even a number": {{file: "kafka-key-number", holds: []string{`"key":"1042"`}}, {file: "kafka-key-quoted", holds: []string{`"key":"\"a\""`}}},
	"a record key that isn't text is base64":                 {{file: "kafka-key-bytes", holds: []string{`"key":"//4="`}}},
	"a gap is an event of a type of its own": {{file: "gap", holds: []string{
		`"type":"datawatch.gap.v1"`, `"data":{"from":"2026-11-22T22:00:00Z","to":"2026-11-22T23:00:00.5Z","cause":"outbox full","lost":12,"remedy":"raise outbox.max_bytes"}`,
	}}},
}

// cleanOf normalizes the raw record of a golden file.
func cleanOf(t *testing.T, file string) (events []string) {
	t.Helper()
	path, inMongo := filepath.Join("testdata", "events", file+".json"), strings.HasPrefix(file, "mongo-events/")
	if inMongo {
		path = filepath.Join("testdata", file+".json")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var raw *event.Raw
	if inMongo {
		var c documentCase
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		raw = documentRaw(extended(t, c.Document))
	} else {
		var c eventCase
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		raw = c.Raw.raw(t)
	}
	clean, err := New(Options{}).Events(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range clean {
		events = append(events, string(e.AppendJSON(nil)))
	}
	return events
}

func TestCleanEventKeepsItsPromise(t *testing.T) {
	for sentence, shown := range promises {
		t.Run(sentence, func(t *testing.T) {
			for _, p := range shown {
				events := cleanOf(t, p.file)
				if p.index >= len(events) {
					t.Fatalf("%s gives %d events", p.file, len(events))
				}
				for _, part := range p.holds {
					if !strings.Contains(events[p.index], part) {
						t.Errorf("%s: no %s in\n%s", p.file, part, events[p.index])
					}
				}
				for _, part := range p.never {
					if strings.Contains(events[p.index], part) {
						t.Errorf("%s: %s in\n%s", p.file, part, events[p.index])
					}
				}
			}
		})
	}
}

func TestCleanEventsOfOneRecordSortByTheirIDs(t *testing.T) {
	for _, file := range []string{"kafka-canal-insert", "kafka-canal-update", "kafka-maxwell-key-move"} {
		var ids []string
		for _, text := range cleanOf(t, file) {
			e, err := event.ParseClean([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, e.ID)
		}
		if len(ids) < 2 || !slices.IsSorted(ids) {
			t.Errorf("%s: %v", file, ids)
		}
	}
}

// Each type in the forms that readers rely on; the golden tables have all of them.
func TestFormsOfValuesAreThosePromised(t *testing.T) {
	for sentence, test := range map[string]struct {
		column     event.Column
		raw, clean string
	}{
		"a numeric of 38 digits keeps them all":            {event.Column{Name: "v", Type: "numeric", Base: "numeric"}, `12345678901234567890.123456789012345678`, `12345678901234567890.123456789012345678`},
		"NaN is a string":                                  {event.Column{Name: "v", Type: "numeric", Base: "numeric"}, `"NaN"`, `"NaN"`},
		"timestamptz is RFC 3339 in UTC with Z":            {event.Column{Name: "v", Type: "timestamp with time zone", Base: "timestamptz"}, `"2026-11-22T16:59:01.123456+00:00"`, `"2026-11-22T16:59:01.123456Z"`},
		"timestamp is ISO 8601 without a zone":             {event.Column{Name: "v", Type: "timestamp without time zone", Base: "timestamp"}, `"2026-11-22T23:59:01.5"`, `"2026-11-22T23:59:01.5"`},
		"infinity is PostgreSQL's own text":                {event.Column{Name: "v", Type: "timestamp with time zone", Base: "timestamptz"}, `"infinity"`, `"infinity"`},
		"bytea is base64":                                  {event.Column{Name: "v", Type: "bytea", Base: "bytea"}, `"\\x00fffe"`, `"AP/+"`},
		"jsonb is itself":                                  {event.Column{Name: "v", Type: "jsonb", Base: "jsonb"}, `{"a":1.0,"b":[null]}`, `{"a":1.0,"b":[null]}`},
		"every other type is its text in default settings": {event.Column{Name: "v", Type: "interval", Base: "interval"}, `"1 day 02:00:00"`, `"1 day 02:00:00"`},
	} {
		t.Run(sentence, func(t *testing.T) {
			clean, err := cleanRow([]event.Column{test.column}, []byte(`{"v":`+test.raw+`}`))
			if err != nil || string(clean) != `{"v":`+test.clean+`}` {
				t.Errorf("%s, %v", clean, err)
			}
		})
	}
}
