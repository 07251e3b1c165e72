package normalize

import (
	"bytes"
	"encoding/json"
	"testing"

	"go.mongodb.org/mongo-driver/bson"

	"datawatch/pkg/event"
)

func cleanExtended(t *testing.T, text string) string {
	t.Helper()
	r := &reader{b: []byte(text)}
	clean, err := appendExtended(nil, r)
	if err == nil {
		err = r.end()
	}
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return string(clean)
}

// sameText compares JSON, whatever is escaped in its strings.
func sameText(a, b string) bool {
	ca, err := event.Canonical([]byte(a))
	if err != nil {
		return false
	}
	cb, err := event.Canonical([]byte(b))
	return err == nil && bytes.Equal(ca, cb)
}

// A document comes out alike, whether MongoDB gave it in BSON or somebody wrote it as Extended JSON: for every type.
func TestExtendedJSONBecomesWhatItsBSONBecomes(t *testing.T) {
	eachBSON(t, func(t *testing.T, _ string, c *bsonCase) {
		for _, v := range c.Values {
			if got, want := cleanExtended(t, string(v.BSON)), compacted(t, v.Clean); !sameText(got, want) {
				t.Errorf("%s: %s, not %s", v.BSON, got, want)
			}
		}
	})
}

func TestEveryFormOfExtendedJSONIsRead(t *testing.T) {
	for text, want := range map[string]string{
		// relaxed
		`{"$date": "2026-11-22T23:59:01.123Z"}`: `"2026-11-22T23:59:01.123Z"`, `{"$date":"2026-11-23T06:59:01+07:00"}`: `"2026-11-22T23:59:01Z"`,
		`{"$uuid":"14d9bc74-e203-48f6-8296-583c0056fab9"}`: `"FNm8dOIDSPaCllg8AFb6uQ=="`, `[1 , 2.50, -0]`: `[1,2.50,-0]`,
		`12345678901234567890.123456789012345678`: `12345678901234567890.123456789012345678`,
		// the first version's strict mode
		`{"$date":1795391941123}`: `"2026-11-22T23:59:01.123Z"`, `{"$binary":"AP8=","$type":"00"}`: `"AP8="`, `{"$regex":"^a","$options":"i"}`: `"/^a/i"`,
		`{"$code":"x","$scope":{"n":{"$numberLong":"5"}}}`: `{"code":"x","scope":{"n":5}}`, `{"$ref":"c","$id":{"$oid":"65F0c0ffee0123456789abcd"}}`: `{"$ref":"c","$id":"65f0c0ffee0123456789abcd"}`,
		// what only looks like one
		`{"$oid":"short"}`: `{"$oid":"short"}`, `{"$numberLong":"1.5"}`: `{"$numberLong":"1.5"}`, `{"$numberDecimal":"x"}`: `{"$numberDecimal":"x"}`, `{"$date":"today"}`: `{"$date":"today"}`,
		`{"$binary":"?","$type":"00"}`: `{"$binary":"?","$type":"00"}`, `{"$oid":"65f0c0ffee0123456789abcd","a":1}`: `{"$oid":"65f0c0ffee0123456789abcd","a":1}`,
		`{"$minKey":2}`: `{"$minKey":2}`, `{"$set":{"a":{"$numberInt":"1"}}}`: `{"$set":{"a":1}}`, `{"$timestamp":{"t":1}}`: `{"$timestamp":{"t":1}}`,
		`{"$code":1,"$scope":{}}`: `{"$code":1,"$scope":{}}`, `{"$symbol":"\ud800"}`: `{"$symbol":"\ud800"}`, `{"$numberDouble":"0x10"}`: `{"$numberDouble":"0x10"}`,
	} {
		if got := cleanExtended(t, text); got != want {
			t.Errorf("%s: %s, not %s", text, got, want)
		}
	}
}

func TestFieldsOfDocumentsInATextAreMasked(t *testing.T) {
	m := masker(t, mask("drop", "password"), mask("last4", "cards.number"))
	r := kafkaRaw([]byte(`{"id":"7"}`), []byte(`{"before":"{\"_id\": 7,\"password\": \"old\"}","after":"{\"_id\": 7,\"password\": \"new\",\"cards\": [{\"number\": \"4111111111111234\"}]}",`+
		`"updateDescription":{"updatedFields":"{\"cards.0.number\": \"4111111111111234\",\"password\": \"new\",\"x\": 1}","removedFields":null},"source":{"connector":"mongodb"},"op":"u"}`))
	if err := m.Apply(r); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"old", "new", "41111111"} {
		if bytes.Contains(r.Value, []byte(secret)) {
			t.Errorf("%q is in raw: %s", secret, r.Value)
		}
	}
	events, err := New(Options{}).Events(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	c := events[0].Change
	if string(c.After) != `{"_id":7,"cards":[{"number":"****1234"}]}` || string(c.Before) != `{"_id":7}` || len(c.Changed) != 3 {
		t.Errorf("%s %s %v", c.Before, c.After, c.Changed)
	}
}

// FuzzExtendedJSON holds what is read against the driver: a document that it reads comes out as its BSON does.
func FuzzExtendedJSON(f *testing.F) {
	for _, s := range nasty {
		f.Add([]byte(s))
	}
	for _, s := range []string{
		`{"v":{"$numberLong":"1"}}`, `{"v":{"$date":{"$numberLong":"-1"}}}`, `{"v":{"$code":"x","$scope":{"a":{"$code":"y","$scope":{}}}}}`, `{"$oid":{"$oid":{"$oid":1}}}`,
		`{"v":{"$dbPointer":{"$ref":"c","$id":{"$oid":"65f0c0ffee0123456789abcd"}}}}`, `{"v":[{"$binary":{"base64":"AP8=","subType":"00"}},{"$regularExpression":{"pattern":"a","options":"im"}}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		quoted := event.AppendString(nil, string(text))
		clean, err := extendedDocument(quoted)
		if err != nil {
			return
		}
		if !json.Valid(clean) {
			t.Fatalf("%s became %s", text, clean)
		}
		var d bson.Raw
		if bson.UnmarshalExtJSON(text, true, &d) != nil {
			return
		}
		again, failed := bson.MarshalExtJSON(d, true, false)
		if failed != nil {
			return
		}
		want, err := cleanDocument(d)
		if err != nil {
			return
		}
		got, err := extendedDocument(event.AppendString(nil, string(again)))
		if err != nil || !sameText(string(got), string(want)) {
			t.Fatalf("%s: %s, %v; of its BSON %s", again, got, err, want)
		}
	})
}
