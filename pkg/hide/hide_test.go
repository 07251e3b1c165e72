package hide

import (
	"encoding/json"
	"strings"
	"testing"

	"datawatch/pkg/event"
)

func placesOf(t *testing.T, pointers ...string) *Places {
	t.Helper()
	set, err := NewSet([]File{{Stream: "a/b", Hide: pointers}})
	if err != nil {
		t.Fatal(err)
	}
	return set.For("a/b")
}

func raw(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}

func TestHiddenPlacesAreReplacedInImagesAndKeys(t *testing.T) {
	for name, c := range map[string]struct {
		hide                           []string
		key, before, after             string
		wantKey, wantBefore, wantAfter string
	}{
		"insert": {
			hide: []string{"/email", "/items/*/note"}, key: `{"id":1}`, after: `{"id":1,"email":"a@b.c","items":[{"n":1.50,"note":"x"},{"note":null}]}`,
			wantKey: `{"id":1}`, wantAfter: `{"id":1,"email":"•••","items":[{"n":1.50,"note":"•••"},{"note":null}]}`,
		},
		"delete": {
			hide: []string{"/address"}, key: `{"id":1}`, before: `{"id":1,"address":{"street":"Elm","no":4}}`,
			wantKey: `{"id":1}`, wantBefore: `{"id":1,"address":"•••"}`,
		},
		"update that changes it": {
			hide: []string{"/email"}, key: `{"id":1}`, before: `{"email":"a@b.c"}`, after: `{"email":"d@e.f"}`,
			wantKey: `{"id":1}`, wantBefore: `{"email":"•••"}`, wantAfter: `{"email":"` + Changed + `"}`,
		},
		"update of something else": {
			hide: []string{"/who"}, before: `{"who":{"a":1,"b":2},"n":1}`, after: `{"who":{"b":2,"a":1},"n":2}`,
			wantBefore: `{"who":"•••","n":1}`, wantAfter: `{"who":"•••","n":2}`,
		},
		"key of the row": {
			hide: []string{"/email"}, key: `{"email":"a@b.c"}`, after: `{"email":"a@b.c","n":1}`,
			wantKey: `{"email":"•••"}`, wantAfter: `{"email":"•••","n":1}`,
		},
		"key that repeats what is hidden": {
			hide: []string{"/phone"}, key: `"+84901234567"`, after: `{"phone":"+84901234567"}`,
			wantKey: `"•••"`, wantAfter: `{"phone":"•••"}`,
		},
		"key that is an id":      {hide: []string{"/phone"}, key: `"1042"`, after: `{"phone":"+84901234567"}`, wantKey: `"1042"`, wantAfter: `{"phone":"•••"}`},
		"tombstone of an e-mail": {hide: []string{"/email"}, key: `"a@b.c"`, wantKey: `"•••"`},
		"all of it":              {hide: []string{""}, key: `{"id":1}`, before: `{"a":1}`, after: `[1]`, wantKey: `"•••"`, wantBefore: `"•••"`, wantAfter: `"` + Changed + `"`},
		"nothing":                {key: `"a@b.c"`, after: `{"a":1}`, wantKey: `"a@b.c"`, wantAfter: `{"a":1}`},
		"odd names":              {hide: []string{"/a~1b/~0"}, after: `{"a/b":{"~":1,"x":1e400}}`, wantAfter: `{"a/b":{"~":"•••","x":1e400}}`},
		"what can't be read":     {hide: []string{"/x"}, after: `{"a":`, wantAfter: `"•••"`},
	} {
		t.Run(name, func(t *testing.T) {
			given := &event.Change{Key: raw(c.key), Before: raw(c.before), After: raw(c.after)}
			got := placesOf(t, c.hide...).Change(given)
			for what, pair := range map[string][2]string{
				"key": {string(got.Key), c.wantKey}, "before": {string(got.Before), c.wantBefore}, "after": {string(got.After), c.wantAfter},
				"given": {string(given.After), c.after},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s: got %s, want %s", what, pair[0], pair[1])
				}
			}
		})
	}
}

func TestValueBeyondAllDepthIsHiddenAndCostsNoStack(t *testing.T) {
	deep := strings.Repeat("[", 2_000_000)
	got := placesOf(t, "/x").Change(&event.Change{After: raw(deep)})
	if string(got.After) != `"•••"` {
		t.Errorf("got %.50s", got.After)
	}
	nested := strings.Repeat("[", 500) + `"secret"` + strings.Repeat("]", 500)
	if got := placesOf(t, "/x").Change(&event.Change{After: raw(nested)}); strings.Contains(string(got.After), "secret") {
		t.Error("what lies deeper than is followed is shown")
	}
}

func TestOneFileWinsAsForSchemas(t *testing.T) {
	files := []File{
		{Stream: "shop-db/*", Hide: []string{"/a"}}, {Stream: "shop-db/public.*", Hide: []string{"/b"}},
		{Stream: "shop-db/public.plain"}, {Stream: "shop-db/public.orders", Hide: []string{"/c"}}, {Stream: "other/plain"},
	}
	value, err := Encode(files)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(value), "other/plain") {
		t.Error("a file that hides nothing and takes nothing away is written")
	}
	read, err := Decode(value)
	if err != nil {
		t.Fatal(err)
	}
	set, err := NewSet(read)
	if err != nil {
		t.Fatal(err)
	}
	for stream, want := range map[event.Stream]string{
		"shop-db/x": "/a", "shop-db/public.users": "/b", "shop-db/public.plain": "", "shop-db/public.orders": "/c", "other/plain": "", "else/x": "",
	} {
		got := ""
		for _, p := range set.For(stream).pointers {
			got += p.String()
		}
		if got != want {
			t.Errorf("%s hides %q, want %q", stream, got, want)
		}
	}
	if _, err := Decode([]byte(`{"version":2}`)); err == nil {
		t.Error("a newer version is taken")
	}
	if got := Everything().For("a/b").Change(&event.Change{After: raw(`{"x":1}`)}); string(got.After) != `"•••"` {
		t.Errorf("everything: %s", got.After)
	}
}

func FuzzNoHiddenTextIsLeft(f *testing.F) {
	f.Add(`{"email":"SECRET","x":["SECRET"]}`, "/email")
	f.Add(`{"a":[{"b":"SECRET"}]}`, "/a/*/b")
	f.Fuzz(func(t *testing.T, text, pointer string) {
		p, err := ParsePointer(pointer)
		if err != nil || !json.Valid([]byte(text)) {
			return
		}
		got := NewPlaces([]Pointer{p}).Change(&event.Change{After: raw(text)}).After
		if !json.Valid(got) {
			t.Fatalf("%s without %s is no JSON: %s", text, pointer, got)
		}
		if again := NewPlaces([]Pointer{p}).Texts(got); len(again) > 1 || len(again) == 1 && !again[Mark] {
			t.Errorf("%s without %s still holds %v", text, pointer, again)
		}
	})
}
