package infer

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
)

func learned(t *testing.T, rows ...string) *Inference {
	t.Helper()
	f := New("shop-db/public.orders", Options{})
	for _, row := range rows {
		if err := f.Add(&event.Change{Op: event.Insert, After: json.RawMessage(row)}, time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// TestUpdatesReadAsIfWrittenByHand holds what becomes of files that people edited: testdata/update/<name>.json and .jsonl
// give .golden, which has the difference and what is left to people.
func TestUpdatesReadAsIfWrittenByHand(t *testing.T) {
	files, err := filepath.Glob("testdata/update/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			stem := strings.TrimSuffix(name, ".json")
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := os.ReadFile(stem + ".jsonl")
			if err != nil {
				t.Fatal(err)
			}
			f := learned(t, strings.Split(strings.TrimSpace(string(rows)), "\n")...)
			u, err := f.Update("orders.json", text)
			if err != nil {
				t.Fatal(err)
			}
			if !json.Valid(u.Text) {
				t.Fatalf("not JSON:\n%s", u.Text)
			}
			Stays(t, text, u.Text)
			got := u.Diff + strings.Join(append([]string{"-- unlike"}, u.Unlike...), "\n") + "\n"
			if flag.Lookup("update").Value.String() == "true" {
				if err := os.WriteFile(stem+".golden", []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(stem + ".golden")
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("\n%s\nwant:\n%s", got, want)
			}
			again, err := f.Update("orders.json", u.Text)
			if err != nil || !bytes.Equal(again.Text, u.Text) || again.Diff != "" || len(again.Added) > 0 {
				t.Errorf("a second update changes something: %v\n%s", err, again.Diff)
			}
		})
	}
}

var nullOnly = regexp.MustCompile(`\{"\$comment": "only null was seen[^"]*"\}`)

// Stays fails where something that stood in a file stands elsewhere or differently.
func Stays(t *testing.T, before, after []byte) {
	t.Helper()
	was, err := parseText(before)
	if err != nil {
		t.Fatal(err)
	}
	is, err := parseText(after)
	if err != nil {
		t.Fatalf("%v\n%s", err, after)
	}
	if !within(before, was, after, is) {
		t.Errorf("what was written is touched:\n%s\nbecame\n%s", before, after)
	}
	rest := after // the space between, too: only what is new stands in it
	for _, c := range nullOnly.ReplaceAll(before, nil) {
		i := bytes.IndexByte(rest, c)
		if i < 0 {
			t.Fatalf("%q of it is gone:\n%s\nbecame\n%s", c, before, after)
		}
		rest = rest[i+1:]
	}
}

func within(before []byte, was *written, after []byte, is *written) bool {
	if (&merger{}).placeholder(was) {
		return true
	}
	if was.kind != is.kind || was.kind != objectKind && was.kind != arrayKind {
		return bytes.Equal(before[was.begin:was.end], after[is.begin:is.end])
	}
	at := 0
	for _, m := range was.members {
		i := slices.IndexFunc(is.members[at:], func(o writtenMember) bool { return o.name == m.name })
		if i < 0 || !within(before, m.value, after, is.members[at+i].value) {
			return false
		}
		at += i + 1
	}
	if len(is.items) < len(was.items) {
		return false
	}
	for i := range was.items {
		if !within(before, was.items[i], after, is.items[i]) {
			return false
		}
	}
	return true
}

// TestNothingNewLeavesAFileAsItIs is so for whatever was inferred, and however it is written.
func TestNothingNewLeavesAFileAsItIs(t *testing.T) {
	f := learned(t, `{"id":1,"items":[{"sku":"a"}],"rates":{"USD":1,"VND":2},"note":null}`, `{"id":2,"items":[],"rates":{"EUR":3,"USD":1}}`)
	schema := f.Schema()
	var loose bytes.Buffer
	if err := json.Compact(&loose, schema); err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{schema, loose.Bytes(), bytes.ReplaceAll(schema, []byte("  "), []byte("\t"))} {
		u, err := f.Update("orders.json", text)
		if err != nil || !bytes.Equal(u.Text, text) || u.Diff != "" || len(u.Unlike) > 0 {
			t.Errorf("%v %v\n%s", err, u.Unlike, u.Diff)
		}
	}
}

func TestWhatIsNoSchemaIsRefused(t *testing.T) {
	for _, text := range []string{"", "{", "[]", "true", `{} {}`} {
		if _, err := learned(t, `{}`).Update("orders.json", []byte(text)); !errors.Is(err, ErrNoSchema) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
