package normalize

import (
	"errors"
	"strings"
	"testing"

	"datawatch/pkg/config"
)

func TestWhatIsGuessedCanBeSetByStream(t *testing.T) {
	envelope := `{"before":null,"after":{"id":1},"source":{"connector":"mysql"},"op":"c"}`
	maxwell := `{"database":"d","table":"t","type":"insert","ts":1,"data":{"id":1}}`
	canal := `{"database":"d","table":"t","type":"INSERT","es":1,"isDdl":false,"pkNames":["id"],"data":[{"id":"1"}]}`
	cloud := `{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"id":1}}`
	avro := string(wired(7, avroText("x")...))
	for name, test := range map[string]struct {
		as         config.Format
		key, value string
		want       string // op, key, after
		wrong      string
	}{
		"guessed":                     {config.Format{}, "1042", `{"a": 1}`, `message "1042" {"a":1}`, ""},
		"text that looks like JSON":   {config.Format{Value: "text", Key: "text"}, `{"a":1}`, `{"a": 1}`, `message "{\"a\":1}" "{\"a\": 1}"`, ""},
		"bytes that look like text":   {config.Format{Value: "bytes", Key: "bytes"}, "k", "v", `message "aw==" "dg=="`, ""},
		"a key of JSON":               {config.Format{Key: "json"}, "1042", "v", `message 1042 "v"`, ""},
		"a null key of JSON":          {config.Format{Key: "json"}, "null", "v", `message  "v"`, ""},
		"not JSON":                    {config.Format{Value: "json"}, "k", "{", "", "value: JSON ends at byte 1"},
		"a key that isn't JSON":       {config.Format{Key: "json"}, "k", "v", "", "key: not JSON at byte 0"},
		"an ambiguous key":            {config.Format{Key: "json"}, `{"a":1,"a":2}`, "v", "", "key: a name stands twice"},
		"not text":                    {config.Format{Value: "text"}, "k", "\xff", "", "value: not text, as the configuration says"},
		"a key that isn't text":       {config.Format{Key: "text"}, "\xff", "v", "", "key: not text, as the configuration says"},
		"JSON that isn't UTF-8":       {config.Format{Value: "json"}, "k", "\"\xff\"", "", "value: not json"},
		"no envelope":                 {config.Format{Envelope: "none"}, "k", envelope, `message "k" ` + envelope, ""},
		"that envelope":               {config.Format{Envelope: "debezium"}, "k", envelope, `insert "k" {"id":1}`, ""},
		"another envelope":            {config.Format{Envelope: "maxwell"}, "k", envelope, `message "k" ` + envelope, ""},
		"Maxwell":                     {config.Format{Envelope: "maxwell"}, "k", maxwell, `insert "k" {"id":1}`, ""},
		"Maxwell isn't Canal":         {config.Format{Envelope: "canal"}, "k", maxwell, `message "k" ` + maxwell, ""},
		"Canal":                       {config.Format{Envelope: "canal"}, "k", canal, `insert {"id":"1"} {"id":"1"}`, ""},
		"Canal isn't Maxwell":         {config.Format{Envelope: "maxwell"}, "k", canal, `message "k" ` + canal, ""},
		"a CloudEvent":                {config.Format{Envelope: "cloudevents"}, "k", cloud, `message "k" {"id":1}`, ""},
		"a CloudEvent as it is":       {config.Format{Envelope: "none"}, "k", cloud, `message "k" ` + cloud, ""},
		"the registry's":              {config.Format{Value: "registry"}, "k", avro, `message "k" "x"`, ""},
		"never the registry's":        {config.Format{Value: "plain"}, "k", avro, `message "k" "\u0000\u0000\u0000\u0000\u0007\u0002x"`, ""},
		"not the registry's":          {config.Format{Value: "registry"}, "k", "v", "", "value: not in the schema registry's format"},
		"bytes before the registry's": {config.Format{Value: "bytes"}, "k", avro, `message "k" "AAAAAAcCeA=="`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			test.as.Stream = "shop-kafka/*"
			n := New(Options{Schemas: shelf{7: {Type: Avro, Text: `"string"`}}, Formats: []config.Format{
				{Stream: "shop-kafka/other", Value: "bytes"}, test.as, {Stream: "shop-kafka/t", Value: "bytes", Key: "bytes", Envelope: "none"},
			}})
			events, err := n.Events(t.Context(), kafkaRaw([]byte(test.key), []byte(test.value)))
			if wrong, ok := errors.AsType[*Error](err); ok != (test.wrong != "") || ok && (wrong.Class != Malformed || !strings.HasPrefix(wrong.Reason, test.wrong)) {
				t.Fatalf("%v", err)
			}
			if test.wrong != "" {
				return
			}
			c := events[0].Change
			if got := string(c.Op) + " " + string(c.Key) + " " + string(c.After); got != test.want {
				t.Errorf("%s, not %s", got, test.want)
			}
		})
	}
}
