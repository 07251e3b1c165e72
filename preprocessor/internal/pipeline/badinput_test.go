package pipeline

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/deadletter"
	"datawatch/pkg/event"
	"datawatch/pkg/normalize"

	"datawatch/preprocessor/internal/waitalert"
)

// shelf holds schemas by id.
type shelf map[int]normalize.Schema

func (s shelf) Schema(_ context.Context, id int) (*normalize.Schema, error) {
	if schema, ok := s[id]; ok {
		return &schema, nil
	}
	return nil, &normalize.Unavailable{What: "schema " + strconv.Itoa(id) + " of http://registry", Schema: id, Err: errors.New("Schema not found")}
}

// withSchemas is a pipeline as the service has it, whose registry is a shelf and which waits for nothing.
func withSchemas(s shelf) *Pipeline {
	c := config.DefaultShared().Broker
	return New(Options{
		Broker: c, Normalizer: normalize.New(normalize.Options{Schemas: s, MaxDecoded: broker.RecordLimit(c)}),
		Patience: Patience{Waiting: func([]waitalert.Wait) {}}, History: noHistory{}, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
	})
}

func rawOf(value []byte) broker.Record {
	r := event.Raw{
		Type: event.RawType, Kind: event.Kafka, ID: "shop-kafka/t/0/20261122T101500Z.0000000000000000041", Stream: "shop-kafka/t", Time: time.Now(),
		RecordKey: []byte("shop-kafka/t\nk"), Key: []byte("k"), Value: value, CapturedAt: time.Now(),
	}
	return broker.Record{Topic: "datawatch.raw", Key: r.RecordKey, Value: r.Value, Headers: r.RecordHeaders()}
}

func wired(id uint32, payload ...byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, id), payload...)
}

func headerOf(r broker.Record, name string) string {
	for _, h := range r.Headers {
		if h.Name == name {
			return string(h.Value)
		}
	}
	return ""
}

// mostAllocated is what one bad record may make the service allocate: within its bound of memory even if nothing were freed.
const mostAllocated = 250 << 20

func TestBadInputComesOutAsItIsOrIsADeadLetterThatSaysWhy(t *testing.T) {
	schemas := shelf{
		1: {Type: normalize.Avro, Text: `{"type":"record","name":"R","fields":[{"name":"l","type":{"type":"array","items":"null"}},{"name":"s","type":"string"}]}`},
		2: {Type: normalize.Protobuf, Text: `syntax="proto3"; message M { repeated M m = 1; repeated bool b = 2; }`},
		3: {Type: normalize.JSONSchema, Text: `{}`},
	}
	digits := strings.Repeat("1234567890", 10_000)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(make([]byte, 100<<20))
	_ = z.Close()
	nested := bytes.Repeat([]byte{10, 0}, 4<<20) // four million messages in 8 MiB
	for name, test := range map[string]struct {
		value         []byte
		after         string // what stands in clean; empty where it is a dead letter
		class, reason string
	}{
		"depth 10,000":                  {[]byte(strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)), "", "limit", "value: nested more than 9000 deep"},
		"depth 10,000, never closed":    {[]byte(strings.Repeat(`{"a":`, 10_000)), "", "limit", "value: nested more than 9000 deep"},
		"100,000 digits":                {[]byte(`{"n":` + digits + `.` + digits + `e-9}`), `{"n":` + digits + `.` + digits + `e-9}`, "", ""},
		"an exponent beyond any type":   {[]byte(`[1e1000001,-1E-1000001]`), `[1e1000001,-1E-1000001]`, "", ""},
		"duplicate keys":                {[]byte(`{"a":1,"a":2}`), `{"a":1,"a":2}`, "", ""},
		"invalid UTF-8":                 {[]byte("{\"a\":\"\xff\"}"), `"eyJhIjoi/yJ9"`, "", ""},
		"a lone surrogate":              {[]byte(`{"a":"\ud800"}`), `{"a":"\ud800"}`, "", ""},
		"20 MB":                         {[]byte(`"` + strings.Repeat("x", 20<<20) + `"`), "", "too_large", "the clean event has 20972"},
		"an Avro block cut short":       {wired(1, 6, 0, 10, 'a'), "", "malformed", `value: field "s": the data ends within a value`},
		"an Avro block without end":     {wired(1, 6), "", "malformed", `value: field "l": not a number where one is expected, or the data ends`},
		"an Avro array of a billion":    {append(wired(1), binary.AppendVarint(nil, 1<<40)...), "", "limit", `value: field "l": more than 8650752 bytes once decoded`},
		"an unknown schema":             {wired(41, 1), "", "schema_unavailable", "schema 41 of http://registry"},
		"a message of a million":        {append(wired(2, 0), nested...), "", "limit", "value: a message of too many parts"},
		"a list of a million":           {append(wired(2, 0), packed(8<<20)...), "", "limit", "value: a message of too many parts"},
		"JSON cut short, in its format": {wired(3, '{'), "", "malformed", "value: JSON ends at byte 1"},
		"a bomb of gzip":                {zipped.Bytes(), "", "", ""},
		"a zero byte and an id":         {wired(1), "", "malformed", `value: field "l": not a number where one is expected, or the data ends`},
	} {
		t.Run(name, func(t *testing.T) {
			p := withSchemas(schemas)
			var before, behind runtime.MemStats
			runtime.ReadMemStats(&before)
			written, err := p.Process(t.Context(), []broker.Record{rawOf(test.value), rawOf([]byte(`"behind"`))})
			runtime.ReadMemStats(&behind)
			if err != nil || len(written) != 2 || written[1].Topic != "datawatch.clean" {
				t.Fatalf("%d records, %v", len(written), err)
			}
			if grown := behind.TotalAlloc - before.TotalAlloc; grown > mostAllocated {
				t.Errorf("%d MB were allocated", grown>>20)
			}
			if test.class != "" {
				l := written[0]
				if got := headerOf(l, deadletter.HeaderClass); got != test.class || !strings.HasPrefix(headerOf(l, deadletter.HeaderReason), test.reason) {
					t.Errorf("%s: %s", got, headerOf(l, deadletter.HeaderReason))
				}
				if !bytes.HasPrefix(test.value, l.Value) || len(l.Value) < min(len(test.value), 8<<20) {
					t.Errorf("the letter holds %d bytes that aren't the record's", len(l.Value))
				}
				return
			}
			e, err := event.ParseClean(written[0].Value)
			if err != nil {
				t.Fatal(err)
			}
			if test.after != "" && string(e.Change.After) != test.after {
				t.Errorf("it came out changed: %.200s", e.Change.After)
			}
			if test.after == "" && (e.Change.Encoding != "base64" || len(e.Change.After) > 2*len(test.value)) {
				t.Errorf("bytes came out as %.200s", e.Change.After)
			}
		})
	}
}

// packed is a packed list of so many booleans.
func packed(n int) []byte {
	return append(binary.AppendUvarint([]byte{18}, uint64(n)), bytes.Repeat([]byte{1}, n)...)
}
