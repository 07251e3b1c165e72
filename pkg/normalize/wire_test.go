package normalize

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"datawatch/pkg/config"
	"datawatch/pkg/event"
)

// shelf holds schemas by id.
type shelf map[int]Schema

func (s shelf) Schema(_ context.Context, id int) (*Schema, error) {
	if schema, ok := s[id]; ok {
		return &schema, nil
	}
	return nil, &Unavailable{What: "schema", Err: errors.New("not here")}
}

// wired puts a schema's id before a payload.
func wired(id uint32, payload ...byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, id), payload...)
}

func avroText(s string) []byte { return append(binary.AppendVarint(nil, int64(len(s))), s...) }

func avroBytes(b ...byte) []byte { return append(binary.AppendVarint(nil, int64(len(b))), b...) }

func joined(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func wireRecord(key, value []byte) *event.Raw {
	return &event.Raw{
		Type: event.RawType, Kind: event.Kafka, ID: "shop-kafka/orders/2/20261122T101500Z.0000000000000000041", Stream: "shop-kafka/orders",
		Time: time.Unix(0, 0), Key: key, Value: value, CapturedAt: time.Unix(0, 0),
	}
}

const allAvro = `{"type":"record","name":"All","namespace":"shop","fields":[
	{"name":"big","type":"long"},
	{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":38,"scale":18}},
	{"name":"fixed","type":{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":4,"scale":2}},
	{"name":"day","type":{"type":"int","logicalType":"date"}},
	{"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
	{"name":"local","type":{"type":"long","logicalType":"local-timestamp-millis"}},
	{"name":"clock","type":{"type":"int","logicalType":"time-millis"}},
	{"name":"maybe","type":["null","string"]},
	{"name":"sure","type":["null",{"type":"string","logicalType":"uuid"}]},
	{"name":"f","type":"float"},{"name":"d","type":"double"},{"name":"ok","type":"boolean"},
	{"name":"b","type":"bytes"},
	{"name":"e","type":{"type":"enum","name":"E","symbols":["NEW","PAID"]}},
	{"name":"list","type":{"type":"array","items":"long"}},
	{"name":"map","type":{"type":"map","values":"F"}},
	{"name":"self","type":["null","All"]},
	{"name":"debezium","type":{"type":"long","connect.name":"io.debezium.time.MicroTimestamp"}}]}`

func TestAvroComesOutDigitForDigit(t *testing.T) {
	long := func(n int64) []byte { return binary.AppendVarint(nil, n) }
	payload := joined(
		long(9223372036854775807),
		avroBytes(0x09, 0x18, 0x4e, 0x72, 0x9f, 0xff, 0xff, 0xff), // 655359999999999999
		[]byte{0xff, 0x85},                                        // -123
		long(20779),                                               // 2026-11-22
		long(1795391941123456),                                    // 2026-11-22T23:59:01.123456Z
		long(1795391941123), long(86399001),
		long(0), long(1), avroText("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
		[]byte{0xcd, 0xcc, 0xcc, 0x3d}, []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x7f}, []byte{1}, // 0.1f, NaN, true
		avroBytes(0xff, 0x00), long(1),
		long(2), long(1), long(2), long(-1), long(1), long(3), long(0), // two blocks, the second with its size
		long(1), avroText("k"), []byte{0x00, 0x01}, long(0),
		long(0), long(1795391941123456),
	)
	n := New(Options{Schemas: shelf{7: {Type: Avro, Text: allAvro}}})
	events, err := n.Events(t.Context(), wireRecord(nil, wired(7, payload...)))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"big":9223372036854775807,"price":0.655359999999999999,"fixed":-1.23,"day":"2026-11-22","at":"2026-11-22T23:59:01.123456Z",` +
		`"local":"2026-11-22T23:59:01.123","clock":"23:59:59.001","maybe":null,"sure":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11","f":0.1,"d":"NaN","ok":true,` +
		`"b":"/wA=","e":"PAID","list":[1,2,3],"map":{"k":0.01},"self":null,"debezium":"2026-11-22T23:59:01.123456"}`
	if got := string(events[0].Change.After); got != want {
		t.Errorf("\n%s\nnot\n%s", got, want)
	}
}

func TestAvroEnvelopeOfDebeziumIsItsChange(t *testing.T) {
	schema := `{"type":"record","name":"Envelope","fields":[
		{"name":"before","type":["null",{"type":"record","name":"Value","fields":[{"name":"id","type":"long"}]}]},{"name":"after","type":["null","Value"]},
		{"name":"source","type":{"type":"record","name":"S","fields":[{"name":"connector","type":"string"},{"name":"ts_ms","type":"long"}]}},{"name":"op","type":"string"}]}`
	key := `{"type":"record","name":"Key","fields":[{"name":"id","type":"long"}]}`
	n := New(Options{Schemas: shelf{1: {Type: Avro, Text: key}, 2: {Type: Avro, Text: schema}}})
	value := joined([]byte{0}, []byte{2, 14}, avroText("mysql"), binary.AppendVarint(nil, 1795391941123), avroText("c"))
	events, err := n.Events(t.Context(), wireRecord(wired(1, 14), wired(2, value...)))
	if err != nil {
		t.Fatal(err)
	}
	if c := events[0].Change; c.Op != event.Insert || string(c.Key) != `{"id":7}` || string(c.After) != `{"id":7}` || events[0].Time != "2026-11-22T23:59:01.123Z" {
		t.Errorf("%s %s %s at %s", c.Op, c.Key, c.After, events[0].Time)
	}
}

func TestProtobufComesOutDigitForDigit(t *testing.T) {
	s := Schema{Type: Protobuf, References: []Reference{{Name: "money.proto", Text: `syntax="proto3"; package shop; message Money { int64 units = 1; string currency = 2; }`}}, Text: `
		syntax = "proto3"; package shop;
		import "money.proto"; import "google/protobuf/timestamp.proto"; import "confluent/type/decimal.proto"; import "google/protobuf/wrappers.proto";
		message Other {}
		message Order { message Line { uint64 n = 1; bytes raw = 2; }
			Money total = 1; google.protobuf.Timestamp paid_at = 2; confluent.type.Decimal price = 3; repeated Line lines = 4;
			map<string, sint64> counts = 5; enum State { NEW = 0; PAID = 1; } State state = 6; optional string note = 7; int64 zero = 8; google.protobuf.Int64Value wide = 9; }`}
	message := func(n protowire.Number, parts ...[]byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), joined(parts...))
	}
	number := func(n protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
	}
	payload := joined([]byte{2, 2}, // one place: the second message
		message(1, number(1, 9223372036854775807), message(2, []byte("VND"))),
		message(2, number(1, 1795391941), number(2, 123456789)),
		message(3, message(1, []byte{0xff, 0x85}), number(3, 2)),
		message(4, number(1, 18446744073709551615), message(2, []byte{0xff})),
		message(5, message(1, []byte("b")), number(2, protowire.EncodeZigZag(-2))), message(5, message(1, []byte("a")), number(2, protowire.EncodeZigZag(1))),
		number(6, 1), message(9, number(1, 5)),
	)
	n := New(Options{Schemas: shelf{7: s}})
	events, err := n.Events(t.Context(), wireRecord(nil, wired(7, payload...)))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"total":{"units":9223372036854775807,"currency":"VND"},"paid_at":"2026-11-22T23:59:01.123456789Z","price":-1.23,` +
		`"lines":[{"n":18446744073709551615,"raw":"/w=="}],"counts":{"a":1,"b":-2},"state":"PAID","zero":0,"wide":5}`
	if got := string(events[0].Change.After); got != want {
		t.Errorf("\n%s\nnot\n%s", got, want)
	}
}

func TestJSONSchemaPayloadIsItsJSON(t *testing.T) {
	n := New(Options{Schemas: shelf{7: {Type: JSONSchema, Text: `{}`}}})
	events, err := n.Events(t.Context(), wireRecord(wired(7, []byte(`"1042"`)...), wired(7, []byte(`{"total": 1.10}`)...)))
	if err != nil {
		t.Fatal(err)
	}
	if c := events[0].Change; string(c.After) != `{"total":1.10}` || string(c.Key) != `"1042"` {
		t.Errorf("%s %s", c.Key, c.After)
	}
}

func TestWhatIsDecodedIsMasked(t *testing.T) {
	masker, err := NewMasker([]config.Mask{{Stream: "shop-kafka/*", Fields: []string{"card"}, How: "last4"}})
	if err != nil {
		t.Fatal(err)
	}
	schema := Schema{Type: Avro, Text: `{"type":"record","name":"R","fields":[{"name":"card","type":"string"}]}`}
	events, err := New(Options{Schemas: shelf{7: schema}, Masker: masker}).Events(t.Context(), wireRecord(nil, wired(7, avroText("4111111111111111")...)))
	if err != nil || string(events[0].Change.After) != `{"card":"****1111"}` {
		t.Errorf("%v, %v", events, err)
	}
}

func TestWithoutARegistryTheWireFormatIsBytes(t *testing.T) {
	events, err := New(Options{}).Events(t.Context(), wireRecord(nil, wired(7, 0xff)))
	if err != nil || events[0].Change.Encoding != base64Encoding {
		t.Errorf("%v, %v", events, err)
	}
}

func TestMissingSchemaIsNotTheRecordsFault(t *testing.T) {
	_, err := New(Options{Schemas: shelf{}}).Events(t.Context(), wireRecord(nil, wired(7, 1)))
	if _, ok := errors.AsType[*Unavailable](err); !ok {
		t.Errorf("%v", err)
	}
}

func TestPayloadsThatAreWrongSayWhy(t *testing.T) {
	many := binary.AppendVarint(nil, 1<<40)
	for name, test := range map[string]struct {
		schema  Schema
		payload []byte
		says    string
	}{
		"truncated":         {Schema{Type: Avro, Text: `"string"`}, []byte{10, 'a'}, "value: the data ends within a value"},
		"too long":          {Schema{Type: Avro, Text: `"int"`}, []byte{10, 0}, "value: 1 bytes behind what the schema describes"},
		"not UTF-8":         {Schema{Type: Avro, Text: `"string"`}, []byte{2, 0xff}, "a string that isn't UTF-8"},
		"a bomb":            {Schema{Type: Avro, Text: `{"type":"array","items":"null"}`}, many, "more than 67108864 bytes once decoded"},
		"no end":            {Schema{Type: Avro, Text: `{"type":"record","name":"R","fields":[{"name":"r","type":"R"}]}`}, nil, "nested more than 500 deep"},
		"no such branch":    {Schema{Type: Avro, Text: `["null","int"]`}, []byte{4}, "branch 2 of a union of 2"},
		"unreadable schema": {Schema{Type: Avro, Text: `{"type":"record","name":"R","fields":[{"name":"r","type":"Nope"}]}`}, nil, `schema 7: field r: no type "Nope"`},
		"unreadable proto":  {Schema{Type: Protobuf, Text: `message {`}, nil, "schema 7: schema.proto:1"},
		"an unknown field":  {Schema{Type: Protobuf, Text: `syntax="proto3"; message M {}`}, []byte{0, 8, 1}, "M has a field that its schema doesn't know"},
		"no such message":   {Schema{Type: Protobuf, Text: `syntax="proto3"; message M {}`}, []byte{2, 4}, "message 2 of 1"},
		"not JSON":          {Schema{Type: JSONSchema, Text: `{}`}, []byte("{"), "JSON ends"},
		"another language":  {Schema{Type: "THRIFT"}, nil, `a schema in "THRIFT"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(Options{Schemas: shelf{7: test.schema}}).Events(t.Context(), wireRecord(nil, wired(7, test.payload...)))
			if wrong, ok := errors.AsType[*Error](err); !ok || !strings.Contains(wrong.Reason, test.says) {
				t.Errorf("%v, not %s", err, test.says)
			}
		})
	}
}

func fuzzWire(f *testing.F, s Schema, seeds ...[]byte) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	n := New(Options{Schemas: shelf{7: s}})
	f.Fuzz(func(t *testing.T, payload []byte) {
		events, err := n.Events(t.Context(), wireRecord(nil, wired(7, payload...)))
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("%v", err)
			}
			return
		}
		if _, err := event.ParseClean(events[0].AppendJSON(nil)); err != nil {
			t.Errorf("the event can't be read back: %v", err)
		}
	})
}

func FuzzAvro(f *testing.F) {
	fuzzWire(f, Schema{Type: Avro, Text: `{"type":"record","name":"R","fields":[{"name":"l","type":{"type":"array","items":["null","string","double",
		{"type":"bytes","logicalType":"decimal","scale":3},{"type":"long","logicalType":"timestamp-millis"}]}},{"name":"m","type":{"type":"map","values":"long"}},{"name":"r","type":["null","R"]}]}`},
		[]byte{2, 2, 2, 'a', 0, 0, 0}, []byte{1, 2, 0, 0, 0})
}

func FuzzProtobuf(f *testing.F) {
	fuzzWire(f, Schema{Type: Protobuf, Text: `syntax="proto3"; import "google/protobuf/timestamp.proto"; import "confluent/type/decimal.proto";
		message M { string s = 1; repeated M m = 2; map<string,double> d = 3; google.protobuf.Timestamp t = 4; confluent.type.Decimal n = 5; }`},
		[]byte{0, 10, 1, 'a'}, []byte{2, 0, 18, 0})
}
