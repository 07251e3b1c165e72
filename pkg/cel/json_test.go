package cel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

// FuzzJSONIsWhatTheStandardLibraryReads: the same texts are JSON, and mean the
// same, whichever of the two decodes them.
func FuzzJSONIsWhatTheStandardLibraryReads(f *testing.F) {
	for _, s := range []string{document, `[]`, `{}`, ` "a\u00e9\n" `, `{"a":1,"a":2}`, "\"\xff\"", `[1,]`, `{"a"}`, `01`, `nul`, `"\ud800"`, `1 2`, `{"a":[{"b":{}}],"c":null}`, "\"\x01\"", `[1e5,-0.0]`, `{"\u0061":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := ParseJSON(raw)
		if errors.Is(err, ErrLimit) {
			return
		}
		if (err == nil) != json.Valid(raw) {
			t.Fatalf("%q: %v, but the standard library says valid: %v", raw, err, json.Valid(raw))
		}
		if err != nil {
			if !errors.Is(err, ErrJSON) {
				t.Fatalf("%q: %v is no ErrJSON", raw, err)
			}
			return
		}
		if got, want := decoded(t, []byte(v.JSON())), decoded(t, []byte(FromAny(decoded(t, raw)).JSON())); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %v, want %v", raw, got, want)
		}
	})
}

func decoded(t testing.TB, raw []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("%q: something after the value", raw)
	}
	return v
}

func TestJSONBeyondTheDepthIsALimit(t *testing.T) {
	if _, err := ParseJSON([]byte(strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth))); err != nil {
		t.Error(err)
	}
	for _, open := range []string{"[", `{"a":`} {
		if _, err := ParseJSON([]byte(strings.Repeat(open, 1_000_000))); !errors.Is(err, ErrLimit) {
			t.Errorf("got %v, want ErrLimit", err)
		}
	}
}

func TestValuesAreFoundByPointer(t *testing.T) {
	for name, v := range map[string]Value{"raw": parsed(t, `{"a/b": [{"~x": 1.50}], "": 2}`), "decoded": FromAny(decoded(t, []byte(`{"a/b": [{"~x": 1.50}], "": 2}`)))} {
		for pointer, want := range map[string]string{"/a~1b/0/~0x": "1.50", "/": "2", "/a~1b/1": "", "/a~1b/x": "", "/c": "", "a": "", "//": ""} {
			got, ok := v.At(pointer)
			if ok != (want != "") || ok && got.Text() != want {
				t.Errorf("%s %s: got %v %s", name, pointer, ok, got)
			}
		}
	}
}

func TestAManyTimesRepeatedNameCountsLast(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"x": 1`)
	for range 200 {
		b.WriteString(`, "a": 1, "b": 2`)
	}
	b.WriteString(`, "a": 3, "x": 9}`)
	v := parsed(t, b.String())
	if v.Len() != 3 || v.JSON() != `{"x":9,"a":3,"b":2}` {
		t.Errorf("got %s", v.JSON())
	}
}

func TestRulesJudgeDecodedValuesAsTheyDoRawOnes(t *testing.T) {
	p := compiled(t, `self.total == sum(self.items.map(i, i.price * i.quantity)) && !has(self.bad)`, Options{})
	raw := []byte(`{"total": 149.97, "items": [{"price": 49.99, "quantity": 3}]}`)
	for _, v := range []Value{parsed(t, string(raw)), FromAny(decoded(t, raw))} {
		if ok, err := p.Eval(context.Background(), Bindings{"self": v}); !ok || err != nil {
			t.Errorf("got %v, %v", ok, err)
		}
	}
	hostile := FromAny(map[string]any{"a": json.Number("1e1000001"), "b": 1})
	_, err := compiled(t, `self.a > 1`, Options{}).Eval(context.Background(), Bindings{"self": hostile})
	if !errors.Is(err, ErrLimit) {
		t.Errorf("a hostile number that is read: got %v, want ErrLimit", err)
	}
	if ok, err := compiled(t, `self.b == 1`, Options{}).Eval(context.Background(), Bindings{"self": hostile}); !ok || err != nil {
		t.Errorf("a hostile number that isn't read: got %v, %v", ok, err)
	}
}
