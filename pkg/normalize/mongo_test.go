package normalize

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/bson"

	"datawatch/pkg/event"
)

// bsonCase is a file of testdata/mongo: what one BSON type's values become.
type bsonCase struct {
	Becomes string      `json:"becomes"`
	Type    string      `json:"type"`
	Values  []bsonValue `json:"values"`
}

type bsonValue struct {
	BSON  json.RawMessage `json:"bson"`  // canonical Extended JSON
	Clean json.RawMessage `json:"clean"` // as it stands in clean
}

func eachBSON(t *testing.T, run func(t *testing.T, file string, c *bsonCase)) {
	t.Helper()
	eachGolden(t, "mongo", func() any { return new(bsonCase) }, func(t *testing.T, file string, c any) {
		run(t, file, c.(*bsonCase))
	})
}

// extended is the document that Extended JSON says.
func extended(t *testing.T, text []byte) bson.Raw {
	t.Helper()
	var d bson.D
	if err := bson.UnmarshalExtJSON(text, true, &d); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	raw, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestEveryBSONTypeHasItsForm(t *testing.T) {
	eachBSON(t, func(t *testing.T, file string, c *bsonCase) {
		for i := range c.Values {
			v := &c.Values[i]
			doc := extended(t, []byte(`{"v":`+string(v.BSON)+`}`))
			text, err := cleanDocument(doc)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.TrimSuffix(strings.TrimPrefix(string(text), `{"v":`), "}")
			if *update {
				v.Clean = json.RawMessage(got)
				continue
			}
			if want := compacted(t, v.Clean); got != want {
				t.Errorf("%s: %s, not %s", v.BSON, got, want)
			}
		}
		if *update {
			writeGolden(t, file, c)
		}
	})
}

func TestMongoTypesTableIsThatOfTheGoldenFiles(t *testing.T) {
	var table strings.Builder
	table.WriteString("\n| type | becomes | example, as Extended JSON | in clean |\n| --- | --- | --- | --- |\n")
	eachBSON(t, func(t *testing.T, _ string, c *bsonCase) {
		example := c.Values[0]
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", c.Type, c.Becomes, code(compacted(t, example.BSON)), code(compacted(t, example.Clean)))
	})
	table.WriteString("\n")
	text, err := os.ReadFile("TYPES.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "-run MongoTypesTable -update` -->\n", "<!-- /mongo types -->"
	head, rest, _ := strings.Cut(string(text), begin)
	_, tail, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatal("TYPES.md has lost its marks")
	}
	want := head + begin + table.String() + end + tail
	if *update {
		if err := os.WriteFile("TYPES.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Error("TYPES.md isn't what the golden files say: write it anew with -update")
	}
}

// documentCase is a file of testdata/mongo-events: a change of a document, and the clean event or the error it becomes.
type documentCase struct {
	About    string          `json:"about"`
	Document json.RawMessage `json:"document"` // the frame, as canonical Extended JSON
	Clean    json.RawMessage `json:"clean,omitempty"`
	Class    Class           `json:"class,omitempty"`
	Error    string          `json:"error,omitempty"`
}

func documentRaw(value []byte) *event.Raw {
	at := time.Date(2026, 11, 22, 23, 59, 1, 123e6, time.UTC)
	return &event.Raw{
		Type: event.RawType, Kind: event.MongoDB, Stream: "shop-mongo/shop.carts", Time: at, CapturedAt: at.Add(time.Second), Value: value,
		ID: event.ID("shop-mongo", event.ClusterTimePosition("20261122T101500Z", 1795391941, 3, 0)),
	}
}

func TestEveryDocumentChangeBecomesItsEvent(t *testing.T) {
	n := New(Options{})
	eachGolden(t, "mongo-events", func() any { return new(documentCase) }, func(t *testing.T, file string, target any) {
		c := target.(*documentCase)
		got := documentCase{About: c.About, Document: c.Document}
		events, err := n.Events(t.Context(), documentRaw(extended(t, c.Document)))
		if wrong, ok := errors.AsType[*Error](err); ok {
			got.Class, got.Error = wrong.Class, wrong.Reason
		} else {
			readable(t, events[0])
			got.Clean = events[0].AppendJSON(nil)
		}
		if *update {
			writeGolden(t, file, got)
			return
		}
		if got.Class != c.Class || got.Error != c.Error || compacted(t, got.Clean) != compacted(t, c.Clean) {
			t.Errorf("%s%s %s\nnot\n%s%s %s", got.Clean, got.Class, got.Error, compacted(t, c.Clean), c.Class, c.Error)
		}
	})
}

// What ParseDocumentChange reads, AppendBSON writes.
func TestDocumentChangeIsReadAsItWasWritten(t *testing.T) {
	eachGolden(t, "mongo-events", func() any { return new(documentCase) }, func(t *testing.T, _ string, c any) {
		value := extended(t, c.(*documentCase).Document)
		d, err := event.ParseDocumentChange(value)
		if err != nil {
			return
		}
		if got := bson.Raw(d.AppendBSON(nil)); got.String() != value.String() {
			t.Errorf("%s\nnot\n%s", got, value)
		}
	})
}

func TestFieldsOfDocumentsAreMasked(t *testing.T) {
	m := masker(t, mask("drop", "password", "cards.cvc"), mask("last4", "cards.number"), mask("hash", "phone"))
	r := documentRaw(extended(t, []byte(`{"version":1,"op":"update","database":"shop","collection":"carts","key":{"_id":"a"},
		"before":{"_id":"a","password":"old"},
		"after":{"_id":"a","password":"new","phone":"0901234567","cards":[{"number":"4111111111111234","cvc":"123","n":1},{"number":null}],"x":1},
		"updateDescription":{"updatedFields":{"password":"new","cards.0.cvc":"123","x":1},"removedFields":[]},
		"clusterTime":{"$timestamp":{"t":1,"i":1}}}`)))
	if err := m.Apply(r); err != nil {
		t.Fatal(err)
	}
	events, err := New(Options{}).Events(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	c := events[0].Change
	if got, want := string(c.Before), `{"_id":"a"}`; got != want {
		t.Errorf("before %s", got)
	}
	if got, want := string(c.After), `{"_id":"a","phone":"`+sha+`","cards":[{"number":"****1234","n":1},{"number":null}],"x":1}`; got != want {
		t.Errorf("after %s, not %s", got, want)
	}
	for _, secret := range []string{"new", "123\x00", "41111111"} {
		if strings.Contains(string(r.Value), secret) {
			t.Errorf("%q is still in raw", secret)
		}
	}
}

// Without its key, a document couldn't be told from others.
func TestKeyOfADocumentIsHashedNotDropped(t *testing.T) {
	r := documentRaw(extended(t, []byte(`{"version":1,"op":"delete","database":"shop","collection":"carts","key":{"_id":"0901234567"},"clusterTime":{"$timestamp":{"t":1,"i":1}}}`)))
	if err := masker(t, mask("drop", "_id")).Apply(r); err != nil {
		t.Fatal(err)
	}
	if want := `{"_id":"` + sha + `"}`; string(r.Key) != want || string(r.RecordKey) != "shop-mongo/shop.carts\n"+want {
		t.Errorf("key %s, record key %s", r.Key, r.RecordKey)
	}
}

// FuzzDocument: no bytes break it, and what it makes is read by those who read clean.
func FuzzDocument(f *testing.F) {
	frame := event.DocumentChange{Version: 1, Op: event.Update, Database: "shop", Collection: "carts"}
	for _, doc := range []bson.D{
		{{Key: "_id", Value: 1}}, {{Key: "_id", Value: "x"}, {Key: "a", Value: bson.A{1, bson.D{{Key: "b", Value: nil}}}}},
	} {
		raw, _ := bson.Marshal(doc)
		frame.Key, frame.After, frame.Before = raw, raw, raw
		f.Add(frame.AppendBSON(nil))
	}
	n, m := New(Options{}), &Masker{streams: map[event.Stream][]maskRule{"shop-mongo/shop.carts": {{"a.b", maskHash}}}}
	f.Fuzz(func(t *testing.T, value []byte) {
		if events, err := n.Events(t.Context(), documentRaw(value)); err == nil {
			readable(t, events[0])
		}
		_ = m.Apply(documentRaw(value))
	})
}

func TestDocumentsOfNoMeasureAreErrors(t *testing.T) {
	deep, _ := bson.Marshal(bson.D{})
	for range maxDocumentDepth + 1 {
		deep, _ = bson.Marshal(bson.D{{Key: "_id", Value: bson.Raw(deep)}})
	}
	if _, err := cleanDocument(deep); err == nil || err.Class != Limit {
		t.Errorf("nested too deep: %v", err)
	}
	odd, _ := bson.Marshal(bson.D{{Key: "_id", Value: "\xff"}})
	if _, err := DocumentKey(odd); err == nil {
		t.Error("an _id that isn't UTF-8 has a key")
	}
}
