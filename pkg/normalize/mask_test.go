package normalize

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"datawatch/pkg/config"
	"datawatch/pkg/event"
)

func masker(t *testing.T, entries ...config.Mask) *Masker {
	t.Helper()
	m, err := NewMasker(entries)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mask(how string, fields ...string) config.Mask {
	return config.Mask{Stream: "*/*", Fields: fields, How: how}
}

// sha is "sha256:" and what `printf %s 0901234567 | sha256sum | cut -c1-32` prints.
const sha = "sha256:d99c7a104575ba7f7ec183dc043b8d1c"

func TestFieldsOfMessagesAreMasked(t *testing.T) {
	for name, test := range map[string]struct {
		masks       []config.Mask
		value, want string
	}{
		"drop":                       {[]config.Mask{mask("drop", "a", "c")}, `{"a":1,"b":2,"c":[3]}`, `{"b":2}`},
		"hash of a text":             {[]config.Mask{mask("hash", "phone")}, `{"phone":"0901234567"}`, `{"phone":"` + sha + `"}`},
		"hash of a number":           {[]config.Mask{mask("hash", "phone")}, `{"phone":901234567}`, `{"phone":"sha256:5eec03118fec8332eb26c9bc29538bce"}`},
		"last4":                      {[]config.Mask{mask("last4", "card")}, `{"card":"4111111111111234"}`, `{"card":"****1234"}`},
		"last4 of a number":          {[]config.Mask{mask("last4", "card")}, `{"card":4111111111111234}`, `{"card":"****1234"}`},
		"last4 counts characters":    {[]config.Mask{mask("last4", "n")}, `{"n":"Nguyễn Thị Ngọc Ấn"}`, `{"n":"****c Ấn"}`},
		"last4 of what is short":     {[]config.Mask{mask("last4", "pin")}, `{"pin":"1234567"}`, `{"pin":"****"}`},
		"last4 of an object":         {[]config.Mask{mask("last4", "o")}, `{"o":{"secret":"12345678"}}`, `{"o":"****"}`},
		"null stays":                 {[]config.Mask{mask("hash", "a"), mask("last4", "b")}, `{"a":null,"b":null}`, `{"a":null,"b":null}`},
		"a path":                     {[]config.Mask{mask("drop", "user.email")}, `{"user":{"email":"x","id":1},"email":"stays"}`, `{"user":{"id":1},"email":"stays"}`},
		"a path through arrays":      {[]config.Mask{mask("drop", "items.card")}, `{"items":[{"card":1,"n":2},[{"card":3}],4]}`, `{"items":[{"n":2},[{}],4]}`},
		"a name with dots":           {[]config.Mask{mask("drop", "user.email")}, `{"user.email":"x","b":1}`, `{"b":1}`},
		"a name written with escape": {[]config.Mask{mask("drop", "email")}, `{"em\u0061il":"x"}`, `{}`},
		"a name that stands twice":   {[]config.Mask{mask("drop", "a")}, `{"a":1,"b":0,"a":2}`, `{"b":0}`},
		"the first entry counts":     {[]config.Mask{mask("last4", "a"), mask("drop", "a")}, `{"a":"12345678"}`, `{"a":"****5678"}`},
		"inside a change envelope":   {[]config.Mask{mask("drop", "pw")}, `{"before":{"pw":1},"after":{"pw":2,"id":3},"op":"u"}`, `{"before":{},"after":{"id":3},"op":"u"}`},
		"inside payload":             {[]config.Mask{mask("drop", "pw")}, `{"schema":{},"payload":{"after":{"pw":2}}}`, `{"schema":{},"payload":{"after":{}}}`},
		"inside Canal's data":        {[]config.Mask{mask("drop", "pw")}, `{"data":[{"pw":2}],"old":[{"pw":1}]}`, `{"data":[{}],"old":[{}]}`},
		"nothing to hide":            {[]config.Mask{mask("drop", "a")}, `{ "b" : 1 }`, `{ "b" : 1 }`},
		"not JSON":                   {[]config.Mask{mask("drop", "a")}, `{"a":1,}`, `{"a":1,}`},
		"another stream":             {[]config.Mask{{Stream: "shop-kafka/other", Fields: []string{"a"}, How: "drop"}}, `{"a":1}`, `{"a":1}`},
		"digits stay":                {[]config.Mask{mask("drop", "a")}, `{"a":1,"b":0.10,"c":[ 12345678901234567890.50 ]}`, `{"b":0.10,"c":[12345678901234567890.50]}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := kafkaRaw(nil, []byte(test.value))
			if err := masker(t, test.masks...).Apply(r); err != nil {
				t.Fatal(err)
			}
			if string(r.Value) != test.want {
				t.Errorf("%s, not %s", r.Value, test.want)
			}
		})
	}
}

func TestMaskedEnvelopeIsStillThatChange(t *testing.T) {
	r := kafkaRaw(nil, []byte(`{"schema":{"type":"struct","fields":[{"field":"after","type":"struct","fields":[`+
		`{"field":"pin","type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"0"}},`+
		`{"field":"born","type":"int32","name":"io.debezium.time.Date"},{"field":"paid","type":"int32","name":"io.debezium.time.Date"}]}]},`+
		`"payload":{"before":null,"after":{"pin":"AQ==","born":7000,"paid":20779},"source":{"connector":"mysql"},"op":"c"}}`))
	if err := masker(t, mask("hash", "pin"), mask("last4", "born")).Apply(r); err != nil {
		t.Fatal(err)
	}
	events, err := New(Options{}).Events(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"pin":"sha256:5d4dc0ce1ab5d104c7c4955c96c58ec5","born":"****","paid":"2026-11-22"}`
	if got := string(events[0].Change.After); got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

func TestKeyOfAMessageIsHashedNeverDropped(t *testing.T) {
	r := kafkaRaw([]byte(`{"phone":"0901234567","id":1}`), []byte(`{"phone":"0901234567"}`))
	if err := masker(t, mask("drop", "phone")).Apply(r); err != nil {
		t.Fatal(err)
	}
	if want := `{"phone":"` + sha + `","id":1}`; string(r.Key) != want || string(r.RecordKey) != "shop-kafka/t\n"+want {
		t.Errorf("key %s, record key %q", r.Key, r.RecordKey)
	}
	if string(r.Value) != `{}` {
		t.Errorf("value %s", r.Value)
	}
}

func maskedRow(t *testing.T, change event.RowChange, masks ...config.Mask) *event.Raw {
	t.Helper()
	change.Version, change.Database, change.Schema, change.Table = 1, "shop", "public", "users"
	image := change.After
	if change.Op == event.Delete {
		image = change.Before
	}
	key, err := RowKey(change.Columns, change.KeyColumns, image)
	if err != nil {
		t.Fatal(err)
	}
	var value bytes.Buffer
	e := json.NewEncoder(&value)
	e.SetEscapeHTML(false)
	if err := e.Encode(change); err != nil {
		t.Fatal(err)
	}
	r := kafkaRaw(key, value.Bytes())
	r.Kind, r.Stream, r.ID = event.Postgres, "shop-db/public.users", "shop-db/20261122T101500Z.000000000412.000000001"
	r.RecordKey = event.RecordKey(r.Stream, key)
	if err := masker(t, masks...).Apply(r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestMaskedRowIsCleanAndHoldsNoSecret(t *testing.T) {
	item := []event.Column{{Name: "secret", Type: "bigint", Base: "int8"}, {Name: "n", Type: "bigint", Base: "int8"}}
	r := maskedRow(t, event.RowChange{
		Op: event.Update, KeyColumns: []string{"id"},
		Columns: []event.Column{
			{Name: "id", Type: "bigint", Base: "int8"}, {Name: "pin", Type: "integer", Base: "int4"}, {Name: "pw", Type: "bytea", Base: "bytea"},
			{Name: "doc", Type: "jsonb", Base: "jsonb"}, {Name: "item", Type: "item", Base: "composite", Fields: item},
			{Name: "items", Type: "item[]", Base: "_item", Element: &event.Column{Type: "item", Base: "composite", Fields: item}},
			{Name: "tags", Type: "text[]", Base: "_text", Element: &event.Column{Type: "text", Base: "text"}},
		},
		Before: json.RawMessage(`{"id":7,"pin":5550001,"pw":"\\xdead","doc":{"secret":5550003,"a":"<&>"},"item":{"secret":5550004,"n":1},"items":[{"secret":5550005,"n":1}],"tags":["5550006"]}`),
		After:  json.RawMessage(`{"id":7,"pin":5550007,"pw":"\\xbeef","doc":{"secret":5550008,"a":"<&>"},"item":{"secret":5550009,"n":1},"items":[{"secret":5550010,"n":1}],"tags":["5550011"]}`),
	}, mask("hash", "pin", "item.secret"), mask("drop", "pw", "doc.secret"), mask("last4", "tags"), mask("drop", "items.secret"))
	if strings.Contains(string(r.Value), "555") || strings.Contains(string(r.Value), "dead") || strings.Contains(string(r.Value), `"pw"`) {
		t.Errorf("raw holds a secret: %s", r.Value)
	}
	if !strings.Contains(string(r.Value), "<&>") {
		t.Errorf("what isn't masked was written otherwise: %s", r.Value)
	}
	events, err := New(Options{}).Events(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	c := events[0].Change
	if got := strings.Join(c.Changed, ","); got != "pin,item" {
		t.Errorf("changed: %s", got)
	}
	if !strings.Contains(string(c.After), `"doc":{"a":"<&>"}`) || !strings.Contains(string(c.After), `"items":[{"n":1}],"tags":"****"`) {
		t.Errorf("after: %s", c.After)
	}
}

func TestKeyOfARowIsHashedNeverDropped(t *testing.T) {
	columns := []event.Column{{Name: "phone", Type: "text", Base: "text"}, {Name: "n", Type: "bigint", Base: "int8"}}
	for name, change := range map[string]event.RowChange{
		"insert": {Op: event.Insert, After: json.RawMessage(`{"phone":"0901234567","n":1}`)},
		"delete": {Op: event.Delete, Before: json.RawMessage(`{"phone":"0901234567","n":1}`)},
		"moved":  {Op: event.Delete, Before: json.RawMessage(`{"phone":"0901234567","n":1}`), After: json.RawMessage(`{"phone":"5550001","n":1}`), MovedTo: true},
	} {
		t.Run(name, func(t *testing.T) {
			change.Columns, change.KeyColumns = columns, []string{"phone"}
			r := maskedRow(t, change, mask("drop", "phone"))
			if want := `{"phone":"` + sha + `"}`; string(r.Key) != want || string(r.RecordKey) != "shop-db/public.users\n"+want {
				t.Errorf("key %s, record key %q", r.Key, r.RecordKey)
			}
			events, err := New(Options{}).Events(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if text := string(events[0].AppendJSON(nil)); strings.Contains(text, "0901234567") || strings.Contains(text, "5550001") {
				t.Errorf("clean holds the phone number: %s", text)
			}
		})
	}
}

func TestTruncateAndGapPassMasks(t *testing.T) {
	m := masker(t, mask("drop", "a"))
	truncate := maskedRow(t, event.RowChange{Op: event.Truncate}, mask("drop", "a"))
	if events, err := New(Options{}).Events(t.Context(), truncate); err != nil || events[0].Change.Op != event.Truncate {
		t.Errorf("truncate: %v", err)
	}
	gap := &event.Raw{Type: event.GapType, Kind: event.MongoDB, Stream: "shop-mongo/shop.carts", Value: []byte(`{"a":1}`)}
	if err := m.Apply(gap); err != nil || string(gap.Value) != `{"a":1}` {
		t.Errorf("gap: %s, %v", gap.Value, err)
	}
}

func TestRecordOfWhichOnlyTheBeginningIsThereIsRefusedWhereItIsMasked(t *testing.T) {
	m, err := NewMasker([]config.Mask{{Stream: "shop-kafka/payments.captured", Fields: []string{"secret"}, How: "drop"}})
	if err != nil {
		t.Fatal(err)
	}
	r := kafkaRaw([]byte("k"), []byte(`{"secret":"x`))
	r.Stream, r.Size = "shop-kafka/payments.captured", 1<<30
	if err := m.Apply(r); err == nil {
		t.Errorf("it came out as %s", r.Value)
	}
}

func TestWhatCantBeMaskedIsRefused(t *testing.T) {
	m := masker(t, mask("drop", "a"))
	deep := kafkaRaw(nil, []byte(strings.Repeat(`{"a":`, maxDepth+1)))
	document := &event.Raw{Type: event.RawType, Kind: event.MongoDB, Stream: "shop-mongo/shop.carts", Value: []byte(`{"a":1}`)}
	for name, r := range map[string]*event.Raw{"too deep": deep, "an unknown kind": document} {
		if err := m.Apply(r); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestWrongMasksAreErrors(t *testing.T) {
	for name, e := range map[string]config.Mask{
		"glob": {Stream: "shop-db/[", Fields: []string{"a"}, How: "drop"},
		"how":  {Stream: "shop-db/*", Fields: []string{"a"}, How: "blur"},
	} {
		if _, err := NewMasker([]config.Mask{e}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
