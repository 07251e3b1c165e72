package collector

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/broker"
	"datawatch/pkg/hide"
	"datawatch/pkg/testrig"
)

const avroEnvelope = `{"type":"record","name":"Envelope","fields":[
	{"name":"before","type":["null",{"type":"record","name":"Value","fields":[
		{"name":"id","type":"long"},{"name":"total","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},{"name":"note","type":"string"}]}]},
	{"name":"after","type":["null","Value"]},
	{"name":"source","type":{"type":"record","name":"S","fields":[{"name":"connector","type":"string"},{"name":"ts_ms","type":"long"}]}},{"name":"op","type":"string"}]}`

// TestFeedShowsTheChangeThatAvroDecodesTo runs the collector from a topic of Debezium's, in Avro, to the message: the change
// as clean has it, and of a row only what changed.
func TestFeedShowsTheChangeThatAvroDecodesTo(t *testing.T) {
	schemas := map[string]string{"/schemas/ids/1": `{"type":"record","name":"Key","fields":[{"name":"id","type":"long"}]}`, "/schemas/ids/2": avroEnvelope}
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, known := schemas[r.URL.Path]
		if !known {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"schema": text})
	}))
	t.Cleanup(registry.Close)
	addr := testrig.Embedded(t)
	prefix := testrig.Prefix(t)
	c := configuration(t, addr, addr, prefix)
	c.Collector.Sources[0].Feed = true
	c.SchemaRegistry.URL = registry.URL
	topic := prefix + ".orders"
	createTopic(t, addr, topic, 1)
	if err := broker.EnsureTopics(t.Context(), c.Broker, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if _, err := hide.Publish(t.Context(), c.Broker, "test", nil, nil); err != nil { // else a validator is waited for
		t.Fatal(err)
	}
	var out log
	startLogging(t, c, io.MultiWriter(&out, t.Output()))

	wired := func(schema uint32, parts ...string) sarama.ByteEncoder {
		return append(binary.BigEndian.AppendUint32([]byte{0}, schema), strings.Join(parts, "")...)
	}
	text := func(s string) string { return string(binary.AppendVarint(nil, int64(len(s)))) + s }
	row := func(total byte) string { return "\x02\x0e\x02" + string(rune(total)) + text("untouched") } // in the union, id 7, total in cents
	produce(t, addr, &sarama.ProducerMessage{Topic: topic, Key: wired(1, "\x0e"), Value: wired(2,
		row(110), row(120), text("mysql"), string(binary.AppendVarint(nil, time.Now().UnixMilli())), text("u"))})
	testrig.Eventually(t, time.Minute, func() error {
		for line := range strings.SplitSeq(out.String(), "\n") {
			if strings.Contains(line, "1.10 → 1.20") {
				if !strings.Contains(line, topic) || strings.Contains(line, "untouched") {
					t.Errorf("shown: %s", line)
				}
				return nil
			}
		}
		return errors.New("not shown")
	})
}
